"""The tables. `db.migrations` builds the same ones, and the tests compare the two.

runs ─┬─ stages ── attempts      one forecast of a cycle / one part of it / one try at it
      ├─ inputs                  what was read
      ├─ products                what was published
      ├─ member_losses           which members did not end, and why
      ├─ events                  every change of state and everything worth telling, in order
      ├─ workers                 the processes that worked on it, and how each ended
      ├─ orders                  cycles that somebody asked for: backfill, hindcast
      └─ alerts ── alert_notices what is wrong, and that it is right again / who was told of it
arrivals                         when each source's cycles were seen to be complete
daemons                          the daemons there are, and when each was last alive
api_keys                         who may change things through the API; of the secrets, hashes only
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.states import GIVEN_UP, AttemptState, RunState
from db.types import Document, JsonDocument, UTCDateTime

STANDING_SQL = "retracted_at IS NULL AND state NOT IN ({})".format(
    ", ".join(f"'{state}'" for state in sorted(GIVEN_UP))
)


def _one_of(column: str, states: type[RunState] | type[AttemptState]) -> str:
    return "{} IN ({})".format(column, ", ".join(f"'{state}'" for state in states))


class Base(DeclarativeBase):
    """All tables, with constraints named so that a migration can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UTCDateTime(),
        Document: JsonDocument,
    }


def _run_key() -> Mapped[str]:
    return mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)


class Run(Base):
    """One forecast of one cycle by one model in one configuration.

    `lease_*` say which process may change the row; `lease_token` grows by one at every change of hands
    and fences off whoever held it before. `provenance` tells how each variable of the analysis was made. A
    published run may be retracted, superseded by another of its cycle, or pinned, which keeps its products.
    `purpose` is forecast or hindcast; `failures` counts the tries that failed since it last went well, and
    `next_try_at` tells when a daemon tries again, None for never by itself. `progress` is how far the run is, and
    `work_bytes` what its work directory held when the forecast was complete.
    """

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    model_name: Mapped[str] = mapped_column(String(200))
    model_hash: Mapped[str] = mapped_column(String(64))
    init_time: Mapped[datetime]
    config_hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=RunState.CREATED.value)
    source: Mapped[str] = mapped_column(String(64))
    store_url: Mapped[str] = mapped_column(Text)
    members_requested: Mapped[int]
    members_published: Mapped[int | None]
    spec: Mapped[Document]
    seeds: Mapped[Document | None]
    software: Mapped[Document | None]
    device: Mapped[str | None] = mapped_column(Text)
    provenance: Mapped[Document | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    retracted_at: Mapped[datetime | None]
    superseded_by: Mapped[str | None] = mapped_column(String(80))
    pinned_at: Mapped[datetime | None]
    purpose: Mapped[str] = mapped_column(String(16), default="forecast", server_default="forecast")
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    next_try_at: Mapped[datetime | None]
    progress: Mapped[Document | None]
    work_bytes: Mapped[int | None] = mapped_column(BigInteger)
    lease_token: Mapped[int] = mapped_column(Integer, default=0)
    lease_host: Mapped[str | None] = mapped_column(String(255))
    lease_pid: Mapped[int | None]
    lease_process: Mapped[str | None] = mapped_column(String(255))
    lease_renewed_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(_one_of("state", RunState), name="state"),
        CheckConstraint("members_requested >= 1", name="members_requested"),
        Index(
            "uq_runs_one_per_identity",
            "model_hash",
            "init_time",
            "config_hash",
            unique=True,
            sqlite_where=text(STANDING_SQL),
            postgresql_where=text(STANDING_SQL),
        ),
        Index("ix_runs_init_time_created_at", "init_time", "created_at"),
        Index("ix_runs_init_time_id", "init_time", "id"),
        Index("ix_runs_state_init_time_id", "state", "init_time", "id"),
        Index("ix_runs_model_name_init_time_id", "model_name", "init_time", "id"),
        Index("ix_runs_purpose_init_time_id", "purpose", "init_time", "id"),
        Index("ix_runs_created_at", "created_at"),
    )


