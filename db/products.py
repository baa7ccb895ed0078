"""What a run published, what it read, and which members it lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.schema import Input, MemberLoss, Product
from db.types import Document


@dataclass(frozen=True)
class NewProduct:
    """One published object; `lead_time_hours` is None for what belongs to the whole run."""

    key: str
    kind: str
    lead_time_hours: int | None
    bytes: int
    sha256: str
    details: Document | None = None


@dataclass(frozen=True)
class NewInput:
    """One file or object that was read."""

    uri: str
    source: str
    sha256: str
    bytes: int
    valid_time: datetime
    provenance: Document | None = None


@dataclass(frozen=True)
class NewLoss:
    """A member given up, the lead time and the reason."""

    member: int
    lead_time_hours: int
    reason: str


def record(session: Session, run_id: str, products: Iterable[NewProduct], now: datetime) -> None:
    """Note published objects; a key noted before keeps its row and takes the new bytes and hash."""
    for new in products:
        row = session.get(Product, (run_id, new.key))
        if row is None:
            session.add(Product(run_id=run_id, published_at=now, **vars(new)))
        else:
            row.kind, row.lead_time_hours, row.details = (
                new.kind,
                new.lead_time_hours,
                new.details,
            )
            row.deleted_at = None
            if (row.bytes, row.sha256) != (new.bytes, new.sha256):
                row.bytes, row.sha256, row.published_at = new.bytes, new.sha256, now
    session.flush()


def of_run(
    session: Session,
    run_id: str,
    lead_times_hours: Sequence[int] | None = None,
    kinds: Sequence[str] | None = None,
) -> Sequence[Product]:
    """A run's products by lead time and key, the whole run's last; None means all."""
    query = select(Product).where(Product.run_id == run_id)
    if lead_times_hours is not None:
        query = query.where(Product.lead_time_hours.in_(lead_times_hours))
    if kinds is not None:
        query = query.where(Product.kind.in_(kinds))
    return session.scalars(query.order_by(Product.lead_time_hours.nulls_last(), Product.key)).all()


def count_and_bytes(session: Session, run_id: str) -> tuple[int, int]:
    """How many objects a run has published, and their size together [bytes]."""
    query = select(func.count(), func.coalesce(func.sum(Product.bytes), 0)).where(Product.run_id == run_id)
    count, size = session.execute(query).one()
    return int(count), int(size)


def by_kind(session: Session, run_id: str) -> list[tuple[str, int, int]]:
    """The kinds of objects that a run has published: how many of each, and their size together [bytes]."""
    query = select(Product.kind, func.count(), func.sum(Product.bytes)).where(Product.run_id == run_id)
    return [
        (kind, int(count), int(size or 0))
        for kind, count, size in session.execute(query.group_by(Product.kind).order_by(Product.kind))
    ]


def published_lead_times(session: Session, run_id: str) -> list[int]:
    """The lead times [h] with products, in order. A lead time's products are recorded all at once."""
    query = select(Product.lead_time_hours).where(Product.run_id == run_id, Product.lead_time_hours.is_not(None))
    return sorted({hours for hours in session.scalars(query.distinct()) if hours is not None})


def record_inputs(session: Session, run_id: str, inputs: Iterable[NewInput]) -> None:
    """Note what the analysis was made of, once per address."""
    for new in inputs:
        session.merge(Input(run_id=run_id, **vars(new)))
    session.flush()


def inputs(session: Session, run_id: str) -> Sequence[Input]:
    """What the run has read."""
    return session.scalars(select(Input).where(Input.run_id == run_id).order_by(Input.uri)).all()


def record_losses(session: Session, run_id: str, losses: Iterable[NewLoss], now: datetime) -> list[NewLoss]:
    """Note members given up; a member is noted once. Those that were not noted before."""
    new = [one for one in losses if session.get(MemberLoss, (run_id, one.member)) is None]
    session.add_all(MemberLoss(run_id=run_id, recorded_at=now, **vars(one)) for one in new)
    session.flush()
    return new


def losses(session: Session, run_id: str) -> Sequence[MemberLoss]:
    """The members given up."""
    return session.scalars(select(MemberLoss).where(MemberLoss.run_id == run_id).order_by(MemberLoss.member)).all()
