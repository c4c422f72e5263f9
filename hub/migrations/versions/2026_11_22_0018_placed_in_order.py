"""What another version of the policy placed, in the order of the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NAME = "ix_conversations_placed"


def upgrade() -> None:
    _index("policy_version_id", "reply_by", "id")


def downgrade() -> None:
    _index("policy_version_id", "id")


def _index(*columns: str) -> None:
    op.drop_index(NAME, table_name="conversations")
    owed = sa.text("placed_for IS NOT NULL")
    op.create_index(NAME, "conversations", list(columns), postgresql_where=owed, sqlite_where=owed)
