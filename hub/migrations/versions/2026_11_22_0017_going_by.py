"""The channel by which a conversation goes on, where that is not its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("via_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("conversations", "via_id")
