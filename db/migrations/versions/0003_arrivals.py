"""Arrivals: when each source's cycles were seen to be complete."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "arrivals",
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("init_time", Moment, nullable=False),
        sa.Column("incomplete_at", Moment),
        sa.Column("complete_at", Moment),
        sa.PrimaryKeyConstraint("source", "init_time", name="pk_arrivals"),
    )


def downgrade() -> None:
    """Back to the revision before."""
    op.drop_table("arrivals")
