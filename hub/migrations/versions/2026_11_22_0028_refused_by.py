"""An index for what somebody refused lately: else `next` would read all that they ever had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

NAME = "ix_assignments_refused_by"
REFUSED = sa.text("ended IN ('declined', 'not_accepted')")


def upgrade() -> None:
    op.create_index(
        NAME,
        "assignments",
        ["user_id", "ended_at", "conversation_id"],
        sqlite_where=REFUSED,
        postgresql_where=REFUSED,
    )


def downgrade() -> None:
    op.drop_index(NAME, "assignments")
