"""Warnings that go out by mail too, and who wants that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

DUE = sa.text("due_at IS NOT NULL")
STATES = "state IN ('pending', 'sending', 'sent', 'failed', 'unknown', 'dropped')"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("warning_mails", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("users", sa.Column("time_zone", sa.String(64), nullable=True))
    op.create_table(
        "warning_mails",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("warning_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(STATES, name=op.f("ck_warning_mails_state")),
        sa.ForeignKeyConstraint(
            ["warning_id"],
            ["warnings.id"],
            name=op.f("fk_warning_mails_warning_id_warnings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warning_mails")),
        sa.UniqueConstraint("warning_id", name=op.f("uq_warning_mails_warning_id")),
    )
    op.create_index(
        "ix_warning_mails_due_at", "warning_mails", ["due_at"], sqlite_where=DUE, postgresql_where=DUE
    )


def downgrade() -> None:
    op.drop_table("warning_mails")
    op.drop_column("users", "time_zone")
    op.drop_column("users", "warning_mails")
