"""How full the queue was of late, for the next plan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("plans") as batch:
        batch.add_column(sa.Column("fullest_seconds", sa.Float(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("fullest_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("plans") as batch:
        batch.drop_column("fullest_at")
        batch.drop_column("fullest_seconds")
