"""What was foreseen last."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float
from sqlalchemy.orm import Mapped, mapped_column

from hub.database import Base, JsonColumn, UtcDateTime


class Foresight(Base):
    """What was foreseen last; one row. `looked_at` also keeps looks a minute apart.

    `hours` is the forecast that was made at `forecast_at`, an object for each hour (`HourView`), `today` how
    busy the day was by then beside what was expected of it, `history_hours` how much past it rests on.
    `outlook` is what the last look found (`routing.staffing.Outlook`), None without a forecast.
    `warned_since` is set while promises are about to break.
    """

    __tablename__ = "foresights"

    id: Mapped[int] = mapped_column(primary_key=True)
    looked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    forecast_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    policy_version_id: Mapped[int | None]
    history_hours: Mapped[int] = mapped_column(default=0)
    today: Mapped[float | None] = mapped_column(Float)
    hours: Mapped[list[dict[str, Any]]] = mapped_column(JsonColumn, default=list)
    attainment: Mapped[float | None] = mapped_column(Float)
    outlook: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    warned_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
