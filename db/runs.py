"""Runs: created, found, moved through their states, listed. Functions over a session; the caller commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, func, literal, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.errors import IllegalTransition, RunExists, UnknownRun
from db.schema import Event, Run
from db.states import ENDED, GIVEN_UP, TRANSITIONS, RunState
from db.types import Document, UTCDateTime


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same forecast."""

    model_hash: str
    init_time: datetime
    config_hash: str


@dataclass(frozen=True)
class NewRun:
    """What is known of a run before any work starts."""

    id: str
    identity: Identity
    model_name: str
    source: str
    store_url: str
    members: int
    spec: Document
    seeds: Document | None = None
    software: Document | None = None
    purpose: str = "forecast"
    next_try_at: datetime | None = None


@dataclass(frozen=True)
class Filters:
    """Which runs to list; None means any. `since` and `until` bound the cycle, `created_*` its making; inclusive."""

    state: RunState | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None
    purpose: str | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None


def create(session: Session, new: NewRun, now: datetime) -> Run:
    """A row in state `created`. Raises RunExists when an active or published run has the same identity."""
    run = Run(
        id=new.id,
        model_name=new.model_name,
        model_hash=new.identity.model_hash,
        init_time=new.identity.init_time,
        config_hash=new.identity.config_hash,
        state=RunState.CREATED.value,
        source=new.source,
        store_url=new.store_url,
        members_requested=new.members,
        spec=new.spec,
        seeds=new.seeds,
        software=new.software,
        purpose=new.purpose,
        next_try_at=new.next_try_at,
        created_at=now,
        lease_token=0,
    )
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError as error:
        raise RunExists(
            f"another run of this model, cycle and configuration is there already (for {new.id})"
        ) from error
    tell(session, run.id, now, "state", "created", RunState.CREATED)
    return run


def get(session: Session, run_id: str) -> Run:
    """The run of this very name, as the database has it now. Raises UnknownRun."""
    run = session.scalar(select(Run).where(Run.id == run_id).execution_options(populate_existing=True))
    if run is None:
        raise UnknownRun(f"there is no run {run_id!r}: `sigmacast runs` lists those there are")
    return run


def find(session: Session, text: str, *, with_products: bool = False) -> Run:
    """The run named by its identifier or by the beginning of it; "latest" is the one created last.

    `with_products` makes "latest" the last created of those that are published and not retracted. Raises UnknownRun
    when none or more than one answers.
    """
    if text == "latest":
        wanted = [Run.state == RunState.PUBLISHED.value, Run.retracted_at.is_(None)] if with_products else []
        found = session.scalars(select(Run).where(*wanted).order_by(Run.created_at.desc()).limit(1)).all()
    else:
        found = session.scalars(select(Run).where(Run.id.startswith(text, autoescape=True)).limit(20)).all()
    exact = [run for run in found if run.id == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise UnknownRun(f"{text!r} is the beginning of several runs: {', '.join(sorted(run.id for run in found))}")
    raise UnknownRun(f"there is no run {text!r}: `sigmacast runs` lists those there are")


def with_identity(session: Session, identity: Identity) -> Run | None:
    """The active or published run of this identity, or else the failed one that was created last; none retracted."""
    return foremost(session.scalars(select(Run).where(*_same(identity))).all())


def of_cycles(session: Session, model_hash: str, cycles: Collection[datetime]) -> Sequence[Run]:
    """All runs of a model for these cycles."""
    return session.scalars(select(Run).where(Run.model_hash == model_hash, Run.init_time.in_(cycles))).all()


def foremost(alike: Sequence[Run]) -> Run | None:
    """Of runs of one identity the one that counts, as `with_identity` has it."""
    counting = [run for run in alike if run.state != RunState.CANCELLED and run.retracted_at is None]
    newest = sorted(counting, key=lambda run: (run.created_at, run.id), reverse=True)
    standing = [run for run in newest if run.state not in GIVEN_UP]
    return next(iter([*standing, *newest]), None)


def _same(identity: Identity) -> tuple[ColumnElement[bool], ...]:
    return (
        Run.model_hash == identity.model_hash,
        Run.init_time == identity.init_time,
        Run.config_hash == identity.config_hash,
    )


def cancelled_alike(session: Session, identity: Identity) -> list[str]:
    """The names of the cancelled runs of this identity."""
    cancelled = select(Run.id).where(*_same(identity), Run.state == RunState.CANCELLED.value)
    return sorted(session.scalars(cancelled))


def was_given_up(session: Session, identity: Identity) -> bool:
    """Whether a run of this identity was cancelled or retracted."""
    gone = or_(Run.state == RunState.CANCELLED.value, Run.retracted_at.is_not(None))
    return session.scalar(select(Run.id).where(*_same(identity), gone).limit(1)) is not None


def search(
    session: Session, filters: Filters | None = None, limit: int = 50, after: Run | None = None
) -> Sequence[Run]:
    """Runs that pass the filters, the last created first, at most `limit`; with `after`, those that follow this one."""
    query = select(Run).where(*_conditions(filters or Filters()))
    if after is not None:
        query = query.where(tuple_(Run.created_at, Run.id) < tuple_(literal(after.created_at, UTCDateTime()), after.id))
    return session.scalars(query.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit)).all()


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    equal: list[tuple[Any, Any]] = [
        (Run.state, filters.state),
        (Run.model_name, filters.model),
        (Run.source, filters.source),
        (Run.purpose, filters.purpose),
    ]
    least = [(Run.init_time, filters.since), (Run.created_at, filters.created_since)]
    most = [(Run.init_time, filters.until), (Run.created_at, filters.created_until)]
    return [
        *(column == value for column, value in equal if value is not None),
        *(column >= value for column, value in least if value is not None),
        *(column <= value for column, value in most if value is not None),
    ]


