"""Orders: cycles that somebody asked for, carried out when nothing that is due waits. Functions over a session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, update
from sqlalchemy.orm import Session

from db import leases
from db.errors import UnknownOrder
from db.runs import rows_changed
from db.schema import Order, Run
from db.states import RunState
from db.tries import is_ready

ENDED_WELL = (RunState.PUBLISHED.value, RunState.CANCELLED.value)


@dataclass(frozen=True)
class Standing:
    """An order that is open, and the state of its run, None while it has none."""

    order: Order
    state: str | None


def place(
    session: Session, cycles: Sequence[datetime], purpose: str, options: Mapping[str, Any], now: datetime
) -> list[Order]:
    """An order for each cycle that has none like it that is open; those that were placed now."""
    there = session.scalars(
        select(Order).where(Order.ended_at.is_(None), Order.purpose == purpose, Order.init_time.in_(cycles))
    ).all()
    taken = {one.init_time for one in there if one.options == dict(options)}
    new = [
        Order(init_time=cycle, purpose=purpose, options=dict(options), ordered_at=now)
        for cycle in cycles
        if cycle not in taken
    ]
    session.add_all(new)
    session.flush()
    return new


def ready(session: Session, now: datetime, limit: int = 50) -> Sequence[Order]:
    """Open orders that may be worked on now: what was begun comes first, then the newest cycle."""
    may_begin = or_(Order.run_id.is_(None), is_ready(now))
    begun = case((Run.state == RunState.INTERRUPTED.value, 0), else_=1)
    query = select(Order).outerjoin(Run, Order.run_id == Run.id).where(Order.ended_at.is_(None), may_begin)
    return session.scalars(query.order_by(begun, Order.init_time.desc(), Order.id).limit(limit)).all()


def over(session: Session) -> Sequence[tuple[Order, Run]]:
    """Open orders whose run needs nothing more: it is published or cancelled, or failed for good."""
    failed = (Run.state == RunState.FAILED.value) & Run.next_try_at.is_(None)
    ended = or_(Run.state.in_((RunState.PUBLISHED.value, RunState.CANCELLED.value)), failed)
    query = select(Order, Run).join(Run, Order.run_id == Run.id).where(Order.ended_at.is_(None), ended)
    return [(order, run) for order, run in session.execute(query).all()]


def search(session: Session, *, only_open: bool = True, limit: int = 100) -> list[Standing]:
    """Orders and the states of their runs, the newest cycle first."""
    wanted: list[ColumnElement[bool]] = [Order.ended_at.is_(None)] if only_open else []
    query = select(Order, Run.state).outerjoin(Run, Order.run_id == Run.id).where(*wanted)
    found = session.execute(query.order_by(Order.init_time.desc(), Order.id.desc()).limit(limit)).all()
    return [Standing(order, state) for order, state in found]


def count_open(session: Session) -> int:
    """How many orders are open."""
    return session.scalar(select(func.count()).select_from(Order).where(Order.ended_at.is_(None))) or 0


def open_ids(session: Session) -> list[int]:
    """The numbers of all open orders."""
    return list(session.scalars(select(Order.id).where(Order.ended_at.is_(None)).order_by(Order.id)))


def cancel(session: Session, order_id: int, now: datetime) -> None:
    """Cancel an open order, and the run that was made for it if that has not ended. Raises UnknownOrder."""
    order = get_open(session, order_id)
    run = session.get(Run, order.run_id) if order.run_id is not None else None
    if run is not None and run.created_at >= order.ordered_at and run.state not in ENDED_WELL:
        leases.revoke(session, run.id, now, f"order {order_id} was cancelled")
    end(session, order_id, "cancelled", now)


def get_open(session: Session, order_id: int) -> Order:
    """The open order of this number. Raises UnknownOrder."""
    order = session.get(Order, order_id)
    if order is None or order.ended_at is not None:
        raise UnknownOrder(f"there is no open order {order_id}: `sigmacast orders` lists those there are")
    return order


def assign(session: Session, order_id: int, run_id: str) -> None:
    """Note which run carries the order out."""
    rows_changed(session, update(Order).where(Order.id == order_id).values(run_id=run_id))


def end(session: Session, order_id: int, outcome: str, now: datetime) -> bool:
    """Close an open order, saying how it came out; whether it was open."""
    statement = update(Order).where(Order.id == order_id, Order.ended_at.is_(None))
    return rows_changed(session, statement.values(ended_at=now, outcome=outcome)) == 1
