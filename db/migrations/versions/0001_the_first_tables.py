"""The first tables: runs, stages, attempts, inputs, products, member losses, events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)
Document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ATTEMPT_STATES = "state IN ('running', 'done', 'failed', 'interrupted')"


def upgrade() -> None:
    """To this revision."""
    _create_runs()
    _create_stages_and_attempts()
    _create_inputs_and_products()
    _create_losses_and_events()


def downgrade() -> None:
    """Back to no tables at all."""
    for table in (
        "events",
        "member_losses",
        "products",
        "inputs",
        "attempts",
        "stages",
        "runs",
    ):
        op.drop_table(table)


def _run_id(table: str, primary_key: bool = True) -> sa.Column[str]:
    name = f"fk_{table}_run_id_runs"
    reference = sa.ForeignKey("runs.id", name=name, ondelete="CASCADE")
    return sa.Column("run_id", sa.String(80), reference, primary_key=primary_key, nullable=False)


def _create_runs() -> None:
    states = "state IN ('created', 'running', 'interrupted', 'published', 'failed', 'cancelled')"
    op.create_table(
        "runs",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("model_name", sa.String(200), nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("init_time", Moment, nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("store_url", sa.Text(), nullable=False),
        sa.Column("members_requested", sa.Integer(), nullable=False),
        sa.Column("members_published", sa.Integer()),
        *(sa.Column(name, Document, nullable=name != "spec") for name in ("spec", "seeds", "software", "provenance")),
        sa.Column("device", sa.Text()),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("started_at", Moment),
        sa.Column("ended_at", Moment),
        sa.Column("error", sa.Text()),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.Column("lease_host", sa.String(255)),
        sa.Column("lease_pid", sa.Integer()),
        sa.Column("lease_process", sa.String(255)),
        sa.Column("lease_renewed_at", Moment),
        sa.Column("lease_expires_at", Moment),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.CheckConstraint(states, name=op.f("ck_runs_state")),
        sa.CheckConstraint("members_requested >= 1", name=op.f("ck_runs_members_requested")),
    )
    _index_runs()


def _index_runs() -> None:
    op.create_index("ix_runs_init_time_created_at", "runs", ["init_time", "created_at"])
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    active_or_published = sa.text("state NOT IN ('cancelled', 'failed')")
    op.create_index(
        "uq_runs_one_per_identity",
        "runs",
        ["model_hash", "init_time", "config_hash"],
        unique=True,
        sqlite_where=active_or_published,
        postgresql_where=active_or_published,
    )


def _create_stages_and_attempts() -> None:
    op.create_table(
        "stages",
        _run_id("stages"),
        sa.Column("name", sa.String(32), primary_key=True, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("ended_at", Moment),
        sa.CheckConstraint(ATTEMPT_STATES, name=op.f("ck_stages_state")),
    )
    op.create_table(
        "attempts",
        sa.Column("id", Serial, primary_key=True, nullable=False),
        _run_id("attempts", primary_key=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("ended_at", Moment),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint(ATTEMPT_STATES, name=op.f("ck_attempts_state")),
    )
    op.create_index(
        "uq_attempts_run_id_stage_number",
        "attempts",
        ["run_id", "stage", "number"],
        unique=True,
    )


def _create_inputs_and_products() -> None:
    op.create_table(
        "inputs",
        _run_id("inputs"),
        sa.Column("uri", sa.String(2000), primary_key=True, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("valid_time", Moment, nullable=False),
        sa.Column("provenance", Document),
    )
    op.create_table(
        "products",
        _run_id("products"),
        sa.Column("key", sa.String(1000), primary_key=True, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("lead_time_hours", sa.Integer()),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("details", Document),
        sa.Column("published_at", Moment, nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_products_bytes")),
    )
    op.create_index("ix_products_run_id_lead_time_hours", "products", ["run_id", "lead_time_hours"])


def _create_losses_and_events() -> None:
    op.create_table(
        "member_losses",
        _run_id("member_losses"),
        sa.Column(
            "member",
            sa.Integer(),
            primary_key=True,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("lead_time_hours", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", Moment, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", Serial, primary_key=True, nullable=False),
        _run_id("events", primary_key=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16)),
        sa.Column("message", sa.Text(), nullable=False),
    )
    op.create_index("ix_events_run_id_id", "events", ["run_id", "id"])
