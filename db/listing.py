"""Pages of what the database holds, for readers who ask often. Functions over a connection.

A page is at most `limit` rows and goes on after the last row of the page before; how many rows there are in all is
never counted. What is asked for most comes as JSON that the database has written (`db.documents`), the rest as plain
columns. Every statement is led by an index, and built once: to build one takes longer than to ask SQLite, and
SQLAlchemy spares itself the work of fitting an answer to a statement that it knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    bindparam,
    cast,
    func,
    select,
    tuple_,
)

from db import documents
from db.schema import Alert, Attempt, Daemon, Event, Input, MemberLoss, Order, Product, Run, Stage, Worker
from db.states import RunState

Row = dict[str, Any]
Query = Select[*tuple[Any, ...]]
Column = ColumnElement[Any]
Line = tuple[str, str]
"""What a row is known by, to go on after it, and the row as a JSON object."""

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
LIMIT = bindparam("limit", type_=Integer)
RUN_ID = bindparam("run_id")


@dataclass(frozen=True)
class RunsWanted:
    """Which runs; None means any. `since` and `until` bound the cycle, both inclusive."""

    state: str | None = None
    model: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def runs(connection: Connection, wanted: RunsWanted, after: str | None, limit: int) -> list[Line]:
    """Runs, the newest cycle first, within a cycle by name backwards; `after` names the last one of the page before."""
    given = {name: value for name, value in (vars(wanted) | {"after": after}).items() if value is not None}
    return _lines(connection, _runs(*given), **given, limit=limit)


@cache
def _runs(*given: str) -> Query:
    its_cycle = select(Run.init_time).where(Run.id == bindparam("after")).scalar_subquery()
    conditions: dict[str, ColumnElement[bool]] = {
        "state": Run.state == bindparam("state"),
        "model": Run.model_name == bindparam("model"),
        "purpose": Run.purpose == bindparam("purpose"),
        "since": Run.init_time >= bindparam("since"),
        "until": Run.init_time <= bindparam("until"),
        "after": tuple_(Run.init_time, Run.id) < tuple_(its_cycle, bindparam("after", type_=String)),
    }
    query = select(*OF_RUN).where(*(conditions[name] for name in given))
    return documents.lines(query.order_by(Run.init_time.desc(), Run.id.desc()).limit(LIMIT), "id")


def run(connection: Connection, run_id: str) -> str | None:
    """All of a run but its history, its products one by one, and what only its process needs; None for no such run."""
    return connection.scalar(_RUN, {"run_id": run_id})


def _of_run(columns: Sequence[Any], *order: Any, limit: int = 500) -> Column:
    """The rows of a run in the table of these columns."""
    table = columns[0].class_
    return documents.array(select(*columns).where(table.run_id == RUN_ID).order_by(*order).limit(limit))


def _products_together() -> Column:
    """How many products the run has in the store, their bytes, and their lead times [h]."""
    here = (Product.run_id == RUN_ID, Product.deleted_at.is_(None))
    lead = Product.lead_time_hours
    leads = select(lead).where(*here, lead.is_not(None)).distinct().order_by(lead)
    size = cast(func.coalesce(func.sum(Product.bytes), 0), BigInteger)
    sums = (func.count().label("count"), size.label("bytes"))
    return documents.nested(select(documents.written(sums, lead_times_hours=documents.values(leads))).where(*here))


_RUN = select(
    documents.text(
        documents.written(
            (*OF_RUN, *MORE_OF_RUN, *WHO_HAS_IT),
            stages=_of_run(OF_STAGE, Stage.started_at, Stage.name),
            attempts=_of_run(OF_ATTEMPT, Attempt.id.desc(), limit=200),
            workers=_of_run(OF_WORKER, Worker.id.desc(), limit=50),
            inputs=_of_run(OF_INPUT, Input.uri),
            member_losses=_of_run(OF_LOSS, MemberLoss.member),
            products=_products_together(),
        )
    )
).where(Run.id == RUN_ID)


def store_of(connection: Connection, run_id: str) -> str | None:
    """Address of the run's store; None when there is no such run."""
    return connection.scalar(_STORE, {"run_id": run_id})


_STORE = select(Run.store_url).where(Run.id == RUN_ID)


def latest(connection: Connection) -> str | None:
    """The forecast of the newest cycle that is published and stands."""
    return connection.scalar(_LATEST)


