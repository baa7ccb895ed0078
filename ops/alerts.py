"""What people must know, raised once and resolved once; `ops.alerting` tells them. The runbook says what to do."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import db
from db import alerts
from ops import log
from ops.manual import page

LONGEST_SUBJECT = 200
"""Letters of a subject that the table keeps."""


class Kind(StrEnum):
    """What is wrong; each kind has a paragraph in the runbook under its own name."""

    LATE = "late"
    FAILED = "failed"
    POISON = "poison"
    DEGRADED = "degraded"
    DEVICE_LOST = "device-lost"
    LEASE_LOST = "lease-lost"
    DISK = "disk"
    DATABASE = "database"
    FEED = "feed"


def raise_(
    bound: Engine | Session, kind: str, subject: str, message: str, *, now: datetime, run_id: str | None = None
) -> bool:
    """Open an alert about a subject, such as a run or a cycle; whether none of this kind and subject was open.

    Within the session's transaction; or with an engine in one of its own, which never raises for a database that
    is away: an alert is no reason for what it tells of to fail. Raises ValueError for an unknown kind.
    """
    known, about, text = Kind(kind).value, _subject(subject), db.masked_url(message)
    opened = _within(bound, lambda session: alerts.raise_(session, known, about, text, now, run_id) is not None)
    if opened:
        log.get().warning("alert", kind=known, subject=about, message=text, runbook=f"{page('runbook.md')}#{known}")
    return opened


def resolve(bound: Engine | Session, kind: str, subject: str, *, now: datetime, reason: str = "") -> bool:
    """Close the open alert about a subject, as in `raise_`, and say why it is right again; whether there was one."""
    known, about, text = Kind(kind).value, _subject(subject), db.masked_url(reason)
    closed = _within(bound, lambda session: alerts.resolve(session, known, about, now, text))
    if closed:
        log.get().info("alert resolved", kind=known, subject=about, reason=text)
    return closed


def _subject(text: str) -> str:
    """On one line, as it stands in the subject of a mail."""
    return " ".join(text.split())[:LONGEST_SUBJECT]


def _within(bound: Engine | Session, change: Callable[[Session], bool]) -> bool:
    if isinstance(bound, Session):
        return change(bound)
    try:
        with db.writing(bound) as session:
            return change(session)
    except SQLAlchemyError as error:
        log.get().error("an alert could not be recorded", reason=" ".join(str(error).split())[:200])
        return False
