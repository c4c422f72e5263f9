"""What comes now is analysed before history; changes that came too early are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None

TO_ANALYSE = sa.text("direction = 'incoming' AND analysed_at IS NULL")
WHOLE_THREAD = sa.text("thread_key IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "messages", sa.Column("history", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.drop_index("ix_messages_to_analyse", table_name="messages")
    op.create_index(
        "ix_messages_to_analyse",
        "messages",
        ["history", "id"],
        postgresql_where=TO_ANALYSE,
        sqlite_where=TO_ANALYSE,
    )
    op.create_table(
        "early_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("external_id", sa.String(length=998), nullable=False),
        sa.Column("thread_key", sa.String(length=400), nullable=True),
        sa.Column("said", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('edited', 'deleted', 'undelivered')", name=op.f("ck_early_changes_kind")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_early_changes_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_early_changes")),
        sa.UniqueConstraint(
            "channel_id", "external_id", "kind", name=op.f("uq_early_changes_channel_id_external_id_kind")
        ),
    )
    op.create_index(
        "ix_early_changes_thread_key",
        "early_changes",
        ["channel_id", "thread_key"],
        postgresql_where=WHOLE_THREAD,
        sqlite_where=WHOLE_THREAD,
    )
    op.create_index("ix_early_changes_told_at", "early_changes", ["channel_id", "told_at"])


def downgrade() -> None:
    op.drop_table("early_changes")
    op.drop_index("ix_messages_to_analyse", table_name="messages")
    op.create_index(
        "ix_messages_to_analyse",
        "messages",
        ["id"],
        postgresql_where=TO_ANALYSE,
        sqlite_where=TO_ANALYSE,
    )
    op.drop_column("messages", "history")
