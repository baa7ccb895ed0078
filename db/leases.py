"""Who may change a run: a lease with an expiry, a heartbeat and a fencing token.

The token grows at every change of hands. Whoever writes names the token it was given, in the same
transaction, so a process that slept through the end of its lease cannot write any more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from db import stages
from db.errors import LeaseHeld, LeaseLost
from db.runs import get, rows_changed, tell, transition
from db.schema import Run
from db.states import RunState

DURATION = timedelta(seconds=60)
"""How long a lease holds without a heartbeat."""


@dataclass(frozen=True)
class Owner:
    """A process: its host, its number there, and a mark that tells it from later ones of the same number."""

    host: str
    pid: int
    process: str


@dataclass(frozen=True)
class Lease:
    """The right to change one run, proved by the token."""

    run_id: str
    owner: Owner
    token: int


Death = Callable[[Owner], bool]
"""Says whether a process is known to be dead; False when it lives or nobody here can tell."""


_NOBODY = {"lease_host": None, "lease_pid": None, "lease_process": None, "lease_expires_at": None}


def holder(run: Run) -> Owner | None:
    """The process that holds the run's lease, expired or not."""
    if run.lease_host is None or run.lease_pid is None or run.lease_process is None:
        return None
    return Owner(run.lease_host, run.lease_pid, run.lease_process)


def is_held(run: Run, now: datetime, is_dead: Death) -> bool:
    """Whether a process that may still be alive holds the run."""
    owner = holder(run)
    return owner is not None and run.lease_expires_at is not None and run.lease_expires_at > now and not is_dead(owner)


def acquire(
    session: Session,
    run_id: str,
    owner: Owner,
    now: datetime,
    is_dead: Death,
    duration: timedelta = DURATION,
) -> Lease:
    """Take the run, from nobody or from a process that is dead or whose lease has expired.

    Raises LeaseHeld when another process has it, or takes it at the same moment.
    """
    run = get(session, run_id)
    former = holder(run)
    if is_held(run, now, is_dead):
        raise LeaseHeld(_held_message(run, now))
    statement = (
        update(Run)
        .where(Run.id == run_id, Run.lease_token == run.lease_token)
        .values(
            lease_token=run.lease_token + 1,
            lease_host=owner.host,
            lease_pid=owner.pid,
            lease_process=owner.process,
            lease_renewed_at=now,
            lease_expires_at=now + duration,
        )
    )
    if rows_changed(session, statement) != 1:
        raise LeaseHeld(f"run {run_id} is being taken by another process at this moment")
    if former is not None:
        tell(
            session,
            run_id,
            now,
            "takeover",
            f"taken over from process {former.pid} on {former.host}, which is gone",
        )
    return Lease(run_id, owner, run.lease_token + 1)


def _held_message(run: Run, now: datetime) -> str:
    renewed = run.lease_renewed_at or now
    expires = run.lease_expires_at or now
    return (
        f"run {run.id} is being run by process {run.lease_pid} on {run.lease_host}: last sign of life "
        f"{max(0, round((now - renewed).total_seconds()))} s ago, lease for another "
        f"{round((expires - now).total_seconds())} s"
    )


def renew(session: Session, lease: Lease, now: datetime, duration: timedelta = DURATION) -> None:
    """The heartbeat: hold the run for `duration` from now. Raises LeaseLost when another process has it."""
    statement = (
        update(Run)
        .where(
            Run.id == lease.run_id,
            Run.lease_token == lease.token,
            Run.lease_pid.is_not(None),
        )
        .values(lease_renewed_at=now, lease_expires_at=now + duration)
    )
    if rows_changed(session, statement) != 1:
        raise LeaseLost(
            f"run {lease.run_id} is no longer this process's: another process has taken it, or it was cancelled"
        )


def fence(session: Session, lease: Lease) -> None:
    """Make the rest of this transaction safe: the run stays ours until it ends. Raises LeaseLost."""
    statement = (
        update(Run)
        .where(
            Run.id == lease.run_id,
            Run.lease_token == lease.token,
            Run.lease_pid.is_not(None),
        )
        .values(lease_token=lease.token)
    )
    if rows_changed(session, statement) != 1:
        raise LeaseLost(f"run {lease.run_id} is no longer this process's: nothing was written")


def release(session: Session, lease: Lease) -> None:
    """Give the run back. The token stays, so that this lease never counts again."""
    rows_changed(
        session,
        update(Run).where(Run.id == lease.run_id, Run.lease_token == lease.token).values(**_NOBODY),
    )


def freed() -> dict[str, Any]:
    """The columns to set so that nobody holds a run, and whoever held it can write no more."""
    return {"lease_token": Run.lease_token + 1, **_NOBODY}


def revoke(session: Session, run_id: str, now: datetime, message: str = "cancelled") -> None:
    """Cancel a run, whoever has it: its process can write nothing any more and ends at its next sign of life.

    Raises UnknownRun, and IllegalTransition for a run that is published or cancelled already.
    """
    transition(
        session,
        run_id,
        RunState.CANCELLED,
        now,
        message=message,
        next_try_at=None,
        **freed(),
    )
    stages.interrupt_open(session, run_id, now)
