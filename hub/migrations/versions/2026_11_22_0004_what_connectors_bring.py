"""What connectors bring and send: edits, deletions, the nature of a message, attachments; overheard messages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MESSAGES = sa.table(
    "messages", sa.column("id", sa.Integer()), sa.column("direction", sa.String()), sa.column("meta", JSON)
)
ATTACHMENTS = sa.table(
    "attachments",
    sa.column("message_id", sa.Integer()),
    sa.column("name", sa.String()),
    sa.column("content_type", sa.String()),
    sa.column("size_bytes", sa.BigInteger()),
)
CHUNK = 1000


def upgrade() -> None:
    op.create_table(
        "message_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_message_versions_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_versions")),
    )
    op.create_index(op.f("ix_message_versions_message_id"), "message_versions", ["message_id"])
    op.create_table(
        "attachments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("content_type", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("content_id", sa.String(length=998), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_attachments_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_message_id"), "attachments", ["message_id"])
    op.create_index(
        "ix_attachments_sha256",
        "attachments",
        ["sha256"],
        postgresql_where=sa.text("sha256 IS NOT NULL"),
        sqlite_where=sa.text("sha256 IS NOT NULL"),
    )
    op.add_column(
        "conversations", sa.Column("listening", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.drop_index(op.f("ix_conversations_last_message_at"), table_name="conversations")
    op.create_index("ix_conversations_list", "conversations", ["listening", "last_message_at", "id"])
    # In the column's own words, since SQLite adds no constraint to a table that is there.
    op.execute(
        "ALTER TABLE messages ADD COLUMN nature VARCHAR(20) CONSTRAINT ck_messages_nature"
        " CHECK (nature IS NULL OR nature IN ('bounce', 'auto_reply', 'list', 'loop'))"
    )
    op.add_column("messages", sa.Column("addressed", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("messages", sa.Column("url", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("answers_id", sa.Integer(), nullable=True))
    op.add_column("messages", sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    _remember_what_is_answered()
    _give_attachments_rows()


def _remember_what_is_answered() -> None:
    """Replies that may still be sent say which message they answer, as those do that are written from now on."""
    op.execute(
        "UPDATE messages SET answers_id = (SELECT asked.id FROM messages AS asked"
        " WHERE asked.conversation_id = messages.conversation_id AND asked.direction = 'incoming'"
        " AND asked.id < messages.id ORDER BY asked.sent_at DESC, asked.id DESC LIMIT 1)"
        " WHERE direction = 'outgoing' AND delivery IN ('pending', 'sending', 'failed', 'unknown')"
    )


def _give_attachments_rows() -> None:
    """What was said of attachments beside the vendor's own words moves into the table."""
    connection = op.get_bind()
    reached = 0
    while True:
        rows = connection.execute(
            sa.select(MESSAGES.c.id, MESSAGES.c.meta)
            .where(MESSAGES.c.id > reached, sa.cast(MESSAGES.c.meta, sa.Text()).like('%"attachments"%'))
            .order_by(MESSAGES.c.id)
            .limit(CHUNK)
        ).all()
        if not rows:
            return
        for message_id, meta in rows:
            reached = message_id
            if described := _described(meta):
                connection.execute(
                    sa.insert(ATTACHMENTS), [{"message_id": message_id, **each} for each in described]
                )
                rest = {name: value for name, value in meta.items() if name != "attachments"}
                connection.execute(sa.update(MESSAGES).where(MESSAGES.c.id == message_id).values(meta=rest))


def _described(meta: dict[str, Any]) -> list[dict[str, Any]]:
    files = meta.get("attachments")
    wanted = {"name", "content_type", "size_bytes"}
    if not isinstance(files, list) or not all(
        isinstance(each, dict) and set(each) == wanted for each in files
    ):
        return []
    return [
        {
            "name": each["name"][:300],
            "content_type": each["content_type"][:200],
            "size_bytes": each["size_bytes"],
        }
        for each in files
    ]


def downgrade() -> None:
    for name in ("deleted_at", "edited_at", "answers_id", "url", "addressed", "nature"):
        op.drop_column("messages", name)
    op.drop_index("ix_conversations_list", table_name="conversations")
    op.create_index(
        op.f("ix_conversations_last_message_at"), "conversations", ["last_message_at", "id"], unique=False
    )
    op.drop_column("conversations", "listening")
    op.drop_table("attachments")
    op.drop_table("message_versions")
