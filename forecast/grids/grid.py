"""What a grid is: one array of longitudes and one of latitudes; and grids read from a file."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GAP_TOLERANCE = 1.01
"""Longest admitted distance between neighbours, as a multiple of the usual one."""


class GridError(ValueError):
    """These coordinates are not those of a global grid; take another file."""


class Grid(Protocol):
    """A global grid that is the product of longitudes and latitudes, in any order."""

    @property
    def longitudes(self) -> NDArray[np.float64]:
        """Degrees east, shape [longitude]."""
        ...

    @property
    def latitudes(self) -> NDArray[np.float64]:
        """Degrees north, shape [latitude]."""
        ...


def unchanging(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """The array, which nobody can write to any more: it is handed out again and again."""
    axis.flags.writeable = False
    return axis


@dataclass(frozen=True, eq=False)
class RegularGrid:
    """A global grid with the coordinates of a file, in the file's order.

    Longitudes [degrees east] may start anywhere and run east or west, latitudes [degrees north] may
    run either way. Raises GridError unless the longitudes go once round the Earth in equal steps and
    the latitudes reach both poles to within one step.
    """

    longitudes: NDArray[np.float64]
    latitudes: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "longitudes", _axis("longitudes", self.longitudes))
        object.__setattr__(self, "latitudes", _axis("latitudes", self.latitudes))
        _require_cyclic(self.longitudes)
        _require_pole_to_pole(self.latitudes)


def _axis(name: str, values: ArrayLike) -> NDArray[np.float64]:
    axis = np.asarray(values, dtype=np.float64)
    if axis.ndim != 1 or axis.size < 4:
        raise GridError(f"expected at least four {name} along one axis, got an array of shape {axis.shape}")
    if not np.isfinite(axis).all():
        raise GridError(f"expected finite {name}, got {axis[~np.isfinite(axis)][0]}")
    return axis


def _require_cyclic(longitudes: NDArray[np.float64]) -> None:
    ordered = np.sort(longitudes % 360.0)
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    step = 360.0 / longitudes.size
    if np.abs(gaps - step).max() > (_GAP_TOLERANCE - 1.0) * step + 1e-3:
        raise GridError(
            f"expected longitudes once round the Earth in equal steps of {step:.4g} degrees, got "
            f"{longitudes.size} from {longitudes[0]:.6g} to {longitudes[-1]:.6g} with steps between "
            f"{gaps.min():.4g} and {gaps.max():.4g} degrees: a regional grid, or one with a repeated meridian"
        )


def _require_pole_to_pole(latitudes: NDArray[np.float64]) -> None:
    steps = np.diff(latitudes)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise GridError(f"expected latitudes in order, got {latitudes}")
    low, high, widest = float(latitudes.min()), float(latitudes.max()), float(np.abs(steps).max())
    reach = _GAP_TOLERANCE * widest
    if low < -90.001 or high > 90.001 or low > -90.0 + reach or high < 90.0 - reach:
        raise GridError(
            f"expected latitudes from pole to pole, got {low:.6g} to {high:.6g} degrees "
            f"in steps of at most {widest:.4g}: a regional grid"
        )
