"""Looking ahead: a forecast by the hour once an hour, and every minute what breaks with those on duty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from hub import log
from hub.clock import utcnow
from hub.policies.service import ActivePolicy, active_policy
from hub.queue.planner import agents_on_duty
from hub.runtime import Hub
from hub.staffing.models import Foresight
from hub.staffing.queries import HourView, hourly_counts, past_cases, queued, read_hours, read_outlook
from hub.turns import take_turn
from routing.forecast import FEWEST_HOURS, HOUR, HourAhead, forecast
from routing.plan import plan
from routing.policy import Policy
from routing.replay.disciplines import earliest_deadline, planned
from routing.staffing import Case, Outlook, Queued, need, outlook

logger = log.get(__name__)
APART = timedelta(seconds=55)
# The share of promises that the agents who are said to be needed keep.
ATTAINMENT = 0.95
# A warning ends only when it is better than that by this much, so that it does not come and go.
_RELIEF = 0.02
AHEAD_HOURS = 48
# Warned an hour ahead and up to two: the hour that is going on, and the next.
OUTLOOK_HOURS = 2
# So many conversations are replayed in all for a forecast: it takes a few seconds.
_REPLAYED = 15_000
_MOST_DRAWS = 5
# Beyond this many who wait the rest are far from being answered within the hours that are looked at.
HORIZON = 3000
BACKLOG = 10_000


def foresee(hub: Hub) -> int:
    """Look ahead, where the last look is a minute old. Returns 0: nothing is left to do after it."""
    now = utcnow()
    with hub.database.session() as session:
        if not take_turn(session, Foresight.looked_at, APART, now):
            return 0
    with hub.database.reading() as session:
        active = active_policy(session)
        row = session.scalars(select(Foresight).where(Foresight.id == 1)).one()
        stale = _is_stale(row, active, now)
        since, counts = hourly_counts(session, now) if stale else (now, [])
        cases = past_cases(session, active.policy)
        queue = queued(session, BACKLOG if stale else HORIZON)
        agents = agents_on_duty(session, now, active.policy.assignment.away_after)
        hours, warned_since = read_hours(row), row.warned_since
        before = read_outlook(row)
    values: dict[str, Any] = {}
    if stale:
        hours, values = _forecast(since, counts, cases, queue, active, now)
    coming = [
        HourAhead(hour.starts_at, hour.expected, hour.low, hour.high)
        for hour in hours
        if hour.starts_at + HOUR > now
    ][:OUTLOOK_HOURS]
    seen = None
    waiting = [each.waiting for each in queue[:HORIZON]]
    if coming or waiting:
        policy = active.policy
        factor = policy.second_promise.weight_factor
        discipline = planned(plan, factor, every_seconds=60.0, share=0.05, rules=policy.plan)
        seen = outlook(waiting, coming, cases, agents, now, discipline, ATTAINMENT)
    values["outlook"] = _outlook_values(seen)
    values["warned_since"] = _warned(seen, before, warned_since, now)
    if values["warned_since"] and not warned_since and seen is not None:
        logger.warning("promises_will_break", breaking=round(seen.breaking), agents=seen.agents)
    with hub.database.session() as session:
        session.execute(update(Foresight).where(Foresight.id == 1).values(**values))
    return 0


def _is_stale(row: Foresight, active: ActivePolicy, now: datetime) -> bool:
    made = row.forecast_at
    same_hour = made is not None and made.astimezone(UTC).replace(minute=0, second=0, microsecond=0) == (
        now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    )
    return not same_hour or row.policy_version_id != active.version_id


def _forecast(
    since: datetime,
    counts: list[int],
    cases: list[Case],
    queue: list[Queued],
    active: ActivePolicy,
    now: datetime,
) -> tuple[list[HourView], dict[str, Any]]:
    """The hours ahead, none after less than a week; and what is stored of them."""
    values: dict[str, Any] = {
        "forecast_at": now,
        "policy_version_id": active.version_id,
        "history_hours": len(counts),
        "today": None,
        "hours": [],
        "attainment": None,
    }
    if len(counts) < FEWEST_HOURS:
        return [], values
    policy = active.policy
    found = forecast(counts, since, policy.time_zone, AHEAD_HOURS, holidays_of(policy))
    expected = sum(hour.expected for hour in found.hours) + len(queue)
    draws = max(1, min(_MOST_DRAWS, round(_REPLAYED / max(expected, 1.0))))
    # While nearly all promises are kept, the plan serves by their ends too, and this is much faster.
    needed = need(found.hours, cases, queue, now, earliest_deadline, ATTAINMENT, draws)
    by_hour = {each.starts_at: each for each in needed.hours}
    hours = []
    for hour in found.hours:
        agents = by_hour.get(hour.starts_at)
        hours.append(
            HourView(
                hour.starts_at,
                round(hour.expected, 2),
                hour.low,
                hour.high,
                round(agents.load, 3) if agents else 0.0,
                agents.erlang if agents else 0,
                agents.needed if agents else 0,
            )
        )
    stored = [{**asdict(hour), "starts_at": hour.starts_at.isoformat()} for hour in hours]
    return hours, {**values, "today": found.today, "hours": stored, "attainment": needed.attainment}


def holidays_of(policy: Policy) -> Callable[[date], bool]:
    """Whether a day is a holiday of the brand: of the first of its calendars that names any."""
    for name, rules in policy.calendars.items():
        if rules.holidays is not None:
            return policy.calendar(name).is_holiday
    return lambda day: False


def _warned(
    seen: Outlook | None, before: Outlook | None, since: datetime | None, now: datetime
) -> datetime | None:
    """Since when promises are about to break that more agents would keep; None where they are not.

    Two looks must say so, since one may be a matter of chance.
    """
    if seen is None or seen.breaking < 1 or seen.agents_needed <= seen.agents:
        return None
    if since is not None:
        return since if _kept(seen) < ATTAINMENT + _RELIEF else None
    return now if _kept(seen) < ATTAINMENT and before is not None and _kept(before) < ATTAINMENT else None


def _kept(seen: Outlook) -> float:
    return 1 - seen.breaking / seen.due if seen.due else 1.0


def _outlook_values(seen: Outlook | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "until": seen.until.isoformat(),
        "agents": seen.agents,
        "due": round(seen.due, 2),
        "breaking": round(seen.breaking, 2),
        "first_at": seen.first_at.isoformat() if seen.first_at else None,
        "agents_needed": seen.agents_needed,
    }
