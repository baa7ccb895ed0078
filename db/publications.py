"""What becomes of published runs: retracted, superseded, pinned, and their products removed from the store."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.errors import IllegalTransition
from db.runs import amend, get, rows_changed, tell
from db.schema import Product, Run
from db.states import ENDED, RunState

MANIFEST = "manifest"
"""Kind of the product that names all others of a run."""


def line(run: Run) -> str:
    """The product line of a run: the product's name as configured, or the model's."""
    return run.spec.get("products", {}).get("product") or run.model_name


def require_published(run: Run) -> None:
    """Return when the run's products are there for readers. Raises IllegalTransition."""
    if run.state != RunState.PUBLISHED:
        raise IllegalTransition(f"run {run.id} is {run.state}, and not published")


def manifest_key(session: Session, run_id: str) -> str | None:
    """Key of the manifest of a run, None when it has none, or none any more."""
    query = select(Product.key).where(Product.run_id == run_id, Product.kind == MANIFEST, Product.deleted_at.is_(None))
    return session.scalars(query.order_by(Product.published_at.desc(), Product.key.desc()).limit(1)).first()


def standing(session: Session, store_url: str) -> Sequence[Run]:
    """Published runs of a store that readers may use, the newest cycle first, the last to end of it first."""
    with_manifest = select(Product.run_id).where(Product.kind == MANIFEST, Product.deleted_at.is_(None))
    query = select(Run).where(
        Run.store_url == store_url,
        Run.state == RunState.PUBLISHED.value,
        Run.retracted_at.is_(None),
        Run.superseded_by.is_(None),
        Run.id.in_(with_manifest),
    )
    return session.scalars(query.order_by(Run.init_time.desc(), Run.ended_at.desc(), Run.id)).all()


def superseded_by(session: Session, run_id: str) -> Sequence[Run]:
    """The runs in whose place this one stands."""
    return session.scalars(select(Run).where(Run.superseded_by == run_id).order_by(Run.id)).all()


def retract(session: Session, run_id: str, reason: str, now: datetime) -> None:
    """Note that a published run is not to be used; a second time changes nothing. Raises IllegalTransition."""
    run = get(session, run_id)
    require_published(run)
    if run.retracted_at is None:
        amend(session, run_id, retracted_at=now, superseded_by=None)
        tell(session, run_id, now, "retracted", reason)


def supersede(session: Session, run_id: str, by: str | None, now: datetime) -> None:
    """Note which run stands in the place of this one; None when it stands again."""
    if get(session, run_id).superseded_by != by:
        amend(session, run_id, superseded_by=by)
        message = f"superseded by run {by}" if by else "stands again: the run in its place was retracted"
        tell(session, run_id, now, "superseded" if by else "restored", message)


def pin(session: Session, run_id: str, pinned: bool, now: datetime) -> None:
    """Note that the products of a run are to be kept, or need no longer be. Raises IllegalTransition."""
    run = get(session, run_id)
    require_published(run)
    if (run.pinned_at is not None) != pinned:
        amend(session, run_id, pinned_at=now if pinned else None)
        tell(session, run_id, now, "pinned" if pinned else "unpinned", "kept for ever" if pinned else "may expire")


def stored(session: Session, store_url: str) -> Sequence[Run]:
    """Ended runs that have products in the store, the oldest cycle first."""
    with_products = select(Product.run_id).where(Product.deleted_at.is_(None))
    query = select(Run).where(
        Run.store_url == store_url, Run.state.in_(sorted(ENDED)), Run.id.in_(with_products), Run.lease_pid.is_(None)
    )
    return session.scalars(query.order_by(Run.init_time, Run.id)).all()


def keys(session: Session, run_id: str) -> set[str]:
    """Keys of the products of a run that are in the store."""
    return set(session.scalars(select(Product.key).where(Product.run_id == run_id, Product.deleted_at.is_(None))))


def bytes_of(session: Session, run_id: str) -> int:
    """Size of the products of a run that are in the store [bytes]."""
    query = select(func.coalesce(func.sum(Product.bytes), 0))
    return int(session.scalar(query.where(Product.run_id == run_id, Product.deleted_at.is_(None))) or 0)


def claimed_by_others(session: Session, run_id: str, found: Collection[str]) -> set[str]:
    """Those of the keys that products of other runs in the same store have too, which are not removed."""
    same_store = select(Run.id).where(Run.store_url == get(session, run_id).store_url, Run.id != run_id)
    query = select(Product.key).where(Product.run_id.in_(same_store), Product.deleted_at.is_(None))
    return set(session.scalars(query)) & set(found)


def removed(session: Session, run_id: str, message: str, now: datetime) -> None:
    """Note that the products of a run are no longer in the store."""
    statement = update(Product).where(Product.run_id == run_id, Product.deleted_at.is_(None))
    if rows_changed(session, statement.values(deleted_at=now)):
        tell(session, run_id, now, "pruned", message)
