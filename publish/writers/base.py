"""What every writer takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from forecast.frame import Frame
from forecast.grids import GaussianGrid, LatLonGrid
from forecast.times import lead_hours, valid_time
from publish.layout import Layout
from publish.product import Item, ProductSettings, Slab, items
from publish.statistics import Statistics

CONTROL = 0
"""Number of the control member."""


class WriterError(RuntimeError):
    """A file could not be written as it must be read; nothing of it may be published."""


@dataclass(frozen=True)
class FrameHeader:
    """What a file says of the lead time it holds.

    `ensemble_size` is the number of members that the run set out with, control included; `members`
    are those present. `items` are the slabs that will come, in order. `run_lead_hours` are the lead times of
    the whole run, for formats that keep a run together. `attributes` go into the
    global attributes of formats that have them.
    """

    init_time: datetime
    lead_time: timedelta
    members: tuple[int, ...]
    ensemble_size: int
    grid: LatLonGrid
    native_grid: GaussianGrid
    layout: Layout
    attributes: Mapping[str, str] = field(default_factory=dict)
    run_lead_hours: tuple[int, ...] = ()
    items: tuple[Item, ...] = ()

    @classmethod
    def of(
        cls,
        frame: Frame,
        settings: ProductSettings,
        ensemble_size: int,
        attributes: Mapping[str, str],
        run_lead_hours: tuple[int, ...],
    ) -> "FrameHeader":
        """The header of a frame published with these settings."""
        grid = settings.grid(frame.data)
        layout = Layout(settings.product, frame.init_time, grid.spacing_degrees)
        there = items(frame, settings)
        return cls(
            frame.init_time,
            frame.lead_time,
            frame.members,
            ensemble_size,
            grid,
            GaussianGrid(frame.data.sizes["longitude"], frame.data.sizes["latitude"]),
            layout,
            attributes,
            run_lead_hours,
            there,
        )

    @property
    def lead_hours(self) -> int:
        """Lead time in hours."""
        return lead_hours(self.lead_time)

    @property
    def valid_time(self) -> datetime:
        """The time that the fields are for."""
        return valid_time(self.init_time, self.lead_time)

    @property
    def perturbed(self) -> tuple[int, ...]:
        """Members other than the control."""
        return tuple(member for member in self.members if member != CONTROL)

    @property
    def has_statistics(self) -> bool:
        """Whether there are members enough for statistics."""
        return len(self.members) > 1


@dataclass(frozen=True)
class EncodedFile:
    """A finished file on local disk and the key to publish it under."""

    key: str
    path: Path
    kind: str
    media_type: str
    members: tuple[int, ...]


class Writer(Protocol):
    """Writes the files of one lead time in one format."""

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Add one field on one level, with its statistics where there are any."""
        ...

    def close(self) -> list[EncodedFile]:
        """Finish all files; they may be published from here on."""
        ...

    def abort(self) -> None:
        """Release what is open after an error; the files are worthless."""
        ...
