"""What a plan allows a month, and what of it is spent.

Plans and figures: https://docs.x.com/x-api/getting-started/pricing and /fundamentals/post-cap, read in
November 2026. X changes them; a channel's own numbers go before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from connectors.base import Budget

Plan = Literal["free", "basic", "pro", "pay_per_use", "enterprise"]


@dataclass(frozen=True, slots=True)
class Quota:
    """Posts a month; None: no limit of the plan's own."""

    read: int | None
    written: int | None


QUOTAS: Mapping[Plan, Quota] = {
    "free": Quota(100, 500),
    "basic": Quota(15_000, 50_000),
    "pro": Quota(1_000_000, 300_000),
    "pay_per_use": Quota(None, None),
    "enterprise": Quota(None, None),
}


@dataclass(frozen=True, slots=True)
class Spending:
    """What was read and written since `since`, the day on which the plan's month began.

    `account_posts` is the account's number of posts when the month began, from which those written are
    told; None until it was asked.
    """

    since: datetime
    read: int = 0
    written: int = 0
    account_posts: int | None = None

    @classmethod
    def load(cls, stored: Mapping[str, Any], now: datetime, first_day: int) -> Spending:
        """Out of a cursor; nothing is spent yet where another month began."""
        since = month_start(now, first_day)
        if stored.get("since") != since.isoformat():
            return cls(since)
        return cls(since, stored["read"], stored["written"], stored["account_posts"])

    def dump(self) -> dict[str, Any]:
        """As plain JSON, for a cursor."""
        return {
            "since": self.since.isoformat(),
            "read": self.read,
            "written": self.written,
            "account_posts": self.account_posts,
        }

    def after_reading(self, posts: int) -> Spending:
        """With so many posts more."""
        return replace(self, read=self.read + posts)

    def as_counted_by_x(self, read: int) -> Spending:
        """With X's own count, which knows what other users of the same project read."""
        return replace(self, read=read)

    def with_account_posts(self, posts: int) -> Spending:
        """The first number of the month is where counting begins; posts deleted since are not seen."""
        if self.account_posts is None:
            return replace(self, account_posts=posts)
        return replace(self, written=max(self.written, posts - self.account_posts))

    def budgets(self, quota: Quota) -> tuple[Budget, ...]:
        """As shown to people."""
        ends = self.ends_at()
        return (
            Budget("posts read this month", quota.read, _left(quota.read, self.read), ends),
            Budget("posts written this month", quota.written, _left(quota.written, self.written), ends),
        )

    def ends_at(self) -> datetime:
        """When the next month begins."""
        return month_start(self.since + timedelta(days=40), self.since.day)


def month_start(now: datetime, first_day: int) -> datetime:
    """The last `first_day` (1 to 28) of a month at midnight UTC, now or before."""
    begin = datetime(now.year, now.month, first_day, tzinfo=UTC)
    if begin > now:
        begin = datetime(now.year - (now.month == 1), (now.month - 2) % 12 + 1, first_day, tzinfo=UTC)
    return begin


def _left(limit: int | None, spent: int) -> int | None:
    return None if limit is None else max(0, limit - spent)
