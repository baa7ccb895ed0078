"""Tries: when a run is tried next, and what is noted of tries that ended. Functions over a session.

A run that waits has `next_try_at`; one that has none is left alone. Whoever is about to start a worker reserves the run
by moving that moment, so that no other daemon starts one too; if nothing comes of it, the run is ready again then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from db import leases, runs, stages
from db.schema import Order, Run
from db.states import RunState

WAITING = (RunState.CREATED.value, RunState.INTERRUPTED.value, RunState.FAILED.value)
"""States in which a run waits for its next try, if it is to have one."""
LONGEST = timedelta(hours=12)
"""No try is put off for longer; one that seems to be was, before the clock was set back."""


def is_ready(now: datetime) -> ColumnElement[bool]:
    """The condition that a run waits for a try whose time has come."""
    in_time = or_(Run.next_try_at <= now, Run.next_try_at > now + LONGEST)
    return Run.state.in_(WAITING) & in_time


def make_ready(session: Session, run: Run, now: datetime) -> None:
    """Have a run tried that was left by somebody, such as one who interrupted it; not one that failed for good."""
    if run.next_try_at is None and run.state in (RunState.CREATED, RunState.INTERRUPTED):
        runs.amend(session, run.id, next_try_at=now)


def ask_again(session: Session, run: Run, now: datetime) -> None:
    """Have a run tried that failed for good, as if it never had."""
    if run.state == RunState.FAILED and run.next_try_at is None:
        runs.amend(session, run.id, next_try_at=now, failures=0)


def reserve(session: Session, run_id: str, now: datetime, until: datetime) -> bool:
    """Keep other daemons from starting a worker for a run until then; False when one of them came first."""
    statement = update(Run).where(Run.id == run_id, is_ready(now)).values(next_try_at=until)
    return runs.rows_changed(session, statement) == 1


def keep(session: Session, run_ids: Sequence[str], until: datetime) -> None:
    """Prolong reservations, while workers that were started have not taken their runs yet."""
    mine = (Run.id.in_(run_ids), Run.state.in_(WAITING), Run.next_try_at.is_not(None), Run.next_try_at < until)
    runs.rows_changed(session, update(Run).where(*mine).values(next_try_at=until))


def running(session: Session) -> Sequence[Run]:
    """The runs that processes work on, or did when they were last heard of."""
    return session.scalars(select(Run).where(Run.state == RunState.RUNNING.value)).all()


def left(session: Session, run: Run, reason: str, now: datetime) -> None:
    """A process that had a run ended without a word, and did nothing wrong: the run is ready at once."""
    values = {"next_try_at": now, **leases.freed()}
    runs.transition(session, run.id, RunState.INTERRUPTED, now, message=reason, **values)
    stages.interrupt_open(session, run.id, now)


def failed(session: Session, run: Run, reason: str, next_try_at: datetime | None, now: datetime) -> None:
    """A try failed: count it, and try again then, or never by itself. Whoever had the run has it no more."""
    values = {"failures": run.failures + 1, "next_try_at": next_try_at}
    if run.state == RunState.FAILED:
        runs.amend(session, run.id, **values)
        return
    free = leases.freed()
    runs.transition(session, run.id, RunState.FAILED, now, message=reason, error=reason, **values, **free)
    stages.interrupt_open(session, run.id, now)


def orphaned(session: Session, run: Run, next_try_at: datetime | None, now: datetime) -> bool:
    """Take a run from a process that is gone; False when it gave a sign of life or somebody else was faster.

    The run is interrupted and ready then; with None, it has failed for good.
    """
    renewed = Run.lease_renewed_at == run.lease_renewed_at if run.lease_renewed_at else Run.lease_renewed_at.is_(None)
    still = update(Run).where(Run.id == run.id, Run.state == RunState.RUNNING.value, Run.lease_token == run.lease_token)
    if runs.rows_changed(session, still.where(renewed).values(**leases.freed())) != 1:
        return False
    gone = f"taken from process {run.lease_pid} on {run.lease_host}, which gives no sign of life"
    runs.tell(session, run.id, now, "takeover", gone)
    values = {"failures": run.failures + 1, "next_try_at": next_try_at}
    if next_try_at is None:
        runs.transition(session, run.id, RunState.FAILED, now, message=gone, error=gone, **values)
    else:
        runs.transition(session, run.id, RunState.INTERRUPTED, now, message=gone, **values)
    stages.interrupt_open(session, run.id, now)
    return True


def outdated(session: Session, before: datetime, waiting_since: datetime) -> Sequence[Run]:
    """Runs of cycles before a moment that have waited since another for their next try, and that nobody ordered."""
    query = select(Run).where(Run.init_time < before, Run.state.in_(WAITING), Run.next_try_at < waiting_since)
    ordered = select(Order.run_id).where(Order.ended_at.is_(None), Order.run_id.is_not(None))
    return session.scalars(query.where(Run.id.not_in(ordered))).all()


def sealed(session: Session, before: datetime) -> Sequence[str]:
    """Names of runs of cycles before a moment that wait for their next try, and whose manifest may be in the store."""
    query = select(Run.id).where(Run.init_time < before, Run.state.in_(WAITING), Run.next_try_at.is_not(None))
    return session.scalars(query.where(runs.sealed())).all()


def give_up(session: Session, run: Run, reason: str, now: datetime) -> None:
    """Try a run no more: one that failed stays so, another is cancelled, unless it is sealed."""
    if runs.is_sealed(session, run.id):
        return
    if run.state == RunState.FAILED:
        runs.amend(session, run.id, next_try_at=None)
        runs.tell(session, run.id, now, "given up", reason)
    else:
        leases.revoke(session, run.id, now, reason)
