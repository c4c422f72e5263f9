"""Saved searches, and what they found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("looked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_saved_searches_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
        sa.UniqueConstraint("name", name=op.f("uq_saved_searches_name")),
    )
    op.create_index(
        "ix_saved_searches_to_fill",
        "saved_searches",
        ["id"],
        postgresql_where=sa.text("filled_at IS NULL"),
        sqlite_where=sa.text("filled_at IS NULL"),
    )
    op.create_table(
        "search_hits",
        sa.Column("search_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_search_hits_message_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["search_id"], ["saved_searches.id"], name=op.f("fk_search_hits_search_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "message_id", name=op.f("pk_search_hits")),
    )
    op.create_index("ix_search_hits_sent_at", "search_hits", ["search_id", "sent_at"])
    op.create_index("ix_search_hits_message_id", "search_hits", ["message_id"])


def downgrade() -> None:
    op.drop_table("search_hits")
    op.drop_table("saved_searches")