_LATEST = (
    select(Run.id)
    .where(
        Run.state == RunState.PUBLISHED.value,
        Run.retracted_at.is_(None),
        Run.superseded_by.is_(None),
        Run.purpose == "forecast",
    )
    .order_by(Run.init_time.desc(), Run.id.desc())
    .limit(1)
)


def unfinished(connection: Connection, limit: int) -> list[Row]:
    """Runs that are not over, the newest cycle first."""
    return _rows(connection, _UNFINISHED, limit=limit)


_UNFINISHED = (
    select(*OF_RUN)
    .where(Run.state.in_((RunState.CREATED.value, RunState.RUNNING.value, RunState.INTERRUPTED.value)))
    .order_by(Run.init_time.desc(), Run.id.desc())
    .limit(LIMIT)
)


def products(
    connection: Connection,
    run_id: str,
    *,
    kind: str | None = None,
    lead_time_hours: int | None = None,
    after: str | None = None,
    limit: int,
) -> list[Line]:
    """A run's products that are in the store, by key."""
    asked = {"kind": kind, "lead_time_hours": lead_time_hours, "after": after}
    given = {name: value for name, value in asked.items() if value is not None}
    return _lines(connection, _products(*given), **given, run_id=run_id, limit=limit)


@cache
def _products(*given: str) -> Query:
    conditions: dict[str, ColumnElement[bool]] = {
        "kind": Product.kind == bindparam("kind"),
        "lead_time_hours": Product.lead_time_hours == bindparam("lead_time_hours"),
        "after": Product.key > bindparam("after"),
    }
    here = (Product.run_id == RUN_ID, Product.deleted_at.is_(None))
    query = select(*OF_PRODUCT).where(*here, *(conditions[name] for name in given))
    return documents.lines(query.order_by(Product.key).limit(LIMIT), "key")


def product(connection: Connection, run_id: str, key: str) -> Row | None:
    """One product with the address of its store; `deleted_at` is set when it was removed from there."""
    return _first(connection, _PRODUCT, run_id=run_id, key=key)


_PRODUCT = (
    select(*OF_PRODUCT, Product.deleted_at, Run.store_url)
    .join(Run, Run.id == Product.run_id)
    .where(Product.run_id == RUN_ID, Product.key == bindparam("key"))
)


def events(connection: Connection, run_id: str, after: int, limit: int) -> list[Line]:
    """A run's history in order, after the event of this number."""
    return _lines(connection, _EVENTS, run_id=run_id, after=after, limit=limit)


_EVENTS = documents.lines(
    select(*OF_EVENT).where(Event.run_id == RUN_ID, Event.id > bindparam("after")).order_by(Event.id).limit(LIMIT), "id"
)


def last_log(connection: Connection, run_id: str) -> Row | None:
    """The last process that worked on a run, and the file that it logs to."""
    return _first(connection, _LAST_LOG, run_id=run_id)


_LAST_LOG = (
    select(Worker.id, Worker.host, Worker.pid, Worker.log_path)
    .where(Worker.run_id == RUN_ID)
    .order_by(Worker.id.desc())
    .limit(1)
)


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


def daemons(connection: Connection, limit: int) -> list[Row]:
    """Daemons that are remembered, the last seen first."""
    return _rows(connection, select(*OF_DAEMON).order_by(Daemon.seen_at.desc(), Daemon.id).limit(limit))


def open_counts(connection: Connection) -> Row:
    """How many alerts and orders are open."""
    alert_count = select(func.count()).select_from(Alert).where(Alert.resolved_at.is_(None)).scalar_subquery()
    order_count = select(func.count()).select_from(Order).where(Order.ended_at.is_(None)).scalar_subquery()
    return _rows(connection, select(alert_count.label("open_alerts"), order_count.label("open_orders")))[0]


def _lines(connection: Connection, query: Query, **values: Any) -> list[Line]:
    found, marks = connection.execute(query, values).one()
    return [] if found is None else list(zip(marks.split("\n"), found.split("\n"), strict=True))


def _rows(connection: Connection, query: Query, **values: Any) -> list[Row]:
    found = connection.execute(query, values)
    names: Sequence[str] = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def _first(connection: Connection, query: Query, **values: Any) -> Row | None:
    return next(iter(_rows(connection, query, **values)), None)
