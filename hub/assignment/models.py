"""Assignments: who has had a conversation, since when, and why."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.accounts.models import User
from hub.database import Base, JsonColumn, UtcDateTime

HOWS = ("next", "push", "taken", "answered", "sent")
ENDS = ("released", "declined", "not_accepted", "away", "sent_on", "answered_by_another")
REFUSALS = ("declined", "not_accepted")
_OPEN = text("ended_at IS NULL")
_REFUSED = text(f"ended IN {REFUSALS}")
REFUSED = text(f"assignments.ended IN {REFUSALS}")
"""As the index of refusals says it, word for word."""


class Assignment(Base):
    """One stretch of time in which a conversation was somebody's.

    `how` it came to them: they asked for the next, it was offered (`push`), they took it or answered it, or
    `by` sent it. `lane` is what it needed then, `reasons` say why it was they. It was to be accepted until
    `accept_by`, where that is set, and was at `accepted_at`. Open while `ended_at` is not set, and of a
    conversation at most one is; the conversation's `owner_id` says the same, and `hub.assignment.owning`
    alone changes the two.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        CheckConstraint(f"how IN {HOWS}", name="how"),
        CheckConstraint(f"ended IN {ENDS}", name="ended"),
        CheckConstraint("(ended IS NULL) = (ended_at IS NULL)", name="end"),
        Index(
            "ix_assignments_open", "conversation_id", unique=True, postgresql_where=_OPEN, sqlite_where=_OPEN
        ),
        # Who is not to be asked again so soon.
        Index(
            "ix_assignments_refused",
            "ended_at",
            "conversation_id",
            postgresql_where=_REFUSED,
            sqlite_where=_REFUSED,
        ),
        # The same of one who asks for the next.
        Index(
            "ix_assignments_refused_by",
            "user_id",
            "ended_at",
            "conversation_id",
            postgresql_where=_REFUSED,
            sqlite_where=_REFUSED,
        ),
        Index("ix_assignments_conversation_id", "conversation_id"),
        # When somebody was given something last.
        Index("ix_assignments_user_id", "user_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    how: Mapped[str] = mapped_column(String(20))
    by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    lane: Mapped[str] = mapped_column(String(1000), default="", server_default="")
    reasons: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    policy_version_id: Mapped[int | None] = mapped_column(ForeignKey("policy_versions.id"))
    assigned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accept_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended: Mapped[str | None] = mapped_column(String(20))

    user: Mapped[User] = relationship(foreign_keys=[user_id])
    by: Mapped[User | None] = relationship(foreign_keys=[by_id])
