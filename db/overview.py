"""What the pages for people show: few columns of many runs, each query bounded. Functions over a session."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from db.publications import MANIFEST
from db.schema import Arrival, Event, Product, Run
from db.states import RunState
from db.types import Document

LONG_AGO = timedelta(days=10)
"""What is published so long after its cycle is no forecast of the day: how late it is means nothing."""

_LINE: tuple[Any, ...] = (
    Run.id,
    Run.model_name,
    Run.init_time,
    Run.state,
    Run.purpose,
    Run.members_requested,
    Run.members_published,
    Run.created_at,
    Run.started_at,
    Run.ended_at,
    Run.error,
    Run.failures,
    Run.next_try_at,
    Run.retracted_at,
    Run.superseded_by,
)


@dataclass(frozen=True)
class Line:
    """A run in one line: the columns of the same names, without its documents."""

    id: str
    model_name: str
    init_time: datetime
    state: str
    purpose: str
    members_requested: int
    members_published: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    failures: int
    next_try_at: datetime | None
    retracted_at: datetime | None
    superseded_by: str | None

    @property
    def standing(self) -> str:
        """Its state, or retracted or superseded when that is what a reader must know."""
        return standing(self.state, self.retracted_at, self.superseded_by)

    @property
    def delay(self) -> timedelta | None:
        """How long after its cycle a forecast was published; None for any other run, and for one of long ago."""
        return delay(self.state, self.purpose, self.init_time, self.ended_at)


def delay(state: str, purpose: str, init_time: datetime, ended_at: datetime | None) -> timedelta | None:
    """How long after its cycle a forecast was published; None for any other run, and for one of long ago."""
    if state != RunState.PUBLISHED or purpose != "forecast" or ended_at is None:
        return None
    return ended_at - init_time if ended_at - init_time < LONG_AGO else None


def standing(state: str, retracted_at: datetime | None, superseded_by: str | None) -> str:
    """The state of a run, or retracted or superseded when that is what a reader must know."""
    if state != RunState.PUBLISHED:
        return state
    if retracted_at is not None:
        return "retracted"
    return "superseded" if superseded_by is not None else state


@dataclass(frozen=True)
class Wanted:
    """Which runs to list; None means any. `since` and `until` bound the cycle, both inclusive."""

    state: RunState | None = None
    model: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """For a WHERE clause."""
        equal = ((Run.state, self.state), (Run.model_name, self.model), (Run.purpose, self.purpose))
        found = [column == str(value) for column, value in equal if value is not None]
        if self.since is not None:
            found.append(Run.init_time >= self.since)
        if self.until is not None:
            found.append(Run.init_time <= self.until)
        return found


@dataclass(frozen=True)
class Page:
    """Some runs, the newest cycle first, and the names to ask for those around them with; None at either end."""

    lines: tuple[Line, ...]
    older: str | None
    newer: str | None


def page(session: Session, wanted: Wanted, limit: int, *, after: str | None = None, before: str | None = None) -> Page:
    """Runs after the named one in the list, or before it, or the first ones. A name of no run gives the first."""
    edge = _edge(session, after or before)
    backwards = before is not None and edge is not None
    query = select(*_LINE).where(*wanted.conditions)
    if edge is not None:
        query = query.where(_above(*edge) if backwards else _below(*edge))
    order = (Run.init_time, Run.id) if backwards else (Run.init_time.desc(), Run.id.desc())
    found = _lines(session, query.order_by(*order).limit(limit + 1))
    more, shown = len(found) > limit, found[:limit]
    if backwards:
        shown.reverse()
    first, last = (shown[0].id, shown[-1].id) if shown else (None, None)
    has_newer, has_older = (more, True) if backwards else (edge is not None, more)
    return Page(tuple(shown), last if has_older else None, first if has_newer else None)


def _above(init_time: datetime, run_id: str) -> ColumnElement[bool]:
    return or_(Run.init_time > init_time, and_(Run.init_time == init_time, Run.id > run_id))


def _below(init_time: datetime, run_id: str) -> ColumnElement[bool]:
    return or_(Run.init_time < init_time, and_(Run.init_time == init_time, Run.id < run_id))


def _edge(session: Session, name: str | None) -> tuple[datetime, str] | None:
    row = session.execute(select(Run.init_time, Run.id).where(Run.id == name)).first() if name else None
    return None if row is None else (row[0], row[1])


def _lines(session: Session, query: Select[*tuple[Any, ...]]) -> list[Line]:
    return [Line(*row) for row in session.execute(query)]


def forecasts_since(session: Session, since: datetime, limit: int = 400) -> list[Line]:
    """Runs of cycles from `since` on that are no hindcasts, the newest cycle first."""
    query = select(*_LINE).where(Run.init_time >= since, Run.purpose == "forecast")
    return _lines(session, query.order_by(Run.init_time.desc(), Run.created_at.desc()).limit(limit))


def newest_published(session: Session, limit: int) -> list[Line]:
    """The runs that are published and stand, the newest cycle first."""
    standing = (Run.state == RunState.PUBLISHED.value, Run.retracted_at.is_(None), Run.superseded_by.is_(None))
    query = select(*_LINE).where(*standing).order_by(Run.init_time.desc(), Run.id.desc())
    return _lines(session, query.limit(limit))


def unfinished(session: Session, limit: int = 20) -> Sequence[Run]:
    """Runs that a process works on, and those that wait for one, whole rows: the newest cycle first."""
    waits = Run.state.in_([RunState.CREATED.value, RunState.INTERRUPTED.value])
    again = (Run.state == RunState.FAILED.value) & Run.next_try_at.is_not(None)
    query = select(Run).where(or_(Run.state == RunState.RUNNING.value, waits, again))
    return session.scalars(query.order_by(Run.init_time.desc(), Run.id).limit(limit)).all()


def arrivals_since(session: Session, sources: Sequence[str], since: datetime, limit: int = 400) -> Sequence[Arrival]:
    """What is known of the sources' cycles from `since` on, the newest first."""
    query = select(Arrival).where(Arrival.source.in_(sources), Arrival.init_time >= since)
    return session.scalars(query.order_by(Arrival.init_time.desc(), Arrival.source).limit(limit)).all()


