"""Raw receipts of pushed requests, and records that could not be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
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
