"""Reading promises: how many are kept, how fast people answer, what was broken and what is next.

A promise is decided when it is met or when it breaks, and counts in the hour or day of that moment: kept
where it was met in time, broken where `breached_at` is set, however late it was answered. What still runs,
and what ended without an answer before it was due, is in no figure. Reply times are elapsed time by the wall
clock, from when the customer began to wait to the reply, whatever the calendar of the promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session, joinedload

from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.promises import standing
from hub.period import Period, Range, look_back
from hub.policies.service import active_policy
from hub.queue.queries import PromiseView, promise_view
from routing.policy import Policy

FIRST = "first_reply_time"
GOES_BY = func.coalesce(Conversation.via_id, Conversation.channel_id)
SHOWN = 10
# The two databases share no percentile, so reply times are read one by one: the newest, so many at most.
MOST_TIMES = 50_000


@dataclass(slots=True)
class Score:
    """Promises kept and broken, and reply times in seconds; None where there are none."""

    met: int = 0
    breached: int = 0
    times: list[float] = field(default_factory=list)
    targets: Counter[int] = field(default_factory=Counter)

    @property
    def attainment(self) -> float | None:
        """Kept of those decided, 0..1."""
        decided = self.met + self.breached
        return self.met / decided if decided else None

    def fields(self) -> dict[str, Any]:
        """Every figure by its name; `target_seconds` is the one most often promised."""
        return {
            "met": self.met,
            "breached": self.breached,
            "attainment": self.attainment,
            "median_seconds": percentile(self.times, 0.5),
            "p90_seconds": percentile(self.times, 0.9),
            "target_seconds": self.targets.most_common(1)[0][0] if self.targets else None,
        }

    def decide(self, kept: bool, target_seconds: int, count: int) -> None:
        """Count promises of that target."""
        self.targets[target_seconds] += count
        if kept:
            self.met += count
        else:
            self.breached += count


@dataclass(frozen=True, slots=True)
class AtRisk:
    """A promise that runs, and the conversation it was given in."""

    conversation: Conversation
    promise: PromiseView


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken promise; `late_by_seconds` counts in its calendar, to the answer or to now."""

    conversation: Conversation
    metric: str
    due_at: datetime
    late_by_seconds: int
    answered: bool


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """Whether promises were kept in a period.

    `totals` and `over_time` count all promises kept and broken; their reply times, and everything by tier and
    by channel, are of first replies. `timed` is how many reply times the percentiles rest on, `replies` how
    many answers people sent. `at_risk` is the next due first, `breaches` the newest first.
    """

    period: Period
    totals: Score
    timed: int
    replies: int
    over_time: Sequence[tuple[datetime, Score]]
    by_tier: Sequence[tuple[str | None, Score]]
    by_channel: Sequence[tuple[Channel, Score]]
    at_risk: Sequence[AtRisk]
    breaches: Sequence[Breach]


