"""Take a run to work on: create its row, or find the one that is there and may be gone on with."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

import db
from db import leases, runs, stages, tries
from db.leases import Lease
from db.runs import NewRun
from db.schema import Run
from db.states import RunState
from ops import process
from ops.clock import Clock
from ops.errors import ConfigurationError
from ops.plan import Plan, software

TRIES = 5


@dataclass(frozen=True)
class Claim:
    """A run, and the lease on it; no lease when the run is published already."""

    run_id: str
    product: str
    lease: Lease | None


def claim(engine: Engine, plan: Plan, store_url: str, fresh: bool, clock: Clock, run_id: str | None = None) -> Claim:
    """The run of this plan, taken; `fresh` cancels one that did not end and begins another.

    `run_id` names the run that it must be. Raises LeaseHeld, naming the process, when a live one has the run,
    ConfigurationError when the run of that name is of another plan, and IllegalTransition when it was cancelled.
    """
    for _ in range(TRIES):
        try:
            with db.writing(engine) as session:
                return _claim(session, plan, store_url, fresh, clock, run_id)
        except db.RunExists:
            continue
    raise db.LeaseHeld(f"other processes keep taking the run {plan.name}")


def ensure(
    session: Session, plan: Plan, store_url: str, clock: Clock, purpose: str = "forecast", again: bool = False
) -> Run | None:
    """The run of this plan, made when there is none, and ready to be tried unless it is over; nobody is given it.

    None when somebody cancelled or retracted it: then it is made again only where that is asked for by `again`.
    """
    for _ in range(TRIES):
        run = runs.with_identity(session, plan.identity)
        if run is not None:
            tries.make_ready(session, run, clock())
            return run
        if not again and runs.was_given_up(session, plan.identity):
            return None
        try:
            return _create(session, plan, store_url, clock, purpose, next_try_at=clock())
        except db.RunExists:
            continue
    raise db.RunExists(f"other processes keep making the run {plan.name}")


def _claim(session: Session, plan: Plan, store_url: str, fresh: bool, clock: Clock, run_id: str | None) -> Claim:
    run = runs.with_identity(session, plan.identity) if run_id is None else _named(session, run_id, plan)
    if run is not None and run.state == RunState.PUBLISHED:
        return Claim(run.id, run.spec["product"], None)
    if run is not None and fresh:
        _cancel(session, run, clock)
        run = None
    if run is None:
        run = _create(session, plan, store_url, clock)
    lease = _take(session, run, timedelta(seconds=plan.settings.lease.seconds), clock)
    return Claim(run.id, run.spec["product"], lease)


def _named(session: Session, run_id: str, plan: Plan) -> Run:
    """The run of this name, which must be of this plan."""
    run = runs.get(session, run_id)
    if (run.model_hash, run.config_hash) != (plan.identity.model_hash, plan.identity.config_hash):
        raise ConfigurationError(
            f"expected the configuration that run {run_id} was made with, got another one: "
            "restart the daemon after a change of the configuration, or change it back"
        )
    return run


def _take(session: Session, run: Run, duration: timedelta, clock: Clock) -> Lease:
    """The lease, and the run in state `running`; what a killed process left open is closed first."""
    lease = leases.acquire(session, run.id, process.this_process(), clock(), process.is_dead, duration)
    stages.interrupt_open(session, run.id, clock())
    token = lease.token
    if run.state == RunState.RUNNING:
        gone = "the process that ran it is gone"
        runs.transition(session, run.id, RunState.INTERRUPTED, clock(), message=gone, token=token)
    how = "started" if run.state == RunState.CREATED else "goes on from what is saved"
    runs.transition(session, run.id, RunState.RUNNING, clock(), message=how, token=token)
    return lease


def _cancel(session: Session, run: Run, clock: Clock) -> None:
    """Cancel a run that no live process has. Raises LeaseHeld."""
    leases.acquire(session, run.id, process.this_process(), clock(), process.is_dead)
    leases.revoke(session, run.id, clock(), "begun afresh by another run")


def _create(
    session: Session,
    plan: Plan,
    store_url: str,
    clock: Clock,
    purpose: str = "forecast",
    next_try_at: datetime | None = None,
) -> Run:
    new = NewRun(
        id=_free_name(session, plan),
        identity=plan.identity,
        model_name=plan.checkpoint.name,
        source=plan.settings.source.name,
        store_url=store_url,
        members=plan.spec.members,
        spec=plan.document(_product(session, plan, store_url)),
        seeds=plan.seeds(),
        software=software(),
        purpose=purpose,
        next_try_at=next_try_at,
    )
    return runs.create(session, new, clock())


def _free_name(session: Session, plan: Plan) -> str:
    taken = set(session.scalars(select(Run.id).where(Run.id.startswith(plan.name, autoescape=True))))
    names = (plan.name if number == 1 else f"{plan.name}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _product(session: Session, plan: Plan, store_url: str) -> str:
    """The product's name: as configured or the model's; told apart when another run has it in this cycle for good."""
    wanted = plan.settings.products.product or _fit(plan.checkpoint.name)
    others = session.scalars(
        select(Run).where(
            Run.init_time == plan.cycle,
            Run.store_url == store_url,
            or_(Run.config_hash != plan.identity.config_hash, Run.retracted_at.is_not(None)),
        )
    )
    taken = {run.spec["product"] for run in others}
    apart = f"{wanted}-{plan.name.rpartition('-')[2]}"
    names = [wanted, apart, *(f"{apart}-{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def _fit(name: str) -> str:
    """A model's name in the letters that an object key may have."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)