def transition(
    session: Session,
    run_id: str,
    to: RunState,
    now: datetime,
    *,
    message: str = "",
    token: int | None = None,
    **values: Any,
) -> None:
    """Move a run to another state in one conditional UPDATE, and record it with its time.

    `token`, the fencing token, must be given by whoever holds a lease; `values` are further columns to set.
    Raises IllegalTransition when the run's state does not allow it or another process moved the run first, and for
    a run that would be cancelled while it is being published.
    """
    allowed = [state.value for state, following in TRANSITIONS.items() if to in following]
    statement = update(Run).where(Run.id == run_id, Run.state.in_(allowed)).values(state=to.value, **values)
    if token is not None:
        statement = statement.where(Run.lease_token == token, Run.lease_pid.is_not(None))
    if rows_changed(session, statement.values(**_times(to, now))) != 1:
        run = get(session, run_id)
        raise IllegalTransition(
            f"run {run_id} cannot become {to.value}: it is {run.state}"
            + ("" if token in (None, run.lease_token) else ", and another process has taken it over")
        )
    if to is RunState.CANCELLED and is_sealed(session, run_id):
        raise IllegalTransition(
            f"run {run_id} cannot be cancelled: its products are complete and being published; run it again to its "
            "end, and retract it"
        )
    tell(session, run_id, now, "state", message or to.value, to)


def try_again(session: Session, run_id: str, now: datetime, message: str) -> None:
    """Let a daemon go on at once with a run that failed or was interrupted, however often it failed before.

    Raises UnknownRun, and IllegalTransition for a run in another state.
    """
    again = (RunState.FAILED.value, RunState.INTERRUPTED.value)
    statement = update(Run).where(Run.id == run_id, Run.state.in_(again)).values(next_try_at=now, failures=0)
    if rows_changed(session, statement) != 1:
        raise IllegalTransition(
            f"run {run_id} cannot be tried again: it is {get(session, run_id).state}, and only a failed or "
            "interrupted run can"
        )
    tell(session, run_id, now, "retry", message)


def _times(to: RunState, now: datetime) -> dict[str, Any]:
    """The columns that go with a change of state: a run keeps the start of its first attempt."""
    if to is RunState.RUNNING:
        first = func.coalesce(Run.started_at, literal(now, UTCDateTime()))
        return {"started_at": first, "ended_at": None, "error": None}
    over = {"next_try_at": None} if to in (RunState.PUBLISHED, RunState.CANCELLED) else {}
    return over | ({"ended_at": now} if to in ENDED else {})


SEALED = "sealed"


def seal(session: Session, run_id: str, now: datetime) -> None:
    """Note that the run's manifest is about to be written: from here on the run is published, and never cancelled."""
    if not is_sealed(session, run_id):
        tell(session, run_id, now, SEALED, "all its products are there, and from here on it is published")


def is_sealed(session: Session, run_id: str) -> bool:
    """Whether the manifest of the run is, or may be, in the store."""
    return session.scalar(select(Event.id).where(Event.run_id == run_id, Event.kind == SEALED).limit(1)) is not None


def sealed() -> ColumnElement[bool]:
    """The condition that the manifest of a run is, or may be, in the store."""
    return select(Event.id).where(Event.run_id == Run.id, Event.kind == SEALED).correlate(Run).exists()


def tell(
    session: Session,
    run_id: str,
    now: datetime,
    kind: str,
    message: str,
    state: RunState | None = None,
) -> None:
    """Add an event to the run's history."""
    session.add(
        Event(
            run_id=run_id,
            at=now,
            kind=kind,
            message=message,
            state=state.value if state else None,
        )
    )
    session.flush()


def amend(session: Session, run_id: str, **values: Any) -> None:
    """Set columns that describe the run, such as its device; the state moves by `transition` only."""
    if rows_changed(session, update(Run).where(Run.id == run_id).values(**values)) != 1:
        raise UnknownRun(f"there is no run {run_id!r} to amend")


def events(session: Session, run_id: str) -> Sequence[Event]:
    """The run's history in order."""
    return session.scalars(select(Event).where(Event.run_id == run_id).order_by(Event.id)).all()


def rows_changed(session: Session, statement: Update) -> int:
    """How many rows an UPDATE changed in the database; objects in the session are not touched."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], result).rowcount
