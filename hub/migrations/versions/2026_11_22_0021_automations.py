"""Automations: what they are still to be asked of, and what they did."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
TROUBLE = sa.text("result <> 'done'")
DUE = sa.text("due_at IS NOT NULL")
OF_A_PROMISE: dict[str, TypeEngine[Any]] = {
    "promise_id": sa.Integer(),
    "metric": sa.String(length=20),
    "due_at": MOMENT,
}


def upgrade() -> None:
    op.create_table(
        "automation_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("before", sa.String(length=20), nullable=True),
        sa.Column("tag", sa.String(length=100), nullable=True),
        sa.Column("promise", sa.String(length=20), nullable=True),
        sa.Column("chain", JSON, server_default="[]", nullable=False),
        sa.Column("happened_at", MOMENT, nullable=False),
        _of_conversation("automation_events"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_events")),
    )
    op.create_index("ix_automation_events_conversation_id", "automation_events", ["conversation_id"])
    op.create_table(
        "automation_timers",
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("timers", JSON, server_default="[]", nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        _of_conversation("automation_timers"),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_automation_timers")),
    )
    op.create_index(
        "ix_automation_timers_due_at", "automation_timers", ["due_at"], postgresql_where=DUE, sqlite_where=DUE
    )
    op.create_table(
        "automation_rounds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("up_to_id", sa.Integer(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        _of_version("automation_rounds"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_rounds")),
    )
    op.create_table(
        "automation_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("automation", sa.String(length=40), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("before", sa.String(length=20), nullable=True),
        sa.Column("tag", sa.String(length=100), nullable=True),
        sa.Column("promise", sa.String(length=20), nullable=True),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("chain", JSON, server_default="[]", nullable=False),
        sa.Column("result", sa.String(length=10), nullable=False),
        sa.Column("actions", JSON, server_default="[]", nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("ran_at", MOMENT, nullable=False),
        sa.CheckConstraint("result IN ('done', 'refused', 'failed')", name=op.f("ck_automation_runs_result")),
        _of_conversation("automation_runs"),
        _of_version("automation_runs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_runs")),
    )
    op.create_index("ix_automation_runs_automation", "automation_runs", ["automation", "id"])
    op.create_index("ix_automation_runs_conversation_id", "automation_runs", ["conversation_id", "id"])
    op.create_index(
        "ix_automation_runs_trouble",
        "automation_runs",
        ["automation", "id"],
        postgresql_where=TROUBLE,
        sqlite_where=TROUBLE,
    )
    with op.batch_alter_table("warnings") as batch:
        for name, kind in OF_A_PROMISE.items():
            batch.alter_column(name, existing_type=kind, nullable=True)
        batch.add_column(sa.Column("run_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_warnings_run_id"), "automation_runs", ["run_id"], ["id"], ondelete="CASCADE"
        )
        batch.create_index("ix_warnings_run_id", ["run_id"])


def downgrade() -> None:
    op.execute("DELETE FROM warnings WHERE promise_id IS NULL")
    with op.batch_alter_table("warnings") as batch:
        batch.drop_index("ix_warnings_run_id")
        batch.drop_constraint(op.f("fk_warnings_run_id"), type_="foreignkey")
        batch.drop_column("run_id")
        for name, kind in OF_A_PROMISE.items():
            batch.alter_column(name, existing_type=kind, nullable=False)
    for table in ("automation_runs", "automation_rounds", "automation_timers", "automation_events"):
        op.drop_table(table)


def _of_conversation(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["conversation_id"],
        ["conversations.id"],
        name=op.f(f"fk_{table}_conversation_id"),
        ondelete="CASCADE",
    )


def _of_version(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["policy_version_id"], ["policy_versions.id"], name=op.f(f"fk_{table}_policy_version_id")
    )
