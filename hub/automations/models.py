"""What automations are still to be asked of, and what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.conversations.models import Conversation
from hub.database import Base, JsonColumn, UtcDateTime

Result = Literal["done", "refused", "failed"]
RESULTS: tuple[Result, ...] = get_args(Result)
_TROUBLE = text("result <> 'done'")
_DUE = text("due_at IS NOT NULL")


class AutomationEvent(Base):
    """Something that happened and of which automations are still to be asked; then the row goes.

    `chain` are the automations by which it came about, the first of them first.
    """

    __tablename__ = "automation_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(30))
    before: Mapped[str | None] = mapped_column(String(20))
    tag: Mapped[str | None] = mapped_column(String(100))
    promise: Mapped[str | None] = mapped_column(String(20))
    chain: Mapped[list[str]] = mapped_column(JsonColumn, default=list, server_default="[]")
    happened_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AutomationTimer(Base):
    """The automations that wait for a time in a conversation: `routing.automations.Timer`s, times as texts.

    `due_at` is when the next of them is to be asked.
    """

    __tablename__ = "automation_timers"
    __table_args__ = (
        Index("ix_automation_timers_due_at", "due_at", postgresql_where=_DUE, sqlite_where=_DUE),
    )

    conversation_id: Mapped[int] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    timers: Mapped[list[list[Any]]] = mapped_column(JsonColumn, default=list, server_default="[]")
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AutomationRound(Base):
    """How far a new policy has looked through all conversations for what waits for a time: one row."""

    __tablename__ = "automation_rounds"

    id: Mapped[int] = mapped_column(primary_key=True)
    policy_version_id: Mapped[int] = mapped_column(ForeignKey("policy_versions.id"))
    up_to_id: Mapped[int] = mapped_column(default=0)
    done: Mapped[bool] = mapped_column(default=False)


class AutomationRun(Base):
    """That an automation applied: what it did, or why it did not.

    `event` is what happened, or what had been so for a time since `since`; `before`, `tag` and `promise` as
    in `AutomationEvent`. `actions` are what its policy says, each with `what`, its `result` (done, unchanged
    or failed) and `why`. `refused`: it did nothing, for the reason in `why`; `failed`: something of it could
    not be done.
    """

    __tablename__ = "automation_runs"
    __table_args__ = (
        CheckConstraint(f"result IN {RESULTS}", name="result"),
        Index("ix_automation_runs_automation", "automation", "id"),
        # All that is counted of a run.
        Index("ix_automation_runs_ran_at", "automation", "ran_at", "result"),
        Index("ix_automation_runs_conversation_id", "conversation_id", "id"),
        Index(
            "ix_automation_runs_trouble", "automation", "id", postgresql_where=_TROUBLE, sqlite_where=_TROUBLE
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    automation: Mapped[str] = mapped_column(String(40))
    policy_version_id: Mapped[int] = mapped_column(ForeignKey("policy_versions.id"))
    event: Mapped[str] = mapped_column(String(30))
    before: Mapped[str | None] = mapped_column(String(20))
    tag: Mapped[str | None] = mapped_column(String(100))
    promise: Mapped[str | None] = mapped_column(String(20))
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    chain: Mapped[list[str]] = mapped_column(JsonColumn, default=list, server_default="[]")
    result: Mapped[str] = mapped_column(String(10))
    actions: Mapped[list[dict[str, str]]] = mapped_column(JsonColumn, default=list, server_default="[]")
    why: Mapped[str] = mapped_column(Text, default="")
    ran_at: Mapped[datetime] = mapped_column(UtcDateTime)

    conversation: Mapped[Conversation] = relationship()
