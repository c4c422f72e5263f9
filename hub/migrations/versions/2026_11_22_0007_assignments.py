"""Assignments: who had which conversation and why; teams, skills and capacity."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("how", sa.String(length=20), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("lane", sa.String(length=1000), server_default="", nullable=False),
        sa.Column("reasons", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=True),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accept_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.String(length=20), nullable=True),
        sa.CheckConstraint(
            "ended IN ('released', 'declined', 'not_accepted', 'away', 'sent_on', 'answered_by_another')",
            name=op.f("ck_assignments_ended"),
        ),
        sa.CheckConstraint(
            "how IN ('next', 'push', 'taken', 'answered', 'sent')", name=op.f("ck_assignments_how")
        ),
        sa.CheckConstraint("(ended IS NULL) = (ended_at IS NULL)", name=op.f("ck_assignments_end")),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_assignments_by_id")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_assignments_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["policy_version_id"], ["policy_versions.id"], name=op.f("fk_assignments_policy_version_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_assignments_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index("ix_assignments_conversation_id", "assignments", ["conversation_id"], unique=False)
    op.create_index(
        "ix_assignments_open",
        "assignments",
        ["conversation_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_assignments_refused",
        "assignments",
        ["ended_at", "conversation_id"],
        unique=False,
        postgresql_where=sa.text("ended IN ('declined', 'not_accepted')"),
        sqlite_where=sa.text("ended IN ('declined', 'not_accepted')"),
    )
    op.create_index("ix_assignments_user_id", "assignments", ["user_id", "id"], unique=False)
    # Whoever has one now has had it since then.
    op.execute(
        "INSERT INTO assignments (conversation_id, user_id, how, reasons, assigned_at)"
        " SELECT id, owner_id, 'taken', '[]', COALESCE(owned_since, updated_at)"
        " FROM conversations WHERE owner_id IS NOT NULL"
    )
    op.add_column("conversations", sa.Column("needs_rule", sa.String(length=40), nullable=True))
    op.add_column(
        "conversations", sa.Column("lane", sa.String(length=1000), server_default="", nullable=False)
    )
    op.add_column("conversations", sa.Column("relaxed_lane", sa.String(length=1000), nullable=True))
    op.add_column("conversations", sa.Column("relax_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("load", sa.Integer(), server_default="1", nullable=False))
    op.add_column("conversations", sa.Column("sent_to_team", sa.String(length=40), nullable=True))
    op.add_column("conversations", sa.Column("known_by_id", sa.Integer(), nullable=True))
    op.add_column("conversations", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("accept_by", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_conversations_accept_by",
        "conversations",
        ["accept_by"],
        unique=False,
        postgresql_where=sa.text("accept_by IS NOT NULL"),
        sqlite_where=sa.text("accept_by IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_held",
        "conversations",
        ["known_by_id", "reply_by", "id"],
        unique=False,
        postgresql_where=sa.text("reply_by IS NOT NULL AND owner_id IS NULL AND held_until IS NOT NULL"),
        sqlite_where=sa.text("reply_by IS NOT NULL AND owner_id IS NULL AND held_until IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_in_hand",
        "conversations",
        ["owner_id"],
        unique=False,
        postgresql_where=sa.text("owner_id IS NOT NULL AND reply_by IS NOT NULL"),
        sqlite_where=sa.text("owner_id IS NOT NULL AND reply_by IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_lane",
        "conversations",
        ["lane", "reply_by", "id"],
        unique=False,
        postgresql_where=sa.text(
            "reply_by IS NOT NULL AND owner_id IS NULL AND held_until IS NULL AND lane <> ''"
        ),
        sqlite_where=sa.text(
            "reply_by IS NOT NULL AND owner_id IS NULL AND held_until IS NULL AND lane <> ''"
        ),
    )
    op.create_index(
        "ix_conversations_relax_at",
        "conversations",
        ["relax_at"],
        unique=False,
        postgresql_where=sa.text("relax_at IS NOT NULL"),
        sqlite_where=sa.text("relax_at IS NOT NULL"),
    )
    op.add_column("users", sa.Column("away_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "users",
        sa.Column(
            "teams", sa.JSON().with_variant(JSONB(), "postgresql"), server_default="[]", nullable=False
        ),
    )
    op.add_column(
        "users",
        sa.Column(
            "skills", sa.JSON().with_variant(JSONB(), "postgresql"), server_default="{}", nullable=False
        ),
    )
    op.add_column("users", sa.Column("capacity", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "capacity")
    op.drop_column("users", "skills")
    op.drop_column("users", "teams")
    op.drop_column("users", "away_since")
    op.drop_index("ix_conversations_relax_at", table_name="conversations")
    op.drop_index("ix_conversations_lane", table_name="conversations")
    op.drop_index("ix_conversations_in_hand", table_name="conversations")
    op.drop_index("ix_conversations_held", table_name="conversations")
    op.drop_index("ix_conversations_accept_by", table_name="conversations")
    op.drop_column("conversations", "accept_by")
    op.drop_column("conversations", "held_until")
    op.drop_column("conversations", "known_by_id")
    op.drop_column("conversations", "sent_to_team")
    op.drop_column("conversations", "load")
    op.drop_column("conversations", "relax_at")
    op.drop_column("conversations", "relaxed_lane")
    op.drop_column("conversations", "lane")
    op.drop_column("conversations", "needs_rule")
    op.drop_index("ix_assignments_user_id", table_name="assignments")
    op.drop_index("ix_assignments_refused", table_name="assignments")
    op.drop_index("ix_assignments_open", table_name="assignments")
    op.drop_index("ix_assignments_conversation_id", table_name="assignments")
    op.drop_table("assignments")