def newest_arrivals(session: Session) -> Sequence[Arrival]:
    """Of every source, the cycle that was looked at last."""
    last = select(Arrival.source, func.max(Arrival.init_time)).group_by(Arrival.source)
    return session.scalars(
        select(Arrival).where(tuple_(Arrival.source, Arrival.init_time).in_(last)).order_by(Arrival.source)
    ).all()


@dataclass(frozen=True)
class Kind:
    """How many objects of a kind a run has, and their size together [bytes]."""

    name: str
    count: int
    bytes: int


def product_kinds(session: Session, run_id: str) -> list[Kind]:
    """What a run has in the store, by kind, the largest first."""
    total = func.sum(Product.bytes)
    query = select(Product.kind, func.count(), total).where(Product.run_id == run_id, Product.deleted_at.is_(None))
    return [
        Kind(name, int(count), int(size))
        for name, count, size in session.execute(query.group_by(Product.kind).order_by(total.desc(), Product.kind))
    ]


@dataclass(frozen=True)
class File:
    """An object to download. `details` are those of the product's row."""

    key: str
    kind: str
    lead_time_hours: int | None
    bytes: int
    sha256: str
    details: Document | None


_FILE = (Product.key, Product.kind, Product.lead_time_hours, Product.bytes, Product.sha256, Product.details)


def of_kind(session: Session, run_id: str, kind: str, limit: int = 100) -> list[File]:
    """Objects of one kind that a run has in the store, by key."""
    here = (Product.run_id == run_id, Product.kind == kind, Product.deleted_at.is_(None))
    return [File(*row) for row in session.execute(select(*_FILE).where(*here).order_by(Product.key).limit(limit))]


def of_whole_run(session: Session, run_id: str, without: Collection[str], limit: int = 100) -> list[File]:
    """Objects that belong to no lead time, but for those of some kinds, by key."""
    here = (Product.run_id == run_id, Product.lead_time_hours.is_(None), Product.deleted_at.is_(None))
    query = select(*_FILE).where(*here, Product.kind.not_in(list(without)))
    return [File(*row) for row in session.execute(query.order_by(Product.key).limit(limit))]


def at_lead_time(session: Session, run_id: str, hours: int, limit: int = 500) -> list[File]:
    """Objects of one lead time [h]."""
    here = (Product.run_id == run_id, Product.lead_time_hours == hours, Product.deleted_at.is_(None))
    return [File(*row) for row in session.execute(select(*_FILE).where(*here).order_by(Product.key).limit(limit))]


def lead_times(session: Session, run_id: str) -> list[tuple[int, int, int]]:
    """Lead time [h], number of objects and their size [bytes], in order."""
    here = (Product.run_id == run_id, Product.lead_time_hours.is_not(None), Product.deleted_at.is_(None))
    query = select(Product.lead_time_hours, func.count(), func.sum(Product.bytes)).where(*here)
    grouped = query.group_by(Product.lead_time_hours).order_by(Product.lead_time_hours)
    return [(hours, int(count), int(size)) for hours, count, size in session.execute(grouped) if hours is not None]


def totals(session: Session, run_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Of each run, the number of its objects in the store and their size together [bytes]."""
    query = select(Product.run_id, func.count(), func.sum(Product.bytes))
    here = (Product.run_id.in_(run_ids), Product.deleted_at.is_(None))
    rows = session.execute(query.where(*here).group_by(Product.run_id))
    return {run_id: (int(count), int(size)) for run_id, count, size in rows}


def manifests(session: Session, run_ids: Sequence[str]) -> dict[str, str]:
    """Of each run, the key of its manifest."""
    here = (Product.run_id.in_(run_ids), Product.kind == MANIFEST, Product.deleted_at.is_(None))
    return {row[0]: row[1] for row in session.execute(select(Product.run_id, Product.key).where(*here))}


def last_events(session: Session, run_id: str, limit: int = 100) -> list[Event]:
    """The end of a run's history, in order."""
    query = select(Event).where(Event.run_id == run_id).order_by(Event.id.desc()).limit(limit)
    return list(session.scalars(query))[::-1]
