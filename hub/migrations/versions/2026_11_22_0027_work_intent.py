"""The intent from which the work expected in a conversation follows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("work_intent", sa.String(40), nullable=True))


def downgrade() -> None:
    op.drop_column("conversations", "work_intent")
