"""Pages of what the database holds, as plain columns: for readers who ask often. Functions over a connection.

A page is at most `limit` rows and goes on after the last row of the page before; how many rows there are in all is
never counted. Every statement is led by an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from db.schema import Alert, Attempt, Daemon, Event, Input, MemberLoss, Order, Product, Run, Stage, Worker
from db.states import RunState

Row = dict[str, Any]

OF_RUN = (
    Run.id,
    Run.model_name,
    Run.model_hash,
    Run.init_time,
    Run.config_hash,
    Run.purpose,
    Run.state,
    Run.source,
    Run.members_requested,
    Run.members_published,
    Run.created_at,
    Run.started_at,
    Run.ended_at,
    Run.error,
    Run.failures,
    Run.next_try_at,
    Run.progress,
    Run.retracted_at,
    Run.superseded_by,
    Run.pinned_at,
)
MORE_OF_RUN = (Run.store_url, Run.device, Run.spec, Run.seeds, Run.software, Run.provenance)
WHO_HAS_IT = (Run.lease_host, Run.lease_pid, Run.lease_renewed_at, Run.lease_expires_at)
OF_PRODUCT = (
    Product.key,
    Product.kind,
    Product.lead_time_hours,
    Product.bytes,
    Product.sha256,
    Product.published_at,
    Product.details,
)
OF_EVENT = (Event.id, Event.at, Event.kind, Event.state, Event.message)
OF_ALERT = (Alert.id, Alert.kind, Alert.subject, Alert.run_id, Alert.message, Alert.raised_at, Alert.resolved_at)
OF_ORDER = (
    Order.id,
    Order.init_time,
    Order.purpose,
    Order.options,
    Order.ordered_at,
    Order.run_id,
    Order.ended_at,
    Order.outcome,
)
OF_DAEMON = (
    Daemon.id,
    Daemon.host,
    Daemon.pid,
    Daemon.version,
    Daemon.started_at,
    Daemon.seen_at,
    Daemon.stopped_at,
)
OF_STAGE = (Stage.name, Stage.state, Stage.started_at, Stage.ended_at)
OF_ATTEMPT = (
    Attempt.stage,
    Attempt.number,
    Attempt.state,
    Attempt.host,
    Attempt.pid,
    Attempt.started_at,
    Attempt.ended_at,
    Attempt.error,
)
OF_WORKER = (
    Worker.id,
    Worker.host,
    Worker.pid,
    Worker.started_at,
    Worker.ended_at,
    Worker.exit_code,
    Worker.reason,
    Worker.peak_memory_bytes,
    Worker.cpu_seconds,
    Worker.device_seconds,
    Worker.batch_size,
)
OF_INPUT = (Input.uri, Input.source, Input.sha256, Input.bytes, Input.valid_time)
OF_LOSS = (MemberLoss.member, MemberLoss.lead_time_hours, MemberLoss.reason, MemberLoss.recorded_at)


@dataclass(frozen=True)
class RunsWanted:
    """Which runs; None means any. `since` and `until` bound the cycle, both inclusive."""

    state: str | None = None
    model: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def runs(connection: Connection, wanted: RunsWanted, after: str | None, limit: int) -> list[Row]:
    """Runs, the newest cycle first, within a cycle by name backwards; `after` names the last one of the page before."""
    equal = {Run.state: wanted.state, Run.model_name: wanted.model, Run.purpose: wanted.purpose}
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.since is not None:
        conditions.append(Run.init_time >= wanted.since)
    if wanted.until is not None:
        conditions.append(Run.init_time <= wanted.until)
    if after is not None:
        its_cycle = select(Run.init_time).where(Run.id == after).scalar_subquery()
        conditions.append(tuple_(Run.init_time, Run.id) < tuple_(its_cycle, after))
    query = select(*OF_RUN).where(*conditions).order_by(Run.init_time.desc(), Run.id.desc())
    return _rows(connection, query.limit(limit))


def run(connection: Connection, run_id: str) -> Row | None:
    """All of a run's own row but what only its process needs."""
    return _first(connection, select(*OF_RUN, *MORE_OF_RUN, *WHO_HAS_IT).where(Run.id == run_id))


def store_of(connection: Connection, run_id: str) -> str | None:
    """Address of the run's store; None when there is no such run."""
    return connection.scalar(select(Run.store_url).where(Run.id == run_id))


def latest(connection: Connection) -> str | None:
    """The forecast of the newest cycle that is published and stands."""
    query = select(Run.id).where(
        Run.state == RunState.PUBLISHED.value,
        Run.retracted_at.is_(None),
        Run.superseded_by.is_(None),
        Run.purpose == "forecast",
    )
    return connection.scalar(query.order_by(Run.init_time.desc(), Run.id.desc()).limit(1))


def products(
    connection: Connection,
    run_id: str,
    *,
    kind: str | None = None,
    lead_time_hours: int | None = None,
    after: str | None = None,
    limit: int,
) -> list[Row]:
    """A run's products that are in the store, by key."""
    conditions: list[ColumnElement[bool]] = [Product.run_id == run_id, Product.deleted_at.is_(None)]
    if kind is not None:
        conditions.append(Product.kind == kind)
    if lead_time_hours is not None:
        conditions.append(Product.lead_time_hours == lead_time_hours)
    if after is not None:
        conditions.append(Product.key > after)
    return _rows(connection, select(*OF_PRODUCT).where(*conditions).order_by(Product.key).limit(limit))


