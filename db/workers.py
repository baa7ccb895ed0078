"""The processes that worked on runs: when each began, how it ended, and what it used."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.runs import rows_changed
from db.schema import Worker

UNSEEN = "it ended while nobody watched it"


def begin(session: Session, run_id: str, host: str, pid: int, now: datetime, log_path: str | None = None) -> int:
    """Note a process that begins to work on a run, and return its number.

    A run has one process at a time: those that are noted without an end have ended unseen.
    """
    unseen = update(Worker).where(Worker.run_id == run_id, Worker.ended_at.is_(None))
    rows_changed(session, unseen.values(ended_at=now, reason=func.coalesce(Worker.reason, UNSEEN)))
    row = Worker(run_id=run_id, host=host, pid=pid, started_at=now, log_path=log_path)
    session.add(row)
    session.flush()
    return row.id


def of_process(session: Session, run_id: str, host: str, pid: int) -> int | None:
    """The number of the process that is noted as working on the run and has not ended."""
    query = select(Worker.id).where(
        Worker.run_id == run_id, Worker.host == host, Worker.pid == pid, Worker.ended_at.is_(None)
    )
    return session.scalar(query.order_by(Worker.id.desc()))


def note(session: Session, number: int, **values: Any) -> None:
    """Set columns of a process, such as its batch size."""
    rows_changed(session, update(Worker).where(Worker.id == number).values(**values))


def end(
    session: Session,
    number: int,
    now: datetime,
    *,
    code: int,
    kind: str,
    reason: str,
    peak_memory_bytes: int | None,
    cpu_seconds: float | None,
) -> None:
    """Note how a process ended. What it said of its own memory is kept: it knows best."""
    note(
        session,
        number,
        ended_at=now,
        exit_code=code,
        kind=str(kind),
        reason=reason,
        peak_memory_bytes=func.coalesce(Worker.peak_memory_bytes, peak_memory_bytes),
        cpu_seconds=func.coalesce(cpu_seconds, Worker.cpu_seconds),
    )


def of_run(session: Session, run_id: str) -> Sequence[Worker]:
    """The processes that worked on a run, in order."""
    return session.scalars(select(Worker).where(Worker.run_id == run_id).order_by(Worker.id)).all()


def batch_that_did_not_fit(session: Session, run_id: str) -> int | None:
    """The smallest batch with which a process of this run ended for want of memory, None when none did."""
    short = (Worker.run_id == run_id, Worker.kind == "memory", Worker.batch_size.is_not(None))
    return session.scalar(select(func.min(Worker.batch_size)).where(*short))
