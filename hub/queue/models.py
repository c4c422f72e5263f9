"""The plan's summary, and what was decided of conversations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from hub.database import Base, UtcDateTime


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