class Stage(Base):
    """One part of a run: when its first attempt began, when its last ended, and how."""

    __tablename__ = "stages"

    run_id: Mapped[str] = _run_key()
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (CheckConstraint(_one_of("state", AttemptState), name="state"),)


class Attempt(Base):
    """One try at a stage by one process."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    stage: Mapped[str] = mapped_column(String(32))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint(_one_of("state", AttemptState), name="state"),
        Index("uq_attempts_run_id_stage_number", "run_id", "stage", "number", unique=True),
    )


class Input(Base):
    """One file or object that the analysis was made of."""

    __tablename__ = "inputs"

    run_id: Mapped[str] = _run_key()
    uri: Mapped[str] = mapped_column(String(2000), primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    valid_time: Mapped[datetime]
    provenance: Mapped[Document | None]


class Product(Base):
    """One published object. `lead_time_hours` is None for what belongs to the whole run; `deleted_at` tells when the
    object was removed from the store.
    """

    __tablename__ = "products"

    run_id: Mapped[str] = _run_key()
    key: Mapped[str] = mapped_column(String(1000), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    lead_time_hours: Mapped[int | None]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    details: Mapped[Document | None]
    published_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("bytes >= 0", name="bytes"),
        Index("ix_products_run_id_lead_time_hours", "run_id", "lead_time_hours"),
    )


class MemberLoss(Base):
    """A member that did not end: the lead time at which it was given up, and why."""

    __tablename__ = "member_losses"

    run_id: Mapped[str] = _run_key()
    member: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lead_time_hours: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime]


class Event(Base):
    """Something that happened to a run. `state` is set where the event is a change of state."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))
    state: Mapped[str | None] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_events_run_id_id", "run_id", "id"), Index("ix_events_kind_at", "kind", "at"))


class Arrival(Base):
    """A cycle of a source: when it was last seen incomplete and what was missing then, and first seen complete."""

    __tablename__ = "arrivals"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    init_time: Mapped[datetime] = mapped_column(primary_key=True)
    incomplete_at: Mapped[datetime | None]
    complete_at: Mapped[datetime | None]
    missing: Mapped[str | None] = mapped_column(Text)


class Worker(Base):
    """A process that worked on a run. `exit_code` is negative for a signal; `reason` says in words how it ended, and
    `kind` in one (`ops.executors.base.Kind`). `batch_size` is how many members it advanced together at the last.
    """

    __tablename__ = "workers"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]
    kind: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    cpu_seconds: Mapped[float | None]
    device_seconds: Mapped[float | None]
    batch_size: Mapped[int | None]
    log_path: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_workers_run_id_id", "run_id", "id"),)


class Daemon(Base):
    """A daemon, alive if it was seen lately."""

    __tablename__ = "daemons"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]


class Order(Base):
    """A cycle that somebody asked for. `options` maps dotted keys of the configuration to values of their own."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    init_time: Mapped[datetime]
    purpose: Mapped[str] = mapped_column(String(16))
    options: Mapped[Document]
    ordered_at: Mapped[datetime]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_orders_ended_at_init_time", "ended_at", "init_time"),)


class Alert(Base):
    """Something that people must know; one per kind and subject is open at a time."""

    __tablename__ = "alerts"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    message: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(Text)
    resolution_told_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_alerts_one_open",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
    )


class AlertNotice(Base):
    """An alert told to one receiver: that it was raised, or resolved. Until `claimed_until` one process tries to, or
    none does because the last try failed.
    """

    __tablename__ = "alert_notices"

    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    turn: Mapped[str] = mapped_column(String(16), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    claimed_until: Mapped[datetime]
    told_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    error: Mapped[str | None] = mapped_column(Text)


class ApiKey(Base):
    """A key of the API: its secret is known to its holder only."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[Document]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
