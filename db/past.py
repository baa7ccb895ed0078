"""What published runs took: the time of each stage, memory, disk and products, for those who plan the next one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.schema import Attempt, Product, Run, Worker
from db.states import AttemptState, RunState
from db.types import Document

LAST = 50
"""At most so many runs are looked at, the last ones."""


@dataclass(frozen=True)
class PastRun:
    """A published run. `stage_seconds` has the stages that went through at the first attempt; None is not recorded."""

    run_id: str
    spec: Document
    stage_seconds: Mapping[str, float]
    product_count: int | None
    product_bytes: int | None
    peak_memory_bytes: int | None
    work_bytes: int | None


def last_device(session: Session, model_hash: str, host: str | None = None) -> str | None:
    """What the last published run of a model computed on, on this host where one is given; None for no such run."""
    query = select(Run.device).where(*_published(model_hash), Run.device.is_not(None))
    if host is not None:
        query = query.where(Run.id.in_(select(Attempt.run_id).where(Attempt.host == host)))
    return session.scalar(query.order_by(Run.created_at.desc()).limit(1))


def published(session: Session, model_hash: str, device: str, before: datetime | None = None) -> Sequence[PastRun]:
    """The last published runs of a model on a device, the newest first; those that ended before a time, if given."""
    query = select(Run).where(*_published(model_hash), Run.device == device)
    if before is not None:
        query = query.where(Run.ended_at < before)
    runs = session.scalars(query.order_by(Run.created_at.desc()).limit(LAST)).all()
    names = [run.id for run in runs]
    seconds, memory, sizes = _seconds(session, names), _memory(session, names), _sizes(session, names)
    return [
        PastRun(
            run.id,
            run.spec,
            seconds.get(run.id, {}),
            *sizes.get(run.id, (None, None)),
            memory.get(run.id),
            run.work_bytes,
        )
        for run in runs
    ]


def _published(model_hash: str) -> tuple[ColumnElement[bool], ...]:
    return Run.state == RunState.PUBLISHED.value, Run.model_hash == model_hash


def _seconds(session: Session, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Seconds of each stage that took one attempt: others repeated what was lost, or went on from what was there."""
    query = select(Attempt).where(Attempt.run_id.in_(names)).order_by(Attempt.id)
    attempts = session.scalars(query).all()
    repeated = {(one.run_id, one.stage) for one in attempts if one.number > 1}
    found: dict[str, dict[str, float]] = {}
    for one in attempts:
        if one.state == AttemptState.DONE.value and one.ended_at and (one.run_id, one.stage) not in repeated:
            found.setdefault(one.run_id, {})[one.stage] = (one.ended_at - one.started_at).total_seconds()
    return found


def _memory(session: Session, names: Sequence[str]) -> dict[str, int]:
    query = select(Worker.run_id, func.max(Worker.peak_memory_bytes)).where(
        Worker.run_id.in_(names), Worker.peak_memory_bytes.is_not(None)
    )
    return {name: int(peak or 0) for name, peak in session.execute(query.group_by(Worker.run_id))}


def _sizes(session: Session, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    query = select(Product.run_id, func.count(), func.sum(Product.bytes)).where(Product.run_id.in_(names))
    return {name: (int(count), int(size)) for name, count, size in session.execute(query.group_by(Product.run_id))}
