"""When each version of the policy ruled, what was decided by it, and priority of conversations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_activations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "origin IN ('built-in', 'file', 'person')", name=op.f("ck_policy_activations_origin")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_policy_activations_user_id")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["policy_versions.id"], name=op.f("fk_policy_activations_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_activations")),
    )
    op.create_index("ix_policy_activations_version_id", "policy_activations", ["version_id"])
    # Nobody wrote down where a text came from: a file, if there is one, is read anew when the hub starts.
    op.execute(
        "INSERT INTO policy_activations (version_id, activated_at, origin)"
        " SELECT id, activated_at, 'built-in' FROM policy_versions ORDER BY activated_at, id"
    )
    op.drop_index("ix_policy_versions_activated_at", table_name="policy_versions")
    op.drop_column("policy_versions", "activated_at")
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_decisions_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["policy_version_id"], ["policy_versions.id"], name=op.f("fk_decisions_policy_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index("ix_decisions_conversation_id", "decisions", ["conversation_id", "id"])
    op.add_column(
        "conversations", sa.Column("priority", sa.String(length=10), server_default="normal", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("conversations", "priority")
    op.drop_table("decisions")
    op.add_column(
        "policy_versions",
        sa.Column(
            "activated_at",
            sa.DateTime(timezone=True),
            server_default="1970-01-01 00:00:00+00:00",
            nullable=False,
        ),
    )
    op.execute(
        "UPDATE policy_versions SET activated_at = COALESCE((SELECT MAX(activated_at) FROM policy_activations"
        " WHERE version_id = policy_versions.id), created_at)"
    )
    op.create_index("ix_policy_versions_activated_at", "policy_versions", ["activated_at"])
    op.drop_table("policy_activations")
