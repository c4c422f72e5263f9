"""Raw receipts of pushed requests, records that could not be read, and changes that came too early."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.channels.models import Channel
from hub.database import Base, JsonColumn, UtcDateTime


class Receipt(Base):
    """A pushed request as it came, stored before its sender is told that we have it."""

    __tablename__ = "receipts"
    __table_args__ = (
        UniqueConstraint("channel_id", "delivery_id"),
        Index(
            "ix_receipts_to_process",
            "id",
            postgresql_where=text("processed_at IS NULL"),
            sqlite_where=text("processed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    delivery_id: Mapped[str] = mapped_column(String(300))
    headers: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    processed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Reject(Base):
    """A record that could not be read, raw, with its reason; the same record is kept once."""

    __tablename__ = "rejects"
    __table_args__ = (
        UniqueConstraint("channel_id", "digest"),
        Index("ix_rejects_reason", "reason", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    digest: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(1000))
    reason: Mapped[str] = mapped_column(String(50))
    detail: Mapped[str] = mapped_column(Text)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    channel: Mapped[Channel] = relationship()


class EarlyChange(Base):
    """An edit, a deletion or a bounce of a message that we do not have yet; `said` is the change as JSON.

    `thread_key` is set where a whole thread was deleted.
    """

    __tablename__ = "early_changes"
    __table_args__ = (
        UniqueConstraint("channel_id", "external_id", "kind"),
        CheckConstraint("kind IN ('edited', 'deleted', 'undelivered')", name="kind"),
        Index(
            "ix_early_changes_thread_key",
            "channel_id",
            "thread_key",
            postgresql_where=text("thread_key IS NOT NULL"),
            sqlite_where=text("thread_key IS NOT NULL"),
        ),
        Index("ix_early_changes_told_at", "channel_id", "told_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    external_id: Mapped[str] = mapped_column(String(998))
    thread_key: Mapped[str | None] = mapped_column(String(400))
    said: Mapped[dict[str, Any]] = mapped_column(JsonColumn)
    told_at: Mapped[datetime] = mapped_column(UtcDateTime)
