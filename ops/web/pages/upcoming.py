"""The next cycles: what of their data is there, what is missing, when it comes, and when they should be published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from db import arrivals, overview
from db.overview import Line
from db.schema import Arrival
from db.states import RunState
from ops import timetable
from ops.config import Settings
from ops.ingest_settings import CHAINS

COUNT = 3
"""Cycles to come that are shown."""


@dataclass(frozen=True)
class FeedState:
    """What is known of a cycle at a feed. `state` is complete, incomplete or waiting; `expected_at` is learned."""

    name: str
    state: str
    complete_at: datetime | None
    looked_at: datetime | None
    missing: str | None
    expected_at: datetime | None


@dataclass(frozen=True)
class Coming:
    """A cycle that is not published. `data_at` is when its data is expected, `done_at` when its forecast is."""

    cycle: datetime
    feeds: tuple[FeedState, ...]
    data_at: datetime | None
    done_at: datetime | None
    objective_at: datetime
    run: Line | None

    @property
    def data_there(self) -> bool:
        """Whether every feed has it."""
        return all(feed.state == "complete" for feed in self.feeds)


def feeds_of(settings: Settings) -> tuple[str, ...]:
    """The feeds that the source is made of; none for a source that has its data already."""
    return tuple(settings.ingest.chain or CHAINS.get(settings.source.name, ()))


def coming(
    session: Session, settings: Settings, runs: dict[datetime, Line], takes: timedelta | None, now: datetime
) -> list[Coming]:
    """The cycles that are wanted and that nobody works on yet, and the next ones, the nearest first.

    `takes` is how long a forecast is known to take from its data on. None for a source without feeds.
    """
    names = feeds_of(settings)
    if not names:
        return []
    hours, wanted = settings.daemon.cycles, settings.daemon
    past = timetable.wanted(hours, timedelta(hours=wanted.catch_up_hours), now)
    pending = [cycle for cycle in past if _pending(runs.get(cycle))][: COUNT - 1][::-1]
    cycles = [*pending, *timetable.upcoming(hours, now, COUNT - len(pending))]
    rows = {
        (row.source, row.init_time): row for row in overview.arrivals_since(session, names, min(cycles, default=now))
    }
    return [_coming(session, settings, cycle, names, rows, runs.get(cycle), takes) for cycle in cycles]


def _pending(run: Line | None) -> bool:
    return run is None or run.state in (RunState.CREATED, RunState.INTERRUPTED)


def _coming(
    session: Session,
    settings: Settings,
    cycle: datetime,
    names: Sequence[str],
    rows: dict[tuple[str, datetime], Arrival],
    run: Line | None,
    takes: timedelta | None,
) -> Coming:
    found = [_feed(session, name, cycle, rows.get((name, cycle))) for name in names]
    feeds = tuple(each for each in found if each.name == names[0] or each.looked_at or each.complete_at)
    moments = [each.complete_at or each.expected_at for each in feeds]
    known = [moment for moment in moments if moment is not None]
    data_at = max(known) if len(known) == len(moments) and known else None
    done_at = data_at + takes if data_at is not None and takes is not None else None
    return Coming(cycle, feeds, data_at, done_at, cycle + settings.alerts.objective(cycle), run)


def _feed(session: Session, name: str, cycle: datetime, row: Arrival | None) -> FeedState:
    if row is not None and row.complete_at is not None:
        return FeedState(name, "complete", row.complete_at, row.complete_at, None, None)
    window = timetable.window(cycle, arrivals.habit(session, name, cycle.hour))
    expected = window.expected if window.learned else None
    if row is None:
        return FeedState(name, "waiting", None, None, None, expected)
    return FeedState(name, "incomplete", None, row.incomplete_at, row.missing, expected)
