"""What a source of analyses is, and what the model needs from it. Its errors are those of `ingest.errors`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from forecast.fields import FORCING_FIELDS, LEVEL_FIELDS, PRESSURE_LEVELS
from forecast.grids import GaussianGrid
from ingest.analysis import Analysis
from ingest.errors import Broken, Gone, Incomplete, NotYetAvailable, Refused, SourceError, WrongTime

__all__ = [
    "Broken",
    "Gone",
    "Incomplete",
    "ModelNeeds",
    "NotYetAvailable",
    "Refused",
    "Source",
    "SourceError",
    "WrongTime",
]


@dataclass(frozen=True)
class ModelNeeds:
    """The grid, levels [hPa, top first] and variables that a model starts from."""

    longitude_count: int
    latitude_count: int
    levels: tuple[int, ...] = PRESSURE_LEVELS
    variables: tuple[str, ...] = (*LEVEL_FIELDS, *FORCING_FIELDS)

    @property
    def grid(self) -> GaussianGrid:
        """The model's horizontal grid."""
        return GaussianGrid(self.longitude_count, self.latitude_count)


class Source(Protocol):
    """A place that analyses come from."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...

    def cycles(self) -> tuple[datetime, ...]:
        """The cycles that it can give now, oldest first; raises SourceError."""
        ...

    def fetch(self, cycle: datetime, needs: ModelNeeds) -> Analysis:
        """The analysis valid at `cycle` on the model's grid, checked; raises SourceError."""
        ...
