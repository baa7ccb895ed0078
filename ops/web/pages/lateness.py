"""When the last cycles were published, as a drawing: one column a cycle, hours after the cycle upwards."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from db.overview import Line
from db.states import RunState
from ops.web.pages.words import coarse, day_and_cycle

HOUR = timedelta(hours=1)
TOP, FLOOR = 12, 152
"""Vertical place of the highest value and of zero [px]."""
RIGHT = 93.0
"""Where the columns end [percent of the width]; beyond it stand the numbers of the axis."""
_STEPS = (1, 2, 3, 6, 12, 24, 48, 96, 240, 720, 8760)
_PREFERENCE = (RunState.PUBLISHED, RunState.RUNNING, RunState.INTERRUPTED, RunState.CREATED, RunState.FAILED)


@dataclass(frozen=True)
class Point:
    """What became of a cycle. `kind` is published, late, running, waiting, failed or norun; `hours` after the cycle it
    was published, or is now; `data_hours` when its data was there; `goal` is the objective [h after the cycle].
    """

    cycle: datetime
    goal: float
    kind: str
    hours: float | None = None
    data_hours: float | None = None
    run_id: str | None = None

    @property
    def words(self) -> str:
        """The column in one sentence."""
        when = f" {coarse(timedelta(hours=self.hours))} after the cycle" if self.hours is not None else ""
        told = {
            "published": f"published{when}",
            "late": f"published late,{when}",
            "running": f"in progress,{when} so far",
            "waiting": "not begun",
            "failed": "failed",
            "norun": "no run",
        }[self.kind]
        return f"{day_and_cycle(self.cycle)}: {told}"


def best(lines: Iterable[Line]) -> dict[datetime, Line]:
    """The run that counts of each cycle: the published one that stands and came first, or what comes nearest to it."""
    found: dict[datetime, Line] = {}
    for line in sorted(lines, key=_rank, reverse=True):
        found[line.init_time] = line
    return found


def _rank(line: Line) -> tuple[int, bool, datetime]:
    order = [state.value for state in _PREFERENCE]
    place = order.index(line.state) if line.state in order else len(order)
    return place, line.retracted_at is not None, line.ended_at or line.created_at


def points(
    cycles: Sequence[datetime],
    lines: Mapping[datetime, Line],
    complete: Mapping[datetime, datetime],
    objective: Callable[[datetime], timedelta],
    now: datetime,
) -> tuple[Point, ...]:
    """One for each cycle, in the order of time.

    `complete` tells when the data of a cycle was seen to be there, `objective` how long after its cycle a forecast is
    to be published.
    """
    return tuple(
        _point(cycle, lines.get(cycle), complete.get(cycle), objective(cycle), now) for cycle in sorted(cycles)
    )


def _point(cycle: datetime, line: Line | None, data: datetime | None, objective: timedelta, now: datetime) -> Point:
    known = partial(Point, cycle, objective / HOUR, data_hours=(data - cycle) / HOUR if data else None)
    if line is None:
        return known("waiting" if now - cycle <= objective else "norun")
    if line.state == RunState.PUBLISHED and line.ended_at is not None:
        took = line.ended_at - cycle
        return known("late" if took > objective else "published", took / HOUR, run_id=line.id)
    if line.state == RunState.RUNNING:
        return known("running", (now - cycle) / HOUR, run_id=line.id)
    waits = line.state in (RunState.CREATED, RunState.INTERRUPTED)
    return known("waiting" if waits else "failed", run_id=line.id)


@dataclass(frozen=True)
class Column:
    """A point where it is drawn: `x`, `left` and `width` in percent, the rest in pixels from above."""

    point: Point
    x: float
    left: float
    width: float
    y: float
    data_y: float | None
    goal_y: float
    label: str


@dataclass(frozen=True)
class Tick:
    """A line of the axis."""

    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    """The drawing."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    right: float = RIGHT
    floor: float = FLOOR
    height: float = FLOOR + 26


def chart(these: Sequence[Point]) -> Chart:
    """Where everything stands. The axis ends at twice the largest objective; what is beyond stands at its edge."""
    goal = max([each.goal for each in these], default=12.0)
    top = min(max([goal, *(each.hours for each in these if each.hours is not None)]) * 1.12, 2 * goal)
    step = next(each for each in _STEPS if top / each <= 6)
    width = RIGHT / max(len(these), 1)
    columns = tuple(_column(each, index * width, width, top) for index, each in enumerate(these))
    ticks = tuple(Tick(_y(hours, top), f"{hours} h") for hours in range(0, int(top) + 1, step))
    return Chart(columns, ticks)


def _y(hours: float, top: float) -> float:
    return round(FLOOR - min(hours, top) / top * (FLOOR - TOP), 1)


def _column(point: Point, left: float, width: float, top: float) -> Column:
    label = f"{point.cycle:%a} {point.cycle.day}" if point.cycle.hour == 0 else ""
    data = _y(point.data_hours, top) if point.data_hours is not None else None
    y = _y(point.hours if point.hours is not None else point.data_hours or 0.0, top)
    middle = round(left + width / 2, 3)
    return Column(point, middle, round(left, 3), round(width, 3), y, data, _y(point.goal, top), label)
