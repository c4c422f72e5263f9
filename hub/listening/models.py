"""Searches that somebody saved, and what they found."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.accounts.models import User
from hub.database import Base, UtcDateTime

LONGEST_NAME = 80


class SavedSearch(Base):
    """A query that every message is asked as soon as a model has read it, and history once.

    `cursor` stands behind the last message of history that was asked, `looked_until` is when that was sent;
    `filled_at` is when history was done. Work to be done is a row without `filled_at`.
    """

    __tablename__ = "saved_searches"
    __table_args__ = (
        Index(
            "ix_saved_searches_to_fill",
            "id",
            postgresql_where=text("filled_at IS NULL"),
            sqlite_where=text("filled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), unique=True)
    query: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cursor: Mapped[str | None] = mapped_column(Text)
    looked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    filled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User | None] = relationship()


class SearchHit(Base):
    """A message that a saved search found; `sent_at` is the message's, so that a range is read in order."""

    __tablename__ = "search_hits"
    __table_args__ = (
        Index("ix_search_hits_sent_at", "search_id", "sent_at"),
        Index("ix_search_hits_message_id", "message_id"),
    )

    search_id: Mapped[int] = mapped_column(
        ForeignKey("saved_searches.id", ondelete="CASCADE"), primary_key=True
    )
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
