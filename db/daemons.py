"""Daemons: which there are, and when each gave its last sign of life. Functions over a session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.runs import rows_changed
from db.schema import Daemon

KEPT = timedelta(days=30)
"""How long a daemon that is gone is remembered."""


@dataclass(frozen=True)
class Identity:
    """A daemon: a name of its own, its host, its process, the version of its program."""

    id: str
    host: str
    pid: int
    version: str


def seen(session: Session, who: Identity, now: datetime) -> None:
    """Note a sign of life; the first one makes the row, and forgets those that have been gone for long."""
    statement = update(Daemon).where(Daemon.id == who.id).values(seen_at=now, stopped_at=None)
    if rows_changed(session, statement) == 0:
        session.execute(delete(Daemon).where(Daemon.seen_at < now - KEPT))
        row = Daemon(id=who.id, host=who.host, pid=who.pid, version=who.version, started_at=now, seen_at=now)
        session.add(row)
        session.flush()


def stopped(session: Session, who: Identity, now: datetime) -> None:
    """Note that a daemon ended by itself."""
    rows_changed(session, update(Daemon).where(Daemon.id == who.id).values(seen_at=now, stopped_at=now))


def search(session: Session) -> Sequence[Daemon]:
    """All daemons that are remembered, the last seen first."""
    return session.scalars(select(Daemon).order_by(Daemon.seen_at.desc(), Daemon.id)).all()


def alive(session: Session, now: datetime, within: timedelta) -> Sequence[Daemon]:
    """Those that were seen lately and did not stop."""
    return [one for one in search(session) if one.stopped_at is None and one.seen_at >= now - within]