def response_times(session: Session, range_: Range, now: datetime) -> ResponseTimes:
    """Whether promises were kept in the range, in hours or days of the policy's time zone."""
    policy = active_policy(session).policy
    period = look_back(range_, policy.time_zone, now)
    totals = Score()
    over_time = [Score() for _ in period.starts]
    tiers: dict[str | None, Score] = {}
    channels: dict[int, Score] = {}
    for row in _decided(session, period):
        totals.decide(row.kept, row.target_seconds, row.promises)
        over_time[row.step].decide(row.kept, row.target_seconds, row.promises)
        if row.metric == FIRST:
            for score in (tiers.setdefault(row.tier, Score()), channels.setdefault(row.channel_id, Score())):
                score.decide(row.kept, row.target_seconds, row.promises)
    for row in _first_replies(session, period):
        seconds = (row.met_at - row.started_at).total_seconds()
        for score in (
            totals,
            over_time[row.step],
            tiers.setdefault(row.tier, Score()),
            channels.setdefault(row.channel_id, Score()),
        ):
            score.times.append(seconds)
    known = {channel.id: channel for channel in session.scalars(select(Channel).order_by(Channel.name))}
    return ResponseTimes(
        period=period,
        totals=totals,
        timed=len(totals.times),
        replies=_replies(session, period),
        over_time=list(zip(period.starts, over_time, strict=True)),
        by_tier=sorted(tiers.items(), key=lambda row: rank_of_tier(row[0], policy)),
        by_channel=[(channel, channels[id_]) for id_, channel in known.items() if id_ in channels],
        at_risk=_at_risk(session, now),
        breaches=_breaches(session, period, now),
    )


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value below which `share` (0..1) of `values` lie, None for none.

    Interpolated between the two nearest, as PostgreSQL's `percentile_cont`.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _decided(session: Session, period: Period) -> Iterable[Any]:
    kept = case((Promise.breached_at.is_(None), 1), else_=0)
    return session.execute(
        select(
            period.index_of(func.coalesce(Promise.breached_at, Promise.met_at)).label("step"),
            Promise.metric,
            Promise.tier,
            GOES_BY.label("channel_id"),
            Promise.target_seconds,
            kept.label("kept"),
            func.count().label("promises"),
        )
        .join(Conversation, Conversation.id == Promise.conversation_id)
        .where(
            or_(
                period.holds(Promise.breached_at),
                Promise.breached_at.is_(None) & period.holds(Promise.met_at),
            )
        )
        .group_by("step", Promise.metric, Promise.tier, GOES_BY, Promise.target_seconds, "kept")
    )


def _first_replies(session: Session, period: Period) -> Iterable[Any]:
    return session.execute(
        select(
            Promise.met_at,
            Promise.started_at,
            Promise.tier,
            GOES_BY.label("channel_id"),
            period.index_of(Promise.met_at).label("step"),
        )
        .join(Conversation, Conversation.id == Promise.conversation_id)
        .where(Promise.metric == FIRST, period.holds(Promise.met_at))
        .order_by(Promise.met_at.desc())
        .limit(MOST_TIMES)
    )


def _replies(session: Session, period: Period) -> int:
    sent = select(func.count()).where(
        Message.direction == "outgoing",
        Message.private.is_(False),
        Message.automatic.is_(False),
        Message.delivery == "sent",
        period.holds(Message.sent_at),
    )
    return session.scalar(sent) or 0


def _at_risk(session: Session, now: datetime) -> list[AtRisk]:
    rows = session.execute(
        select(Conversation, Promise)
        # By its conversation, so that the promises due next are walked and not all that wait.
        .join(Promise, Promise.conversation_id == Conversation.id)
        .where(
            Promise.id == Conversation.promise_id,
            Promise.met_at.is_(None),
            Promise.breached_at.is_(None),
            Promise.cancelled_at.is_(None),
            Promise.due_at >= now,
            Conversation.reply_by.is_not(None),
        )
        .options(joinedload(Conversation.customer), joinedload(Conversation.channel))
        .order_by(Promise.due_at, Promise.id)
        .limit(SHOWN)
    )
    return [AtRisk(conversation, promise_view(promise, now)) for conversation, promise in rows]


def _breaches(session: Session, period: Period, now: datetime) -> list[Breach]:
    rows = session.execute(
        select(Conversation, Promise)
        .join(Promise, Promise.conversation_id == Conversation.id)
        .where(period.holds(Promise.breached_at))
        .options(joinedload(Conversation.customer), joinedload(Conversation.channel))
        .order_by(Promise.breached_at.desc(), Promise.id.desc())
        .limit(SHOWN)
    )
    return [
        Breach(
            conversation,
            promise.metric,
            promise.due_at,
            standing(promise, now).late_by_seconds,
            promise.met_at is not None,
        )
        for conversation, promise in rows
    ]


def rank_of_tier(tier: str | None, policy: Policy) -> tuple[int, str]:
    """The best tier first, then those the policy no longer has, then none."""
    if tier is None:
        return len(policy.tiers) + 1, ""
    return policy.tiers.index(tier) if tier in policy.tiers else len(policy.tiers), tier
