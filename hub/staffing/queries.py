"""Reading what was foreseen, and the past that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Promise
from hub.database import hour_of
from hub.policies.service import active_policy, policy_of
from hub.queue.handling import REPLIES, work_by_now
from hub.queue.planner import WAITING, waiting
from hub.staffing.models import Foresight
from routing.calendars import Calendar
from routing.forecast import HOUR
from routing.policy import Policy
from routing.staffing import Case, Outlook, Queued
from routing.types import Metric

HISTORY = timedelta(days=70)
# The mix of conversations is that of the newest.
CASES = 2000


@dataclass(frozen=True, slots=True)
class HourView:
    """An hour ahead: how many are expected to begin to wait, and how many agents they need."""

    starts_at: datetime
    expected: float
    low: int
    high: int
    load: float
    erlang: int
    needed: int


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What was foreseen last. `today` is how busy the day is beside what was expected; `attainment` the share
    of promises that the agents of `hours` keep; `warned_since` is set while promises are about to break."""

    at: datetime
    history_hours: int
    today: float | None
    hours: Sequence[HourView]
    attainment: float | None
    outlook: Outlook | None
    warned_since: datetime | None


def foreseen(session: Session, now: datetime) -> Foreseen | None:
    """What was foreseen last, of the hours that are not over; None where nobody looked yet."""
    row = session.get(Foresight, 1)
    if row is None or row.looked_at is None:
        return None
    return Foreseen(
        at=row.looked_at,
        history_hours=row.history_hours,
        today=row.today,
        hours=[hour for hour in read_hours(row) if hour.starts_at + HOUR > now],
        attainment=row.attainment,
        outlook=read_outlook(row),
        warned_since=row.warned_since,
    )


def warning_of(session: Session) -> str | None:
    """That promises are about to break which more agents would keep, in words; None where they are not."""
    row = session.get(Foresight, 1)
    seen = read_outlook(row) if row is not None and row.warned_since is not None else None
    if seen is None:
        return None
    late = f"{seen.breaking:.0f} of the {seen.due:.0f} promises due within two hours"
    agents = f"{seen.agents} agent{'' if seen.agents == 1 else 's'}"
    return f"says that {late} will not be kept with {agents}; it takes {seen.agents_needed}"


def read_hours(row: Foresight) -> list[HourView]:
    """The stored forecast."""
    return [
        HourView(**{**each, "starts_at": datetime.fromisoformat(each["starts_at"])}) for each in row.hours
    ]


def read_outlook(row: Foresight) -> Outlook | None:
    """The stored outlook."""
    if row.outlook is None:
        return None
    first = row.outlook["first_at"]
    return Outlook(
        until=datetime.fromisoformat(row.outlook["until"]),
        agents=row.outlook["agents"],
        due=row.outlook["due"],
        breaking=row.outlook["breaking"],
        first_at=datetime.fromisoformat(first) if first else None,
        agents_needed=row.outlook["agents_needed"],
    )


def hourly_counts(session: Session, now: datetime) -> tuple[datetime, list[int]]:
    """How many began to wait in each full hour of the past, and when the first of these hours began."""
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hour = hour_of(Promise.started_at)
    rows = session.execute(
        select(hour.label("hour"), func.count())
        .where(Promise.started_at >= end - HISTORY, Promise.started_at < end, Promise.metric.in_(REPLIES))
        .group_by("hour")
    )
    counts = {int(index): count for index, count in rows}
    if not counts:
        return end, []
    last = int(end.timestamp()) // 3600
    first = min(counts)
    since = datetime.fromtimestamp(first * 3600, UTC)
    return since, [counts.get(index, 0) for index in range(first, last)]


def past_cases(session: Session, policy: Policy) -> list[Case]:
    """The newest conversations that began to wait, as they were promised and weighed then."""
    rows = session.execute(
        select(
            Promise.target_seconds,
            Promise.policy_version_id,
            Promise.policy,
            Promise.metric,
            func.coalesce(Conversation.weight, 1.0),
            func.coalesce(Conversation.work_seconds, 1),
        )
        .join(Conversation, Conversation.id == Promise.conversation_id)
        .where(Promise.metric.in_(REPLIES), Conversation.work_seconds.is_not(None))
        .order_by(Promise.started_at.desc())
        .limit(CASES)
    )
    # Where nothing is learnt, what makes all of the policy's numbers longer is caution, and not work.
    factor = 1.0 if policy.handling.learn else policy.handling.factor
    return [
        Case(
            work_seconds / factor,
            work_seconds,
            weight,
            timedelta(seconds=target_seconds),
            _calendar_now(policy_of(session, version_id), rule, cast("Metric", metric), policy),
        )
        for target_seconds, version_id, rule, metric, weight, work_seconds in rows
    ]


def _calendar_now(then: Policy, rule: str, metric: Metric, policy: Policy) -> Calendar:
    """What a rule of then counted in, with the hours that it has by now, where it still is in the policy."""
    name = then.calendar_name_of(rule, metric)
    return policy.calendar(name) if name in policy.calendars else then.calendar_of(rule, metric)


def queued(session: Session, limit: int) -> list[Queued]:
    """Those who wait for an agent, the first of the queue first, each with the calendar of their promise."""
    work = work_by_now(session, active_policy(session).policy)
    rows: Iterable[Any] = session.execute(
        select(*WAITING, Promise.policy_version_id, Promise.policy, Promise.metric)
        .join(Promise, Promise.id == Conversation.promise_id)
        .where(Conversation.reply_by.is_not(None))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(limit)
    )
    return [
        Queued(
            waiting(values, work), policy_of(session, version_id).calendar_of(rule, cast("Metric", metric))
        )
        for *values, version_id, rule, metric in rows
    ]
