"""What a vendor keeps of a thread, and what it is still to be told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.database import Base, JsonColumn, UtcDateTime

TROUBLES = ("later", "sign_in", "settings", "failed", "refused")


class Ticket(Base):
    """A thread at a vendor that gives statuses or tags to threads, as far as the hub knows it.

    `status` and `tags` are what the vendor had at `changed_at`, a time of the vendor's; None: not known.
    `newest_id` is the newest of its conversations that was given its tags. What the hub has otherwise is to
    be told: tags always, the status where somebody here changed it, at `status_set_at`. `due_at` is set while
    there is anything to tell. `telling` is what is being told, or was with an outcome that nobody knows.
    `trouble` is why the last try failed, with `error` for people; `refused` waits for a person, the others
    are tried again.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("channel_id", "thread_key"),
        CheckConstraint(f"trouble IS NULL OR trouble IN {TROUBLES}", name="trouble"),
        Index(
            "ix_tickets_due_at",
            "due_at",
            "id",
            postgresql_where=text("due_at IS NOT NULL"),
            sqlite_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_tickets_refused",
            "channel_id",
            postgresql_where=text("trouble = 'refused'"),
            sqlite_where=text("trouble = 'refused'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    thread_key: Mapped[str] = mapped_column(String(400))
    status: Mapped[str | None] = mapped_column(String(20))
    tags: Mapped[list[str] | None] = mapped_column(JsonColumn)
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    newest_id: Mapped[int] = mapped_column(default=0)
    status_set_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    telling: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    lease: Mapped[str | None] = mapped_column(String(32))
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(default=0)
    trouble: Mapped[str | None] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(Text)
    error_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
