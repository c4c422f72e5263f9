"""The time that a report looks back on, cut into hours or days of the brand's own zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case

Range = Literal["24h", "7d", "14d", "30d"]
Unit = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class Period:
    """From the first of `starts` until `until`: whole hours or days of `zone`, the last still going on.

    `before` is where a period of the same length that ends at `since` begins.
    """

    unit: Unit
    zone: str
    before: datetime
    starts: Sequence[datetime]
    until: datetime

    @property
    def since(self) -> datetime:
        """Where it begins."""
        return self.starts[0]

    def holds(self, moment: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        """Whether `moment` lies in it."""
        return and_(moment >= self.since, moment <= self.until)

    def index_of(self, moment: SQLColumnExpression[Any]) -> ColumnElement[int]:
        """The index in `starts` of the hour or day of `moment`; right in any zone and on either database."""
        steps = [(moment < start, index) for index, start in enumerate(self.starts[1:])]
        return case(*steps, else_=len(self.starts) - 1)


def look_back(range_: Range, time_zone: str, now: datetime) -> Period:
    """The last 24 hours by hour, or the last days by day, this hour or day included."""
    zone = ZoneInfo(time_zone)
    count = int(range_[:-1])
    if range_.endswith("h"):
        # Where a local hour begins, counted on in UTC: a change of clocks neither skips nor doubles one.
        local = now.astimezone(zone)
        newest = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        hours = [newest - timedelta(hours=back) for back in reversed(range(count))]
        return Period("hour", time_zone, hours[0] - timedelta(hours=count), hours, now)
    today = now.astimezone(zone).date()
    days = [
        datetime.combine(today - timedelta(days=back), time(), zone).astimezone(UTC)
        for back in reversed(range(2 * count))
    ]
    return Period("day", time_zone, days[0], days[count:], now)
