"""What people are told of an alert, in words and as facts."""

import socket
from datetime import datetime
from typing import Any

from db.alerts import Turn
from db.schema import Alert
from ops.alert_settings import AlertSettings
from ops.alerting.channels import Message


def of_alert(alert: Alert, turn: Turn, settings: AlertSettings) -> Message:
    """That an alert was raised, or that it is right again; the same whenever and by whomever it is written."""
    raised = turn is Turn.RAISED
    at = alert.raised_at if raised or alert.resolved_at is None else alert.resolved_at
    happened = alert.message if raised else f"{alert.resolution or 'right again'} (it was: {alert.message})"
    facts: dict[str, Any] = {
        "event": "alert raised" if raised else "alert resolved",
        "kind": alert.kind,
        "subject": alert.subject,
        "message": alert.message,
        "run_id": alert.run_id,
        "raised_at": _stamp(alert.raised_at),
        "resolved_at": None if raised else _stamp(alert.resolved_at),
        "resolution": None if raised else alert.resolution,
        "runbook": settings.runbook(alert.kind),
    }
    word = alert.kind if raised else f"recovered, was {alert.kind}"
    return Message(
        f"alert/{alert.id}/{turn.value}", f"sigmacast {word}: {alert.subject}", _text(happened, facts), facts, at
    )


def of_database(since: datetime, back_at: datetime | None, reason: str, settings: AlertSettings) -> Message:
    """That this daemon has no run history, which therefore cannot keep the alert; or that it has it again."""
    host, raised = socket.gethostname(), back_at is None
    happened = f"the run history does not answer since {_stamp(since)}: {reason}"
    facts: dict[str, Any] = {
        "event": "alert raised" if raised else "alert resolved",
        "kind": "database",
        "subject": host,
        "message": happened,
        "run_id": None,
        "raised_at": _stamp(since),
        "resolved_at": _stamp(back_at),
        "resolution": None if raised else "the run history answers again",
        "runbook": settings.runbook("database"),
    }
    turn = "raised" if raised else "resolved"
    word = "database" if raised else "recovered, was database"
    text = _text(happened if raised else f"the run history answers again (it was: {happened})", facts)
    return Message(
        f"alert/database-{host}-{since:%Y%m%d%H%M%S}/{turn}", f"sigmacast {word}: {host}", text, facts, back_at or since
    )


def trial(settings: AlertSettings, now: datetime) -> Message:
    """A message that asks for nothing, to see whether it comes."""
    facts = {"event": "test", "kind": "test", "subject": socket.gethostname(), "runbook": settings.runbook_page}
    return Message(
        f"alert/test-{now:%Y%m%d%H%M%S%f}",
        "sigmacast test: nothing is wrong",
        _text("sent to see that it comes", facts),
        facts,
        now,
    )


def _text(happened: str, facts: dict[str, Any]) -> str:
    lines = [happened[:1].upper() + happened[1:] + ".", ""]
    if facts.get("run_id"):
        lines.append(f"Run:          {facts['run_id']}   (sigmacast runs show {facts['run_id']})")
    lines.append(f"What to do:   {facts['runbook']}")
    return "\n".join(lines) + "\n"


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
