"""Stages of a run and the attempts at them, with their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.runs import rows_changed
from db.schema import Attempt, Stage
from db.states import AttemptState

if TYPE_CHECKING:
    from db.leases import Owner


@dataclass(frozen=True)
class Try:
    """One attempt at a stage, counted from one."""

    run_id: str
    stage: str
    number: int


def begin(session: Session, run_id: str, stage: str, owner: "Owner", now: datetime) -> Try:
    """Open the next attempt at a stage."""
    last = session.scalar(select(func.max(Attempt.number)).where(Attempt.run_id == run_id, Attempt.stage == stage))
    number = (last or 0) + 1
    state = AttemptState.RUNNING.value
    session.add(
        Attempt(
            run_id=run_id,
            stage=stage,
            number=number,
            state=state,
            host=owner.host,
            pid=owner.pid,
            started_at=now,
        )
    )
    row = session.get(Stage, (run_id, stage))
    if row is None:
        session.add(Stage(run_id=run_id, name=stage, state=state, started_at=now))
    else:
        row.state, row.ended_at = state, None
    session.flush()
    return Try(run_id, stage, number)


def end(
    session: Session,
    attempt: Try,
    state: AttemptState,
    now: datetime,
    error: str | None = None,
) -> None:
    """Close an attempt, and with it the stage, as done, failed or interrupted."""
    values = {"state": state.value, "ended_at": now}
    this_attempt = (
        update(Attempt)
        .where(
            Attempt.run_id == attempt.run_id,
            Attempt.stage == attempt.stage,
            Attempt.number == attempt.number,
        )
        .values(error=error, **values)
    )
    rows_changed(session, this_attempt)
    stage = update(Stage).where(Stage.run_id == attempt.run_id, Stage.name == attempt.stage)
    rows_changed(session, stage.values(**values))


def interrupt_open(session: Session, run_id: str, now: datetime) -> int:
    """Close what a killed process left open; returns how many attempts that were."""
    still_open = (Attempt.run_id == run_id, Attempt.state == AttemptState.RUNNING.value)
    values = {"state": AttemptState.INTERRUPTED.value, "ended_at": now}
    count = rows_changed(session, update(Attempt).where(*still_open).values(**values))
    open_stages = (Stage.run_id == run_id, Stage.state == AttemptState.RUNNING.value)
    rows_changed(session, update(Stage).where(*open_stages).values(**values))
    return count


def is_done(session: Session, run_id: str, stage: str) -> bool:
    """Whether the stage needs no further attempt."""
    row = session.get(Stage, (run_id, stage), populate_existing=True)
    return row is not None and row.state == AttemptState.DONE.value


def of_run(session: Session, run_id: str) -> Sequence[Stage]:
    """The stages begun so far, in the order of their start."""
    return session.scalars(select(Stage).where(Stage.run_id == run_id).order_by(Stage.started_at, Stage.name)).all()


def attempts(session: Session, run_id: str) -> Sequence[Attempt]:
    """All attempts at all stages, in order."""
    return session.scalars(select(Attempt).where(Attempt.run_id == run_id).order_by(Attempt.id)).all()
