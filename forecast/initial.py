"""What the members of an ensemble start from. No JAX."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import xarray as xr


@dataclass(frozen=True)
class InitialConditions:
    """One canonical analysis for all members, or one for each.

    `control` is valid `age` before the cycle: the model itself carries members to it. `perturbed` gives the analysis of
    member k >= 1, which is asked for when that member is encoded and not kept; `hashes` are the SHA-256 of these,
    member 1 first. The forcing is that of the control for all.
    """

    control: xr.Dataset
    age: timedelta = timedelta(0)
    perturbed: Callable[[int], xr.Dataset] | None = None
    hashes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.age < timedelta(0) or self.age % timedelta(hours=1):
            raise ValueError(f"expected an age of whole hours, got {self.age}")

    def of(self, member: int) -> xr.Dataset:
        """The analysis that a member starts from."""
        return self.control if member == 0 or self.perturbed is None else self.perturbed(member)
