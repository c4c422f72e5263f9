"""Promises of updates and resolutions, pauses, measured times, warnings, merged conversations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
RUNNING = "met_at IS NULL AND breached_at IS NULL AND cancelled_at IS NULL"
OLD_METRICS = "metric IN ('first_reply_time', 'next_reply_time')"
METRICS = "metric IN ('first_reply_time', 'next_reply_time', 'periodic_update_time', 'resolution_time')"
MEASURED = ("first_resolution_seconds", "resolution_seconds", "requester_wait_seconds", "agent_work_seconds")


def upgrade() -> None:
    for name in ("paused_at", "asks_at", "warn_at"):
        op.add_column("promises", sa.Column(name, MOMENT, nullable=True))
    op.add_column("promises", sa.Column("warned", JSON, nullable=False, server_default="[]"))
    _allow(METRICS)
    op.drop_index("ix_promises_due_at", table_name="promises")
    _partial("ix_promises_due_at", "promises", ["due_at"], f"{RUNNING} AND paused_at IS NULL")
    _partial("ix_promises_asks_at", "promises", ["asks_at"], "asks_at IS NOT NULL")
    _partial("ix_promises_warn_at", "promises", ["warn_at"], "warn_at IS NOT NULL")

    op.add_column("conversations", sa.Column("last_replied_at", MOMENT, nullable=True))
    op.add_column("conversations", sa.Column("history", JSON, nullable=False, server_default="[]"))
    for name in MEASURED:
        op.add_column("conversations", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("conversations", sa.Column("merged", JSON, nullable=True))
    op.add_column("conversations", sa.Column("merged_into_id", sa.Integer(), nullable=True))
    _remember_status()
    _partial("ix_conversations_solved_at", "conversations", ["solved_at"], "solved_at IS NOT NULL")
    _partial(
        "ix_conversations_merged_into_id", "conversations", ["merged_into_id"], "merged_into_id IS NOT NULL"
    )
    _partial(
        "ix_conversations_placed", "conversations", ["policy_version_id", "id"], "placed_for IS NOT NULL"
    )

    op.add_column("customers", sa.Column("moved", sa.Boolean(), nullable=False, server_default=sa.false()))
    _partial("ix_customers_moved", "customers", ["id"], "moved")

    op.create_table(
        "warnings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("promise_id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("metric", sa.String(length=20), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["promise_id"], ["promises.id"], name=op.f("fk_warnings_promise_id_promises"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_warnings_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_warnings_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warnings")),
        sa.UniqueConstraint(
            "promise_id", "step", "user_id", name=op.f("uq_warnings_promise_id_step_user_id")
        ),
    )
    op.create_index("ix_warnings_user_id", "warnings", ["user_id", "id"])
    op.create_index("ix_warnings_conversation_id", "warnings", ["conversation_id"])
    _partial("ix_warnings_unread", "warnings", ["user_id"], "read_at IS NULL")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def _allow(metrics: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_promises_metric"), "promises", type_="check")
        op.create_check_constraint(op.f("ck_promises_metric"), "promises", metrics)
        return
    # SQLite makes the table anew; what is not named here, such as the constraint there was, is left out.
    with op.batch_alter_table("promises", recreate="always") as promises:
        promises.create_check_constraint(op.f("ck_promises_metric"), metrics)


def _remember_status() -> None:
    """Of the past only the beginning and how it stands now are known; what is not over is placed anew."""
    connection = op.get_bind()
    table = sa.table(
        "conversations",
        sa.column("id", sa.Integer),
        sa.column("status", sa.String),
        sa.column("listening", sa.Boolean),
        sa.column("created_at", MOMENT),
        sa.column("updated_at", MOMENT),
        sa.column("solved_at", MOMENT),
        sa.column("last_incoming_at", MOMENT),
        sa.column("first_replied_at", MOMENT),
        sa.column("last_replied_at", MOMENT),
        sa.column("placed_for", MOMENT),
        sa.column("history", JSON),
    )
    messages = sa.table(
        "messages",
        sa.column("conversation_id", sa.Integer),
        sa.column("direction", sa.String),
        sa.column("private", sa.Boolean),
        sa.column("automatic", sa.Boolean),
        sa.column("delivery", sa.String),
        sa.column("sent_at", MOMENT),
    )
    newest_reply = (
        sa.select(sa.func.max(messages.c.sent_at))
        .where(
            messages.c.conversation_id == table.c.id,
            messages.c.direction == "outgoing",
            messages.c.private.is_(False),
            messages.c.automatic.is_(False),
            messages.c.delivery != "failed",
        )
        .scalar_subquery()
    )
    connection.execute(
        sa.update(table).where(table.c.first_replied_at.is_not(None)).values(last_replied_at=newest_reply)
    )
    connection.execute(sa.update(table).values(placed_for=None))
    connection.execute(
        sa.update(table)
        .where(table.c.status.not_in(("solved", "closed")), table.c.listening.is_(False))
        .values(placed_for=table.c.created_at)
    )
    update = (
        sa.update(table)
        .where(table.c.id == sa.bindparam("row"))
        .values(history=sa.bindparam("told", type_=JSON))
    )
    for rows in _batches(connection, table):
        connection.execute(update, [{"row": row.id, "told": _told(row)} for row in rows])


def _batches(connection: sa.Connection, table: sa.TableClause) -> Iterator[list[Any]]:
    last = 0
    while rows := list(
        connection.execute(
            sa.select(table)
            .where(table.c.id > last, table.c.last_incoming_at.is_not(None))
            .order_by(table.c.id)
            .limit(1000)
        )
    ):
        last = rows[-1].id
        yield rows


def _told(row: Any) -> list[list[str]]:
    began = [["new", _iso(row.created_at)]]
    if row.status == "new":
        return began
    at = row.solved_at if row.status in ("solved", "closed") and row.solved_at else row.updated_at
    return [*began, [row.status, _iso(max(at, row.created_at))]]


def _iso(at: datetime) -> str:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def downgrade() -> None:
    op.drop_table("warnings")
    op.drop_index("ix_customers_moved", table_name="customers")
    op.drop_column("customers", "moved")
    for name in ("placed", "merged_into_id", "solved_at"):
        op.drop_index(f"ix_conversations_{name}", table_name="conversations")
    for name in ("merged_into_id", "merged", *MEASURED, "history", "last_replied_at"):
        op.drop_column("conversations", name)
    for name in ("warn_at", "asks_at", "due_at"):
        op.drop_index(f"ix_promises_{name}", table_name="promises")
    promises = sa.table("promises", sa.column("metric"))
    op.execute(sa.delete(promises).where(promises.c.metric.in_(("periodic_update_time", "resolution_time"))))
    _allow(OLD_METRICS)
    for name in ("warned", "warn_at", "asks_at", "paused_at"):
        op.drop_column("promises", name)
    _partial("ix_promises_due_at", "promises", ["due_at"], RUNNING)
