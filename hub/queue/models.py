"""The plan's summary, and what was decided of conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from hub.database import Base, JsonColumn, UtcDateTime


class PlanSummary(Base):
    """What the last run of the planner found; one row. `planned_at` also keeps runs a second apart.

    `fullest_seconds` and `fullest_at` are `routing.types.Fullest` for the next run.
    """

    __tablename__ = "plans"

    id: Mapped[int] = mapped_column(primary_key=True)
    planned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    waiting: Mapped[int] = mapped_column(default=0)
    agents: Mapped[int] = mapped_column(default=0)
    breaking: Mapped[int] = mapped_column(default=0)
    agents_needed: Mapped[int | None]
    fullest_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    fullest_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LearntTimes(Base):
    """How long agents work on an answer, by intent; one row. `looked_at` also keeps looks apart.

    `times` is a `routing.handling.Learnt` for each intent, by "" that of messages without one. The last
    promise that was learnt from is `promise_id`, met at `met_at`.
    """

    __tablename__ = "learnt_times"

    id: Mapped[int] = mapped_column(primary_key=True)
    looked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    met_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    promise_id: Mapped[int | None]
    times: Mapped[dict[str, dict[str, Any]]] = mapped_column(JsonColumn, default=dict)


class Decision(Base):
    """What was promised for a conversation and what it was worth, by which version of the policy, and why.

    One row for each time that it changed. `explanation` is text of `routing.explanations`, which can be read
    without the policy.
    """

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_conversation_id", "conversation_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    policy_version_id: Mapped[int] = mapped_column(ForeignKey("policy_versions.id"))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    explanation: Mapped[str] = mapped_column(Text)
