"""Model versions, taught intents with their examples, corrections, re-analyses."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.accounts.models import User
from hub.database import Base, JsonColumn, UtcDateTime

Kind = Literal["calibrate", "refit", "teach", "forget"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST_NAME = 100


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, postgresql_where=text(where), sqlite_where=text(where))


class ModelVersion(Base):
    """The shipped model `base` with one adaptation, never changed once it is made.

    `kind` is what made it, out of version `parent_id` (None: out of the model as it is shipped). `payload` is
    a `sentiment.adaptation.Adaptation` as bytes, `intent_ids` are the taught intents in it, `figures` what
    was measured before and after. The one that is `active` reads messages; where none is, the shipped model
    does, as it is.
    """

    __tablename__ = "model_versions"
    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        _partial("ix_model_versions_active", "active", where="active", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    base: Mapped[str] = mapped_column(String(150))
    kind: Mapped[str] = mapped_column(String(20))
    note: Mapped[str] = mapped_column(Text, default="")
    figures: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
    intent_ids: Mapped[list[int]] = mapped_column(JsonColumn, default=list)
    payload: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    active: Mapped[bool] = mapped_column(default=False)

    user: Mapped[User | None] = relationship()


class TaughtIntentRow(Base):
    """An intent that somebody taught; kept when it is forgotten, since earlier versions know it still."""

    __tablename__ = "taught_intents"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    user: Mapped[User | None] = relationship()
    examples: Mapped[list[IntentExample]] = relationship(order_by="IntentExample.id")


class IntentExample(Base):
    """One message that an intent was taught by, in words: another shipped model reads it anew."""

    __tablename__ = "intent_examples"

    id: Mapped[int] = mapped_column(primary_key=True)
    intent_id: Mapped[int] = mapped_column(ForeignKey("taught_intents.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(Text)


class Correction(Base):
    """What a person says of a message, against what a model version said; the newest not withdrawn counts.

    `sentiment` and `intents` are what is right, each None where the model's word stands. `said` is the word
    of `model` on both.
    """

    __tablename__ = "corrections"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model: Mapped[str] = mapped_column(String(200))
    said: Mapped[dict[str, Any]] = mapped_column(JsonColumn)
    sentiment: Mapped[str | None] = mapped_column(String(10))
    intents: Mapped[list[str] | None] = mapped_column(JsonColumn)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship()


class Reanalysis(Base):
    """Reading stored messages again, those sent from `since` to before `until`, the newest first.

    Work to be done is a row without `finished_at`. `cursor` stands behind the last message that is done, and
    moves in the transaction that stores the new analyses; `leased_until` is set while somebody is at a batch,
    `tries` counts how often they have begun it. `skipped` are messages that the model failed on: they keep
    their old analysis.
    """

    __tablename__ = "reanalyses"
    __table_args__ = (_partial("ix_reanalyses_unfinished", "id", where="finished_at IS NULL"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cursor: Mapped[str | None] = mapped_column(Text)
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped: Mapped[bool] = mapped_column(default=False)

    user: Mapped[User | None] = relationship()
