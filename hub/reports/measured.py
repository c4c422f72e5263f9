"""How long solved conversations took: percentiles of the times that are measured, by tier and channel.

A conversation counts in the range in which it was solved last, as long as it still is. Times are of the wall
clock, from the customer's first message (`routing.promises.measure`): until it was solved first, until it was
solved last without the time it waited for the customer, how long the customer waited for us, and how long it
was new or open, with an agent to act.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.channels.models import Channel
from hub.conversations.models import Conversation
from hub.customers.models import Customer
from hub.period import Period, Range, look_back
from hub.policies.service import active_policy
from hub.reports.queries import GOES_BY, MOST_TIMES, percentile, rank_of_tier

MEASURED = ("first_resolution", "resolution", "requester_wait", "agent_work")
_COLUMNS = {name: getattr(Conversation, f"{name}_seconds") for name in MEASURED}


@dataclass(slots=True)
class Solved:
    """Solved conversations, and each of their times in seconds."""

    count: int = 0
    times: Mapping[str, list[int]] = field(default_factory=lambda: {name: [] for name in MEASURED})

    def add(self, row: Any) -> None:
        """Count one more."""
        self.count += 1
        for name in MEASURED:
            seconds = getattr(row, name)
            if seconds is not None:
                self.times[name].append(seconds)

    def fields(self) -> dict[str, float | int | None]:
        """`solved`, and of each time its median and 90th percentile in seconds, None where there is none."""
        found: dict[str, float | int | None] = {"solved": self.count}
        for name in MEASURED:
            found[f"{name}_median_seconds"] = percentile(self.times[name], 0.5)
            found[f"{name}_p90_seconds"] = percentile(self.times[name], 0.9)
        return found


@dataclass(frozen=True, slots=True)
class Measured:
    """What was solved in a period, in all and by tier and channel; of very many the newest 50,000."""

    period: Period
    totals: Solved
    by_tier: Sequence[tuple[str | None, Solved]]
    by_channel: Sequence[tuple[Channel, Solved]]


def measured(session: Session, range_: Range, now: datetime) -> Measured:
    """The times of what was solved in the range, in hours or days of the policy's time zone."""
    policy = active_policy(session).policy
    period = look_back(range_, policy.time_zone, now)
    totals = Solved()
    tiers: dict[str | None, Solved] = {}
    channels: dict[int, Solved] = {}
    rows = session.execute(
        select(
            Customer.tier,
            GOES_BY.label("channel_id"),
            *(column.label(name) for name, column in _COLUMNS.items()),
        )
        .join(Customer, Customer.id == Conversation.customer_id)
        .where(period.holds(Conversation.solved_at), Conversation.status.in_(("solved", "closed")))
        .order_by(Conversation.solved_at.desc())
        .limit(MOST_TIMES)
    )
    for row in rows:
        for solved in (
            totals,
            tiers.setdefault(row.tier, Solved()),
            channels.setdefault(row.channel_id, Solved()),
        ):
            solved.add(row)
    known = {channel.id: channel for channel in session.scalars(select(Channel).order_by(Channel.name))}
    return Measured(
        period,
        totals,
        sorted(tiers.items(), key=lambda item: rank_of_tier(item[0], policy)),
        [(channel, channels[id_]) for id_, channel in known.items() if id_ in channels],
    )


def to_csv(found: Measured) -> str:
    """A line in all, and for each tier and channel (RFC 4180); empty where there is no time."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["by", "name", *Solved().fields()])
    writer.writerow(["all", "", *found.totals.fields().values()])
    for tier, solved in found.by_tier:
        writer.writerow(["tier", _no_formula(tier or ""), *solved.fields().values()])
    for channel, solved in found.by_channel:
        writer.writerow(["channel", channel.name, *solved.fields().values()])
    return text.getvalue()


def _no_formula(name: str) -> str:
    """A name that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
