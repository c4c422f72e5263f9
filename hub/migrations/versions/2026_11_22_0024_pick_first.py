"""The index that `next` walks made anew, where SQLite takes the newest of two that fit alike.

The other one, of the queue, holds what somebody has in hand too, and `next` walked past all of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

NAME = "ix_conversations_pick"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(NAME, "conversations")
        where = sa.text("reply_by IS NOT NULL AND owner_id IS NULL")
        op.create_index(NAME, "conversations", ["reply_by", "id"], sqlite_where=where)


def downgrade() -> None:
    """The index is the same."""
