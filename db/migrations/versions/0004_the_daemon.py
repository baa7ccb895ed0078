"""The daemon: tries of a run and its worker processes, daemons, orders, alerts and keys of the API."""

import sqlalchemy as sa
from alembic import op

from db.types import JsonDocument

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

LISTED_BY = [[*first, "init_time", "id"] for first in ([], ["state"], ["model_name"], ["purpose"])]
"""Runs are listed by cycle and name: all of them, or those of a state, a model or a purpose."""


def upgrade() -> None:
    """To this revision."""
    op.add_column("runs", sa.Column("purpose", sa.String(16), nullable=False, server_default="forecast"))
    op.add_column("runs", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("next_try_at", Moment))
    op.add_column("runs", sa.Column("progress", JsonDocument))
    op.add_column("runs", sa.Column("work_bytes", sa.BigInteger))
    op.drop_index("ix_runs_state", table_name="runs")
    for columns in LISTED_BY:
        op.create_index(f"ix_runs_{'_'.join(columns)}", "runs", columns)
    op.add_column("arrivals", sa.Column("missing", sa.Text))
    _workers()
    _daemons()
    _orders()
    _alerts()
    _api_keys()
    op.create_index("ix_events_kind_at", "events", ["kind", "at"])


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", Number, nullable=False),
        sa.Column("run_id", sa.String(80), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("ended_at", Moment),
        sa.Column("exit_code", sa.Integer),
        sa.Column("kind", sa.String(16)),
        sa.Column("reason", sa.Text),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sa.Column("cpu_seconds", sa.Double),
        sa.Column("device_seconds", sa.Double),
        sa.Column("batch_size", sa.Integer),
        sa.Column("log_path", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE", name="fk_workers_run_id_runs"),
    )
    op.create_index("ix_workers_run_id_id", "workers", ["run_id", "id"])


def _daemons() -> None:
    op.create_table(
        "daemons",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
        sa.Column("stopped_at", Moment),
        sa.PrimaryKeyConstraint("id", name="pk_daemons"),
    )


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", Number, nullable=False),
        sa.Column("init_time", Moment, nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("options", JsonDocument, nullable=False),
        sa.Column("ordered_at", Moment, nullable=False),
        sa.Column("run_id", sa.String(80)),
        sa.Column("ended_at", Moment),
        sa.Column("outcome", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="SET NULL", name="fk_orders_run_id_runs"),
    )
    op.create_index("ix_orders_ended_at_init_time", "orders", ["ended_at", "init_time"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", Number, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("run_id", sa.String(80)),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("raised_at", Moment, nullable=False),
        sa.Column("told_at", Moment),
        sa.Column("resolved_at", Moment),
        sa.Column("resolution", sa.Text),
        sa.Column("resolution_told_at", Moment),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="SET NULL", name="fk_alerts_run_id_runs"),
    )
    unresolved = sa.text("resolved_at IS NULL")
    op.create_index(
        "uq_alerts_one_open",
        "alerts",
        ["kind", "subject"],
        unique=True,
        sqlite_where=unresolved,
        postgresql_where=unresolved,
    )
    op.create_table(
        "alert_notices",
        sa.Column("alert_id", Number, nullable=False),
        sa.Column("turn", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("claimed_until", Moment, nullable=False),
        sa.Column("told_at", Moment),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("alert_id", "turn", "channel", name="pk_alert_notices"),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], ondelete="CASCADE", name="fk_alert_notices_alert_id_alerts"
        ),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("scopes", JsonDocument, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("expires_at", Moment),
        sa.Column("revoked_at", Moment),
        sa.Column("last_used_at", Moment),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )


def downgrade() -> None:
    """Back to the revision before.

    Column by column, not in Alembic's batch mode: on SQLite that makes the table anew, and dropping the old one deletes
    every row of other tables that refers to it.
    """
    op.drop_index("ix_events_kind_at", table_name="events")
    for table in ("api_keys", "alert_notices", "alerts", "orders", "daemons", "workers"):
        op.drop_table(table)
    op.drop_column("arrivals", "missing")
    for columns in LISTED_BY:
        op.drop_index(f"ix_runs_{'_'.join(columns)}", table_name="runs")
    op.create_index("ix_runs_state", "runs", ["state"])
    for column in ("work_bytes", "progress", "next_try_at", "failures", "purpose"):
        op.drop_column("runs", column)
