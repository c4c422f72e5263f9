"""The plan's summary."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from hub.database import Base, UtcDateTime


class PlanSummary(Base):
    """What the last run of the planner found; one row. `planned_at` also keeps runs a second apart."""

    __tablename__ = "plans"

    id: Mapped[int] = mapped_column(primary_key=True)
    planned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    waiting: Mapped[int] = mapped_column(default=0)
    agents: Mapped[int] = mapped_column(default=0)
    breaking: Mapped[int] = mapped_column(default=0)
    agents_needed: Mapped[int | None]
