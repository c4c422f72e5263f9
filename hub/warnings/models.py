"""Warnings that were given."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.accounts.models import User
from hub.conversations.models import Conversation, Promise
from hub.database import Base, UtcDateTime

MAIL_STATES = ("pending", "sending", "sent", "failed", "unknown", "dropped")


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

    user: Mapped[User] = relationship()
    mail: Mapped[WarningMail | None] = relationship(back_populates="warning")
    conversation: Mapped[Conversation] = relationship()
    promise: Mapped[Promise | None] = relationship()


class WarningMail(Base):
    """The mail of a warning, on its way out while `due_at` is set: then it is looked at next.

    While it is `sending`, `due_at` is when whoever sends it is taken for dead. `dropped`: there was nothing
    to warn of any more, or it had been read. `detail` says why the last try failed.
    """

    __tablename__ = "warning_mails"
    __table_args__ = (
        CheckConstraint(f"state IN {MAIL_STATES}", name="state"),
        Index(
            "ix_warning_mails_due_at",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
            sqlite_where=text("due_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    warning_id: Mapped[int] = mapped_column(ForeignKey("warnings.id", ondelete="CASCADE"), unique=True)
    state: Mapped[str] = mapped_column(String(10), default="pending")
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    detail: Mapped[str] = mapped_column(Text, default="")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    warning: Mapped[PromiseWarning] = relationship(back_populates="mail")
