"""What a run remembers of its lead times, so that fields over intervals can be made.

Of each lead time within reach of an interval, the fields that intervals need are kept on disk, on the
model's grid: so memory is bounded, and a run that was killed goes on with what it had. Whatever is
missing or damaged is asked of the forecast again, which gives the same numbers: `needed_from` says
from which lead time on. The values are kept before a lead time is published.
"""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast import files
from forecast.frame import Frame
from forecast.times import lead_hours
from publish import derive
from publish.events import ProductError, Windowed
from publish.product import Item, ProductSettings
from publish.quantities import OPTIONAL

_PATTERN = "lead-*h.npz"
_MEMBERS = "members"


class WindowMemory:
    """The lead times of one run, in a directory of its own.

    `model_lead_hours` are all that the model makes, published or not, equally far apart. Raises
    ProductError when an interval does not begin and end at one of them.
    """

    def __init__(self, directory: Path, settings: ProductSettings, model_lead_hours: Sequence[int]) -> None:
        self._directory = directory
        self._windowed = settings.windowed
        self._lead_hours = tuple(model_lead_hours)
        self._increment = self._lead_hours[1] - self._lead_hours[0] if len(self._lead_hours) > 1 else 1
        wrong = [each.window.name for each in self._windowed if each.window.hours % self._increment]
        if wrong:
            raise ProductError(
                f"expected intervals that are multiples of {self._increment} h, the time between the model's lead "
                f"times, got {', '.join(wrong)}"
            )

    @property
    def increment_hours(self) -> int:
        """Time between the model's lead times."""
        return self._increment

    def needed_from(self, hours: int) -> int:
        """The lead time from which on frames must be remembered, for those at `hours` and later to be published."""
        missing = [each for each in self._reach(hours) if not self._holds(each)]
        return min(missing, default=hours)

    def remember(self, frame: Frame) -> None:
        """Keep what later intervals need of the frame, durably and in one piece; forget what none needs."""
        if not self._windowed:
            return
        hours = lead_hours(frame.lead_time)
        arrays = {
            _name(each): derive.values(frame.data, each.field, each.level)
            for each in self._windowed
            if each.field not in OPTIONAL or each.field in frame.data
        }
        self._save(hours, {_MEMBERS: np.asarray(frame.members), **arrays})
        for path in self._directory.glob(_PATTERN):
            if path.name < self._path(min(self._reach(hours), default=hours)).name:
                path.unlink()

    def over(self, item: Item, frame: Frame) -> NDArray[np.float32]:
        """The item over the interval that ends at the frame, of the frame's members: [member, longitude, latitude].

        Raises ProductError when a lead time of the interval was not remembered.
        """
        if item.window is None:
            raise ValueError(f"{item.variable} is over no interval")
        hours, name = lead_hours(frame.lead_time), _name(Windowed(item.field.name, item.level, item.window))
        if item.window.method == "sum":
            end, beginning = self._values(hours, name, frame), self._values(hours - item.window.hours, name, frame)
            return end - beginning
        inside = [each for each in self._lead_hours if hours - item.window.hours < each <= hours]
        return _reduced(item.window.method, [self._values(each, name, frame) for each in inside])

    def _reach(self, hours: int) -> list[int]:
        """The lead times before `hours` that an interval which ends there or later needs."""
        longest = max((each.window.hours for each in self._windowed), default=0)
        return [each for each in self._lead_hours if hours - longest <= each < hours]

    def _values(self, hours: int, name: str, frame: Frame) -> NDArray[np.float32]:
        """What is kept of a lead time, of the frame's members: one that was dropped since does not count."""
        try:
            with np.load(self._path(hours)) as kept:
                rows = {int(member): row for row, member in enumerate(kept[_MEMBERS])}
                return kept[name][[rows[member] for member in frame.members]]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ProductError(f"lead time {hours} h is needed for an interval and was not kept: {error}") from error

    def _holds(self, hours: int) -> bool:
        try:
            with np.load(self._path(hours)) as kept:
                for name in kept.files:
                    kept[name]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return False
        return True

    def _save(self, hours: int, arrays: Mapping[str, Any]) -> None:
        with files.whole(self._path(hours)) as file:
            np.savez(file, **arrays)

    def _path(self, hours: int) -> Path:
        return self._directory / f"lead-{hours:05d}h.npz"


def _name(windowed: Windowed) -> str:
    return f"{windowed.field}-{windowed.level or 0}"


def _reduced(method: str, fields: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Mean, min or max of fields of the same shape, one at a time."""
    if method == "mean":
        total = np.zeros(fields[0].shape, np.float64)
        for each in fields:
            total += each
        return (total / len(fields)).astype(np.float32)
    take = np.minimum if method == "min" else np.maximum
    result = fields[0]
    for each in fields[1:]:
        result = take(result, each)
    return result
