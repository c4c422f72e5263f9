"""What is foreseen: arrivals, agents needed, promises about to break."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "foresights",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("forecast_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("policy_version_id", sa.Integer(), nullable=True),
        sa.Column("history_hours", sa.Integer(), nullable=False),
        sa.Column("today", sa.Float(), nullable=True),
        sa.Column("hours", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("attainment", sa.Float(), nullable=True),
        sa.Column("outlook", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=True),
        sa.Column("warned_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_foresights")),
    )
    op.create_index("ix_promises_started_at", "promises", ["started_at"])


def downgrade() -> None:
    op.drop_index("ix_promises_started_at", table_name="promises")
    op.drop_table("foresights")
