"""What the rules of alerting see, and what they find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import Alert, Daemon, Run
from db.states import RunState
from ops.alerts import Kind
from ops.config import Settings

LOOK_BACK = timedelta(days=3)
"""Older cycles and runs are history, and nothing that anybody has to mend."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now."""

    subject: str
    message: str
    run_id: str | None = None


@dataclass(frozen=True)
class Scene:
    """The history, the settings, the moment, and the alerts that are open."""

    session: Session
    settings: Settings
    now: datetime
    open: Sequence[Alert]
    forecasts: Sequence[Run] = field(init=False)
    watched_since: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        since = self.now - LOOK_BACK
        model = self.settings.forecast.model
        query = select(Run).where(Run.init_time >= since, Run.model_name == model, Run.purpose == "forecast")
        object.__setattr__(self, "forecasts", self.session.scalars(query.order_by(Run.created_at)).all())
        started = self.session.scalars(select(Daemon.started_at).order_by(Daemon.started_at).limit(1)).first()
        object.__setattr__(self, "watched_since", started)

    def is_open(self, kind: Kind, subject: str) -> bool:
        """Whether people were told already."""
        return any((one.kind, one.subject) == (kind.value, subject) for one in self.open)

    def of_cycle(self, cycle: datetime) -> list[Run]:
        """The runs of the configured model for a cycle, the last created last."""
        return [run for run in self.forecasts if run.init_time == cycle]

    def published(self, cycle: datetime) -> Run | None:
        """The first run of the configured model that published a cycle."""
        done = [run for run in self.of_cycle(cycle) if is_published(run)]
        return min(done, key=lambda run: run.ended_at or run.created_at, default=None)


@dataclass(frozen=True)
class Rule:
    """What is wrong now, and why an alert of this kind that is not among it is right again; None: not ours to say."""

    kind: Kind
    wrong: Callable[[Scene], list[Finding]]
    right: Callable[[Scene, Alert], str | None]


def is_published(run: Run) -> bool:
    """Whether readers have it."""
    return run.state == RunState.PUBLISHED and run.retracted_at is None


def hour(moment: datetime | None) -> str:
    """14:05 UTC."""
    return f"{moment:%H:%M} UTC" if moment else "an unknown time"


def cycle_name(cycle: datetime) -> str:
    """2026-11-21 06 UTC."""
    return f"{cycle:%Y-%m-%d %H} UTC"


def span(length: timedelta) -> str:
    """1 h 05 min."""
    minutes = max(0, round(length.total_seconds() / 60))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
