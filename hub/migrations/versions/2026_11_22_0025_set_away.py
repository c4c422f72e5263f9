"""Why the hub set somebody away, and when they came back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("away_because", sa.String(200), nullable=True))
    op.add_column("users", sa.Column("back_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "back_at")
    op.drop_column("users", "away_because")
