"""What one forecast is: the cycle, the members, the lead times. Pure data, no JAX."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from forecast.times import format_cycle, require_utc

PRECISIONS = (("float32", "float32"), ("float32", "bfloat16"), ("float64", "float32"))
"""What a forecast may be computed in, and what the matrix products in its networks."""


@dataclass(frozen=True)
class ForecastSpec:
    """One ensemble forecast, completely: the same spec and checkpoint give the same forecast.

    `window` is the unit of progress: the state of all members is saved at the end of each window.
    `quorum` is the least share of the members that must end for the run to be published.
    `reseed_limit` bounds how often a member that left physical bounds restarts its window. `precision` is that of
    the whole forecast, float32 or float64; `towers` that of the products in the networks, float32 or bfloat16.
    """

    init_time: datetime
    model_hash: str
    members: int = 4
    duration: timedelta = timedelta(days=15)
    interval: timedelta = timedelta(hours=6)
    window: timedelta = timedelta(hours=24)
    quorum: float = 0.9
    reseed_limit: int = 2
    precision: str = "float32"
    towers: str = "float32"

    def __post_init__(self) -> None:
        require_utc(self.init_time)
        if self.members < 1:
            raise ValueError(f"an ensemble needs at least one member, got {self.members}")
        if self.interval <= timedelta(0) or self.duration < self.interval:
            raise ValueError(f"expected duration >= interval > 0, got {self.duration} and {self.interval}")
        if self.duration % self.interval or self.window % self.interval:
            raise ValueError(
                f"duration and window must be multiples of the interval {self.interval}, "
                f"got {self.duration} and {self.window}"
            )
        if not 0.0 < self.quorum <= 1.0:
            raise ValueError(f"quorum must lie in (0, 1], got {self.quorum}")
        if (self.precision, self.towers) not in PRECISIONS:
            raise ValueError(
                f"expected precision and towers out of {PRECISIONS}, got {(self.precision, self.towers)}: "
                "towers in bfloat16 go with float32"
            )

    @property
    def lead_times(self) -> tuple[timedelta, ...]:
        """All output lead times, zero included."""
        return tuple(self.interval * k for k in range(self.duration // self.interval + 1))

    @property
    def hash(self) -> str:
        """SHA-256 over every setting that changes a product."""
        document = asdict(self) | {"init_time": format_cycle(self.init_time)}
        for name in ("precision", "towers"):
            if document[name] == "float32":
                del document[name]
        return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
