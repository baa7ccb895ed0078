"""Published runs may be retracted, superseded and pinned; their products may be removed from the store."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)
IDENTITY = "uq_runs_one_per_identity"
GIVEN_UP = "state NOT IN ('cancelled', 'failed')"


def upgrade() -> None:
    """To this revision."""
    op.add_column("runs", sa.Column("retracted_at", Moment))
    op.add_column("runs", sa.Column("superseded_by", sa.String(80)))
    op.add_column("runs", sa.Column("pinned_at", Moment))
    op.add_column("products", sa.Column("deleted_at", Moment))
    _one_per_identity(f"retracted_at IS NULL AND {GIVEN_UP}")


def downgrade() -> None:
    """Back to runs that stay as they were published: one that was retracted counts as cancelled.

    Otherwise it would stand again, and where another is in its place no two could be there.
    """
    op.execute("UPDATE runs SET state = 'cancelled' WHERE retracted_at IS NOT NULL")
    _one_per_identity(GIVEN_UP)
    op.drop_column("products", "deleted_at")
    for column in ("pinned_at", "superseded_by", "retracted_at"):
        op.drop_column("runs", column)


def _one_per_identity(where: str) -> None:
    op.drop_index(IDENTITY, table_name="runs")
    op.create_index(
        IDENTITY,
        "runs",
        ["model_hash", "init_time", "config_hash"],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
