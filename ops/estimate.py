"""How long a run will take, how much memory and room it needs: from what runs like it took before."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Wanted:
    """What is to be forecast. `products` are the configured choices; `device` None means that of the last like run."""

    model_hash: str
    members: int
    hours: float
    lead_times: int
    source: str
    analyses: int = 1
    products: Mapping[str, object] | None = None
    device: str | None = None


@dataclass(frozen=True)
class Spread:
    """A quantity: the middle of what is to be expected, and between what it has been in nine of ten like runs."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """What `runs` like runs on `device` let expect; None for what none of them recorded.

    `stages` maps each stage to its seconds; `seconds` is their sum.
    """

    runs: int
    device: str
    seconds: Spread
    stages: Mapping[str, Spread]
    peak_memory_bytes: Spread | None
    product_bytes: Spread | None
    product_count: Spread | None
    work_bytes: Spread | None


def estimate(session: Session, wanted: Wanted) -> Estimate | None:
    """What to expect of a run; None when the history has no run of this model that ended on the device."""
    del session, wanted
    return None
