"""When sources' cycles arrive, learned from looking: a cycle seen incomplete and then complete came in between."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import Arrival

REMEMBERED = 30
"""So many of the last arrivals count."""
LEAST = 5
"""Fewer arrivals than these teach nothing."""


@dataclass(frozen=True)
class Habit:
    """How long after its cycle a source is complete: in one case out of ten, as a rule, and in nine out of ten."""

    early: timedelta
    median: timedelta
    late: timedelta
    count: int


def saw(
    session: Session, source: str, init_time: datetime, complete: bool, now: datetime, missing: str | None = None
) -> None:
    """Note that a cycle was looked at, and what was missing; the first time that it was complete is kept."""
    row = session.get(Arrival, (source, init_time))
    if row is None:
        row = Arrival(source=source, init_time=init_time)
        session.add(row)
    if complete and row.complete_at is None:
        row.complete_at, row.missing = now, None
    elif not complete and row.complete_at is None:
        row.incomplete_at, row.missing = now, missing
    session.flush()


def arrivals(session: Session, source: str, hour: int) -> Sequence[Arrival]:
    """The last cycles at an hour [UTC] that were seen to come, the newest first.

    A cycle that was complete when it was first looked at may have been so for long, and does not count.
    """
    query = select(Arrival).where(
        Arrival.source == source, Arrival.complete_at.is_not(None), Arrival.incomplete_at.is_not(None)
    )
    rows = session.scalars(query.order_by(Arrival.init_time.desc()).limit(8 * REMEMBERED)).all()
    return [row for row in rows if row.init_time.hour == hour][:REMEMBERED]


def habit(session: Session, source: str, hour: int) -> Habit | None:
    """What the last arrivals at an hour teach, None when there are too few."""
    rows = arrivals(session, source, hour)
    delays = [row.complete_at - row.init_time for row in rows if row.complete_at is not None]
    if len(delays) < LEAST:
        return None
    tenths = quantiles([delay.total_seconds() for delay in delays], n=10, method="inclusive")
    early, median, late = (timedelta(seconds=tenths[place]) for place in (0, 4, 8))
    return Habit(early, median, late, len(delays))


def looks(session: Session, source: str, cycles: Collection[datetime]) -> dict[datetime, Arrival]:
    """What was seen of these cycles when they were last looked at."""
    query = select(Arrival).where(Arrival.source == source, Arrival.init_time.in_(cycles))
    return {row.init_time: row for row in session.scalars(query)}
