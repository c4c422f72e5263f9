"""Warnings that were given."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.conversations.models import Conversation, Promise
from hub.database import Base, UtcDateTime


class PromiseWarning(Base):
    """What one person was told of one promise, at a step of the policy's `warnings`; never twice.

    `metric` and `due_at` are the promise's as of then. What an automation told them is of no promise: it has
    `run_id`, and the automation's name is the `step`.
    """

    __tablename__ = "warnings"
    __table_args__ = (
        UniqueConstraint("promise_id", "step", "user_id"),
        Index("ix_warnings_user_id", "user_id", "id"),
        Index(
            "ix_warnings_unread",
            "user_id",
            postgresql_where=text("read_at IS NULL"),
            sqlite_where=text("read_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    promise_id: Mapped[int | None] = mapped_column(ForeignKey("promises.id", ondelete="CASCADE"))
    run_id: Mapped[int | None] = mapped_column(
        ForeignKey("automation_runs.id", ondelete="CASCADE"), index=True
    )
    conversation_id: Mapped[int] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    step: Mapped[str] = mapped_column(String(40))
    metric: Mapped[str | None] = mapped_column(String(20))
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    conversation: Mapped[Conversation] = relationship()
    promise: Mapped[Promise | None] = relationship()
