"""The runs that are not over: how far each is, and when it should be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from db import products, stages
from db.schema import Run, Stage
from db.states import AttemptState, RunState
from ops.web.pages.words import span

STAGES = {"fetch": "Analysis", "integrate": "Forecast", "finish": "Charts and manifest"}
"""The stages of a run, in order, as people call them."""


@dataclass(frozen=True)
class Step:
    """A stage: its state, and how long it took or has taken so far."""

    name: str
    title: str
    state: str
    took: timedelta | None


@dataclass(frozen=True)
class Activity:
    """A run that is not over. `share` of the whole is done, `ends_at` is when it should be published; None for unknown.

    `silent_since` is set when its process has given no sign of life for longer than the lease allows.
    """

    run: Run
    steps: tuple[Step, ...]
    lead_hours: float | None
    of_lead_hours: float | None
    share: float | None
    ends_at: datetime | None
    lost: int
    silent_since: datetime | None

    @property
    def stage(self) -> str:
        """The stage it is at, in words."""
        at = next((step for step in self.steps if step.state == AttemptState.RUNNING), None)
        return at.title if at else "Waiting for a worker"

    @property
    def told(self) -> str:
        """How far it is, without numbers that change by the second: read aloud when it changes."""
        return f"{self.run.id}: {self.run.state}, {self.stage.lower()}"

    @property
    def percent(self) -> int | None:
        """The share in whole percent, rounded down: 100 only when all is done."""
        return None if self.share is None else int(100 * self.share)

    @property
    def left(self) -> str:
        """The part of the forecast that is done, for a reader of the bar."""
        if self.lead_hours is None or self.of_lead_hours is None:
            return self.stage
        return f"lead time {self.lead_hours:g} of {self.of_lead_hours:g} hours"


def activity(session: Session, run: Run, now: datetime) -> Activity:
    """How far a run is, by what its worker told last and by the history."""
    told = run.progress or {}
    reached, whole = told.get("lead_hours"), told.get("of_lead_hours") or (run.spec or {}).get("duration_hours")
    if reached is None:
        published = products.published_lead_times(session, run.id)
        reached = float(published[-1]) if published else None
    running = run.state == RunState.RUNNING
    return Activity(
        run=run,
        steps=steps(stages.of_run(session, run.id), now),
        lead_hours=reached,
        of_lead_hours=whole,
        share=_share(told, reached, whole),
        ends_at=_ends_at(told) if running else None,
        lost=len(products.losses(session, run.id)),
        silent_since=_silent_since(run, now) if running else None,
    )


def _share(told: dict, reached: float | None, whole: float | None) -> float | None:
    if told.get("of_member_hours"):
        reached, whole = told.get("member_hours", 0.0), told["of_member_hours"]
    return min(max(reached / whole, 0.0), 1.0) if reached is not None and whole else None


def _ends_at(told: dict) -> datetime | None:
    if told.get("seconds_left") is None or told.get("at") is None:
        return None
    return datetime.fromisoformat(told["at"]) + timedelta(seconds=told["seconds_left"])


def _silent_since(run: Run, now: datetime) -> datetime | None:
    expired = run.lease_expires_at is not None and run.lease_expires_at < now
    return run.lease_renewed_at if expired else None


def steps(begun: Sequence[Stage], now: datetime) -> tuple[Step, ...]:
    """All stages in order; those that nobody has begun are waiting."""
    rows = {stage.name: stage for stage in begun}
    names = [*STAGES, *(name for name in rows if name not in STAGES)]
    return tuple(_step(name, rows.get(name), now) for name in names)


def _step(name: str, row: Stage | None, now: datetime) -> Step:
    title = STAGES.get(name, name.capitalize())
    if row is None:
        return Step(name, title, "waiting", None)
    return Step(name, title, row.state, (row.ended_at or now) - row.started_at)


def took(started: datetime | None, ended: datetime | None) -> str:
    """The time between two moments, a dash when one is not known."""
    return span(ended - started) if started and ended else "–"
