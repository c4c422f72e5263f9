"""Channels, the lines that are fetched and listened to, and history being brought in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.database import Base, EncryptedJson, JsonColumn, UtcDateTime

MODES = ("fetch", "stream", "renew")
TROUBLES = ("later", "sign_in", "settings", "failed")


class Channel(Base):
    """One connected account of a connector. Its credentials are `secrets`, encrypted.

    `poll_seconds` is how often it is fetched, None: as often as its connector says. `lag_seconds` is how old
    the newest message was when it was stored, `budgets` what is left of the vendor's limits as the vendor
    said last. `rhythm` holds, for each hour of the week (see `hub.channels.rhythm`), the silence in seconds
    that is longer than usual; `silent_since` is set while it is silent for longer than that.
    """

    __tablename__ = "channels"
    __table_args__ = (CheckConstraint("kind IN ('social', 'mail', 'ticket')", name="kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    connector: Mapped[str] = mapped_column(String(50))
    kind: Mapped[str] = mapped_column(String(20))
    config: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
    secrets: Mapped[dict[str, Any]] = mapped_column(EncryptedJson, nullable=True, default=dict)
    cursor: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    last_error_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    poll_seconds: Mapped[int | None]
    lag_seconds: Mapped[float | None] = mapped_column(Float)
    budgets: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonColumn)
    budgets_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rhythm: Mapped[list[float | None] | None] = mapped_column(JsonColumn)
    rhythm_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    silent_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Leased:
    """Work at a vendor's that one process at a time does, and how its last try went.

    It is due at `due_at`. Whoever does it holds `lease`, a text of their own, until `leased_until`, and
    renews it with what they store; when it has run out, somebody else begins where they left off. `trouble`
    is why the last try failed, with `error` for people: the vendor said later, a person has to sign in anew,
    the settings point at nothing, or the connector itself failed. `worked_at` is the last success.
    """

    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease: Mapped[str | None] = mapped_column(String(32))
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(default=0)
    trouble: Mapped[str | None] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(Text)
    error_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Feed(Leased, Base):
    """A way by which a channel's messages come without being pushed: asked for, or by an open line. And what
    keeps both going where its credentials run out: their renewal (`hub.channels.renewing`).

    `asked` is set while somebody wants another look after the one that goes on. `opened_at` is since when the
    line of a stream is open.
    """

    __tablename__ = "feeds"
    __table_args__ = (
        UniqueConstraint("channel_id", "mode"),
        CheckConstraint(f"mode IN {MODES}", name="mode"),
        CheckConstraint(f"trouble IS NULL OR trouble IN {TROUBLES}", name="trouble"),
        Index("ix_feeds_due_at", "mode", "due_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    mode: Mapped[str] = mapped_column(String(10))
    asked: Mapped[bool] = mapped_column(default=False)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Backfill(Leased, Base):
    """History of a channel since a date being brought in. It goes on until `finished_at`.

    `reached_at` is when the message was sent that it brought last; a vendor may go backwards in time.
    """

    __tablename__ = "backfills"
    __table_args__ = (
        CheckConstraint(f"trouble IS NULL OR trouble IN {TROUBLES}", name="trouble"),
        Index(
            "ix_backfills_unfinished",
            "channel_id",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    cursor: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    received: Mapped[int] = mapped_column(default=0)
    stored: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    reached_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled: Mapped[bool] = mapped_column(default=False)