def product(connection: Connection, run_id: str, key: str) -> Row | None:
    """One product with the address of its store; `deleted_at` is set when it was removed from there."""
    query = select(*OF_PRODUCT, Product.deleted_at, Run.store_url).join(Run, Run.id == Product.run_id)
    return _first(connection, query.where(Product.run_id == run_id, Product.key == key))


def products_together(connection: Connection, run_id: str) -> Row:
    """How many products a run has in the store, their bytes, and their lead times [h]."""
    here = (Product.run_id == run_id, Product.deleted_at.is_(None))
    columns = (Product.lead_time_hours, func.count().label("count"), func.sum(Product.bytes).label("bytes"))
    found = _rows(connection, select(*columns).where(*here).group_by(Product.lead_time_hours))
    leads = sorted(row["lead_time_hours"] for row in found if row["lead_time_hours"] is not None)
    count, size = (sum(int(row[name]) for row in found) for name in ("count", "bytes"))
    return {"count": count, "bytes": size, "lead_times_hours": leads}


def events(connection: Connection, run_id: str, after: int, limit: int) -> list[Row]:
    """A run's history in order, after the event of this number."""
    query = select(*OF_EVENT).where(Event.run_id == run_id, Event.id > after)
    return _rows(connection, query.order_by(Event.id).limit(limit))


def stages(connection: Connection, run_id: str) -> list[Row]:
    """A run's stages in the order of their beginning."""
    return _rows(connection, select(*OF_STAGE).where(Stage.run_id == run_id).order_by(Stage.started_at, Stage.name))


def attempts(connection: Connection, run_id: str, limit: int) -> list[Row]:
    """The last attempts at a run's stages, the last first."""
    query = select(*OF_ATTEMPT).where(Attempt.run_id == run_id)
    return _rows(connection, query.order_by(Attempt.id.desc()).limit(limit))


def workers(connection: Connection, run_id: str, limit: int) -> list[Row]:
    """The last processes that worked on a run, the last first."""
    query = select(*OF_WORKER).where(Worker.run_id == run_id)
    return _rows(connection, query.order_by(Worker.id.desc()).limit(limit))


def last_log(connection: Connection, run_id: str) -> Row | None:
    """The last process that worked on a run, and the file that it logs to."""
    query = select(Worker.id, Worker.host, Worker.pid, Worker.log_path).where(Worker.run_id == run_id)
    return _first(connection, query.order_by(Worker.id.desc()).limit(1))


def inputs(connection: Connection, run_id: str, limit: int) -> list[Row]:
    """What a run has read, by address."""
    return _rows(connection, select(*OF_INPUT).where(Input.run_id == run_id).order_by(Input.uri).limit(limit))


def losses(connection: Connection, run_id: str, limit: int) -> list[Row]:
    """The members that a run gave up."""
    query = select(*OF_LOSS).where(MemberLoss.run_id == run_id)
    return _rows(connection, query.order_by(MemberLoss.member).limit(limit))


def alerts(
    connection: Connection, *, is_open: bool | None, kind: str | None, before: int | None, limit: int
) -> list[Row]:
    """Alerts, the last raised first, before the one of this number."""
    conditions: list[ColumnElement[bool]] = []
    if is_open is not None:
        conditions.append(Alert.resolved_at.is_(None) if is_open else Alert.resolved_at.is_not(None))
    if kind is not None:
        conditions.append(Alert.kind == kind)
    if before is not None:
        conditions.append(Alert.id < before)
    return _rows(connection, select(*OF_ALERT).where(*conditions).order_by(Alert.id.desc()).limit(limit))


def orders(connection: Connection, *, only_open: bool, limit: int) -> list[Row]:
    """Orders with the state of their runs, the newest cycle first."""
    query = select(*OF_ORDER, Run.state.label("run_state")).outerjoin(Run, Run.id == Order.run_id)
    if only_open:
        query = query.where(Order.ended_at.is_(None))
    return _rows(connection, query.order_by(Order.init_time.desc(), Order.id.desc()).limit(limit))


def unfinished(connection: Connection, limit: int) -> list[Row]:
    """Runs that are not over, the newest cycle first."""
    states = (RunState.CREATED.value, RunState.RUNNING.value, RunState.INTERRUPTED.value)
    query = select(*OF_RUN).where(Run.state.in_(states))
    return _rows(connection, query.order_by(Run.init_time.desc(), Run.id.desc()).limit(limit))


def daemons(connection: Connection, limit: int) -> list[Row]:
    """Daemons that are remembered, the last seen first."""
    return _rows(connection, select(*OF_DAEMON).order_by(Daemon.seen_at.desc(), Daemon.id).limit(limit))


def open_counts(connection: Connection) -> Row:
    """How many alerts and orders are open."""
    alert_count = select(func.count()).select_from(Alert).where(Alert.resolved_at.is_(None)).scalar_subquery()
    order_count = select(func.count()).select_from(Order).where(Order.ended_at.is_(None)).scalar_subquery()
    return _rows(connection, select(alert_count.label("open_alerts"), order_count.label("open_orders")))[0]


def _rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Row]:
    found = connection.execute(query)
    names: Sequence[str] = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def _first(connection: Connection, query: Select[*tuple[Any, ...]]) -> Row | None:
    return next(iter(_rows(connection, query)), None)
