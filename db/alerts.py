"""Alerts: one open per kind and subject; told to every receiver once when raised, and once when it is right again.

Several daemons may tell: a notice is claimed for a while by the one that is about to deliver it. What is neither told
nor claimed is owed, so that a notice which a killed process or an absent receiver left behind goes out later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.runs import rows_changed
from db.schema import Alert, AlertNotice


class Turn(StrEnum):
    """What a notice tells of an alert."""

    RAISED = "raised"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Owed:
    """A notice that a receiver has not got: of an alert that was raised, or resolved."""

    alert_id: int
    turn: Turn
    channel: str


def raise_(
    session: Session, kind: str, subject: str, message: str, now: datetime, run_id: str | None = None
) -> Alert | None:
    """Open an alert; None, and nothing changes, when one of this kind and subject is open already."""
    if find(session, kind, subject) is not None:
        return None
    alert = Alert(kind=kind, subject=subject, message=message, run_id=run_id, raised_at=now)
    try:
        with session.begin_nested():
            session.add(alert)
    except IntegrityError:
        if find(session, kind, subject) is None:
            raise
        return None
    return alert


def resolve(session: Session, kind: str, subject: str, now: datetime, reason: str = "") -> bool:
    """Close the open alert of this kind and subject; whether there was one."""
    statement = update(Alert).where(Alert.kind == kind, Alert.subject == subject, Alert.resolved_at.is_(None))
    return rows_changed(session, statement.values(resolved_at=now, resolution=reason or None)) == 1


def find(session: Session, kind: str, subject: str) -> Alert | None:
    """The open alert of this kind and subject."""
    query = select(Alert).where(Alert.kind == kind, Alert.subject == subject, Alert.resolved_at.is_(None))
    return session.scalars(query).one_or_none()


def get(session: Session, alert_id: int) -> Alert | None:
    """The alert of this number."""
    return session.get(Alert, alert_id)


def standing(session: Session, kind: str | None = None, limit: int = 200) -> Sequence[Alert]:
    """The open alerts, of one kind or of all, the last raised first."""
    wanted = [Alert.resolved_at.is_(None)] + ([Alert.kind == kind] if kind is not None else [])
    return session.scalars(
        select(Alert).where(*wanted).order_by(Alert.raised_at.desc(), Alert.id.desc()).limit(limit)
    ).all()


def latest(session: Session, limit: int = 50) -> Sequence[Alert]:
    """Alerts, open and resolved, the last raised first."""
    return session.scalars(select(Alert).order_by(Alert.raised_at.desc(), Alert.id.desc()).limit(limit)).all()


def of_run(session: Session, run_id: str) -> Sequence[Alert]:
    """The alerts about a run, in order."""
    return session.scalars(select(Alert).where(Alert.run_id == run_id).order_by(Alert.raised_at, Alert.id)).all()


def owed(session: Session, channels: Sequence[str], since: datetime) -> list[Owed]:
    """Notices that these channels have not got, in order: of open alerts, and of those resolved since then."""
    if not channels:
        return []
    recent = or_(Alert.resolved_at.is_(None), Alert.resolved_at >= since)
    query = select(Alert).where(recent, _not_told()).order_by(Alert.raised_at, Alert.id)
    return [each for alert in session.scalars(query).all() for each in _of_alert(session, alert, channels)]


def _not_told() -> ColumnElement[bool]:
    return or_(Alert.told_at.is_(None), Alert.resolved_at.is_not(None) & Alert.resolution_told_at.is_(None))


def _of_alert(session: Session, alert: Alert, channels: Sequence[str]) -> list[Owed]:
    query = select(AlertNotice).where(AlertNotice.alert_id == alert.id, AlertNotice.told_at.is_not(None))
    told = {(row.turn, row.channel) for row in session.scalars(query)}
    turns = [Turn.RAISED] if alert.resolved_at is None else [Turn.RAISED, Turn.RESOLVED]
    return [Owed(alert.id, turn, one) for one in channels for turn in turns if (turn.value, one) not in told]


def claim(session: Session, each: Owed, now: datetime, duration: timedelta) -> Alert | None:
    """The alert to tell of, if nobody else has told it or is about to; then nobody else tells it for `duration`."""
    key = (each.alert_id, each.turn.value, each.channel)
    row = session.get(AlertNotice, key, populate_existing=True)
    if row is None:
        try:
            with session.begin_nested():
                session.add(_notice(each, claimed_until=now + duration))
        except IntegrityError:
            return None
        return session.get_one(Alert, each.alert_id)
    statement = update(AlertNotice).where(
        AlertNotice.alert_id == each.alert_id,
        AlertNotice.turn == each.turn.value,
        AlertNotice.channel == each.channel,
        AlertNotice.told_at.is_(None),
        AlertNotice.claimed_until <= now,
    )
    taken = rows_changed(session, statement.values(claimed_until=now + duration)) == 1
    return session.get_one(Alert, each.alert_id) if taken else None


def _notice(each: Owed, claimed_until: datetime) -> AlertNotice:
    return AlertNotice(alert_id=each.alert_id, turn=each.turn.value, channel=each.channel, claimed_until=claimed_until)


def not_told(session: Session, each: Owed, error: str, now: datetime, pause: timedelta, longest: timedelta) -> None:
    """Note that a notice was not taken, and why; it is tried again after a pause that doubles with every failure."""
    row = session.get_one(AlertNotice, (each.alert_id, each.turn.value, each.channel))
    row.error, row.claimed_until = error, now + min(pause * 2 ** min(row.failures, 20), longest)
    row.failures += 1
    session.flush()


def told(session: Session, each: Owed, channels: Sequence[str], now: datetime) -> None:
    """Note that a notice was taken; the alert counts as told when all the channels have taken theirs."""
    row = session.get_one(AlertNotice, (each.alert_id, each.turn.value, each.channel))
    row.told_at, row.error = now, None
    session.flush()
    alert = session.get_one(Alert, each.alert_id)
    left = {one.turn for one in _of_alert(session, alert, channels)}
    if Turn.RAISED not in left and alert.told_at is None:
        alert.told_at = now
    if alert.resolved_at is not None and Turn.RESOLVED not in left and alert.resolution_told_at is None:
        alert.resolution_told_at = now
    session.flush()
