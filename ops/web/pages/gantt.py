"""The attempts at the stages of a run along the time, as a drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.schema import Attempt
from ops.web.pages.current import STAGES

LEFT, RIGHT = 0.0, 100.0
HEIGHT, TOP = 26, 6
_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
)


@dataclass(frozen=True)
class Bar:
    """An attempt: `x` and `width` in percent, `y` in pixels."""

    attempt: Attempt
    x: float
    width: float
    y: int
    took: timedelta


@dataclass(frozen=True)
class Mark:
    """A moment on the axis, `x` in percent."""

    x: float
    label: str


@dataclass(frozen=True)
class Gantt:
    """The drawing: a row per stage."""

    rows: tuple[tuple[int, str], ...]
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    height: int


def gantt(attempts: Sequence[Attempt], now: datetime) -> Gantt | None:
    """Where every attempt stands; one that is not over reaches to now. None for no attempts."""
    if not attempts:
        return None
    begin = min(each.started_at for each in attempts)
    end = max(each.ended_at or now for each in attempts)
    whole = max((end - begin).total_seconds(), 1.0)
    used = {each.stage for each in attempts}
    names = [name for name in (*STAGES, *sorted(used - set(STAGES))) if name in used]
    rows = {name: TOP + index * HEIGHT for index, name in enumerate(names)}
    bars = tuple(_bar(each, begin, whole, rows[each.stage], now) for each in attempts)
    titles = tuple((y, STAGES.get(name, name)) for name, y in rows.items())
    return Gantt(titles, bars, _marks(begin, end, whole), TOP + HEIGHT * len(rows))


def _bar(attempt: Attempt, begin: datetime, whole: float, y: int, now: datetime) -> Bar:
    took = (attempt.ended_at or now) - attempt.started_at
    x = 100 * (attempt.started_at - begin).total_seconds() / whole
    width = max(100 * took.total_seconds() / whole, 0.4)
    return Bar(attempt, round(min(x, 99.6), 3), round(width, 3), y, took)


def _marks(begin: datetime, end: datetime, whole: float) -> tuple[Mark, ...]:
    length = end - begin
    step = next((each for each in _STEPS if length / each <= 6), _STEPS[-1] * 52)
    shape = "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M" if length < timedelta(days=1) else "%d %b %H:%M"
    first = begin - timedelta(seconds=begin.timestamp() % step.total_seconds()) + step
    count = int((end - first) / step) + 1 if end >= first else 0
    moments = [first + index * step for index in range(count)]
    places = [(100 * (moment - begin).total_seconds() / whole, moment) for moment in moments]
    return tuple(Mark(round(x, 3), f"{moment:{shape}}") for x, moment in places if x <= 94)
