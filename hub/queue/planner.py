"""Running the planner over the waiting conversations, once a second at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.database import Base
from hub.policies.service import active_policy
from hub.queue.handling import work_by_now
from hub.queue.models import PlanSummary
from hub.runtime import Hub
from hub.turns import take_turn
from routing.plan import plan
from routing.policy import Policy
from routing.types import Fullest, Waiting

# Beyond this many the rest keep their places: they are far down the queue, and the plan runs every second.
HORIZON = 10_000
APART = timedelta(seconds=1)


def plan_queue(hub: Hub) -> int:
    """Plan anew if the last plan is a second old. Returns 0: one run sees everything there is."""
    now = utcnow()
    with hub.database.session() as session:
        if not take_turn(session, PlanSummary.planned_at, APART, now):
            return 0
    with hub.database.reading() as session:
        policy = active_policy(session).policy
        agents = agents_on_duty(session, now, policy.assignment.away_after)
        queue = who_waits(session, policy, HORIZON)
        last = session.get_one(PlanSummary, 1)
        before = Fullest(last.fullest_seconds, last.fullest_at) if last.fullest_at is not None else None
        in_queue = session.scalar(
            select(func.count()).select_from(Conversation).where(Conversation.reply_by.is_not(None))
        )
    planned = plan(
        [conversation for conversation, _ in queue],
        agents,
        now,
        policy.second_promise.weight_factor,
        policy.plan,
        before,
    )
    due = {each.id: each.due_at for each, _ in queue}
    stored = {each.id: (reply_by, each.gave_way_at, each.gave_way_to) for each, reply_by in queue}
    # By id, as everybody locks conversations, so that no two wait for each other.
    moved = [
        {
            "place_id": place.id,
            "old_reply_by": stored[place.id][0],
            "reply_by": place.reply_by,
            "gave_way_at": place.gave_way_at,
            "gave_way_to": place.gave_way_to,
            "updated_at": now,
        }
        for place in sorted(planned.places, key=lambda place: place.id)
        if stored[place.id] != (place.reply_by, place.gave_way_at, place.gave_way_to)
    ]
    with hub.database.session() as session:
        if moved:
            # Only where nothing happened since: what was answered or placed anew meanwhile waits for the next
            # plan.
            session.connection().execute(
                update(Base.metadata.tables["conversations"]).where(
                    Conversation.id == bindparam("place_id"),
                    Conversation.reply_by == bindparam("old_reply_by"),
                ),
                moved,
            )
        session.execute(
            update(PlanSummary)
            .where(PlanSummary.id == 1)
            .values(
                waiting=in_queue,
                agents=agents,
                breaking=sum(1 for each in planned.breaking if due[each] > now),
                agents_needed=planned.agents_needed,
                **_fullest(planned.fullest),
            )
        )
    return 0


def _fullest(fullest: Fullest | None) -> dict[str, Any]:
    return {"fullest_seconds": fullest.seconds, "fullest_at": fullest.at} if fullest is not None else {}


# Who stands in the queue has a weight and expected work.
WAITING = (
    Conversation.id,
    Promise.due_at,
    Promise.second_due_at,
    Conversation.weight,
    Conversation.work_seconds,
    Conversation.gave_way_at,
    Conversation.gave_way_to,
    Promise.target_seconds,
    Conversation.work_intent,
)
"""What `waiting` reads."""


def waiting(values: Sequence[Any], work: Callable[[int, str | None], int]) -> Waiting:
    """A conversation as the planner sees it, of its `WAITING`; `work` is `hub.queue.handling.work_by_now`."""
    number, due_at, second_due_at, weight, seconds, *rest, intent = values
    return Waiting(number, due_at, second_due_at, weight, work(seconds, intent), *rest)


def who_waits(session: Session, policy: Policy, limit: int) -> list[tuple[Waiting, datetime]]:
    """Those who wait for an agent, each with the `reply_by` it has now; the earliest first."""
    work = work_by_now(session, policy)
    rows: Iterable[Any] = session.execute(
        select(*WAITING, Conversation.reply_by)
        .join(Promise, Promise.id == Conversation.promise_id)
        .where(Conversation.reply_by.is_not(None))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(limit)
    )
    return [(waiting(row[:-1], work), row.reply_by) for row in rows]


def agents_on_duty(session: Session, now: datetime, away_after: timedelta) -> int:
    """How many people who answer were seen lately and are not away."""
    return (
        session.scalar(
            select(func.count())
            .select_from(User)
            .where(
                User.role.in_(("agent", "social")),
                User.disabled_at.is_(None),
                User.away.is_(False),
                User.seen_at > now - away_after,
            )
        )
        or 0
    )
