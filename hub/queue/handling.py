"""How long agents really work on an answer: measured as they answer, and learnt by intent.

Nobody records when an agent begins. It is taken to be when they had the conversation, had answered the one
before, and the customer had written, whichever came last.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from hub.assignment.models import Assignment
from hub.clock import utcnow
from hub.conversations.analysis import to_analysis
from hub.conversations.models import AnalysisRow, Message, Promise
from hub.database import nudge
from hub.policies.service import active_policy
from hub.queue.models import LearntTimes
from hub.runtime import Hub
from hub.turns import take_turn
from routing.facts import sure_intents
from routing.handling import Expected, HandlingTimes, Learnt
from routing.policy import Policy
from routing.types import Metric
from sentiment.types import IntentLabel

REPLIES: tuple[Metric, ...] = ("first_reply_time", "next_reply_time")
LONGEST = timedelta(hours=2)
"""Longer than this nobody works on one answer: they did something else."""
APART = timedelta(seconds=55)
# The first look goes back so far; each sees so many answers at most.
_FIRST = timedelta(days=7)
_MOST = 2000
# What was answered is seen once whoever answered has committed.
_SETTLED = timedelta(seconds=30)
NO_INTENT = ""
"""How a row says that no intent was sure."""

Answered = tuple[datetime, int]
"""When a person answered, and who."""


@dataclass(frozen=True, slots=True)
class HandlingView:
    """Of an intent, None of messages without a sure one: the seconds that the policy says, those that are
    expected, and how many cases there were."""

    intent: str | None
    policy_seconds: float
    expected_seconds: float
    cases: int


def handling_times(session: Session, policy: Policy) -> HandlingTimes:
    """What is expected now, by the policy and what was learnt."""
    return HandlingTimes(policy.handling, _learnt(session) if policy.handling.learn else None)


def work_by_now(session: Session, policy: Policy) -> Callable[[int, str | None], int]:
    """What tells the work expected by now, in seconds, of a conversation that was placed with these.

    That is of its `work_seconds` and `work_intent`; without the latter, in rows that were placed before it
    was kept, the seconds stand.
    """
    times = handling_times(session, policy)

    @cache
    def seconds(intent: str) -> int:
        known = cast("IntentLabel", intent) or None
        return Expected(times.seconds(known), known).whole_seconds

    return lambda placed_with, intent: placed_with if intent is None else seconds(intent)


def handling_views(session: Session, policy: Policy) -> list[HandlingView]:
    """What is expected of each intent that the policy names or cases are known of; the rest last."""
    times = HandlingTimes(policy.handling, _learnt(session))
    intents = sorted({*policy.handling.by_intent, *(each for each in times.learnt if each is not None)})
    return [
        HandlingView(
            intent,
            times.told(intent),
            times.seconds(intent),
            times.learnt[intent].cases if intent in times.learnt else 0,
        )
        for intent in (*intents, None)
    ]


def learn_handling(hub: Hub) -> int:
    """Learn from what was answered since the last look. Returns 0: what it left is for the next look."""
    now = utcnow()
    with hub.database.session() as session:
        if not take_turn(session, LearntTimes.looked_at, APART, now):
            return 0
    with hub.database.reading() as session:
        row = session.get_one(LearntTimes, 1)
        policy = active_policy(session).policy
        met = _met(session, (row.met_at or now - _FIRST, row.promise_id or 0), now - _SETTLED)
        if not met:
            return 0
        since, until = met[0].Promise.met_at - LONGEST, met[-1].Promise.met_at
        worked = worked_seconds(met, answers(session, since, until), assigned(session, since, until))
        times = HandlingTimes(policy.handling, _learnt(session))
        for each in met:
            seconds = worked.get(each.Promise.id)
            if seconds is not None:
                analysis = to_analysis(each.AnalysisRow) if each.AnalysisRow else None
                sure = sure_intents(analysis, policy.weights.confidence_threshold)
                times.saw(times.of([intent.label for intent in sure]).intent, seconds)
        last = met[-1].Promise.met_at, met[-1].Promise.id
    with hub.database.session() as session:
        stored = {intent or NO_INTENT: asdict(learnt) for intent, learnt in times.learnt.items()}
        session.execute(
            update(LearntTimes)
            .where(LearntTimes.id == 1)
            .values(met_at=last[0], promise_id=last[1], times=stored)
        )
        nudge(session, "plan")
    return 0


def answers(session: Session, since: datetime, until: datetime) -> list[Answered]:
    """Every answer of a person between two moments, the last included, the first one first."""
    rows = session.execute(
        select(Message.sent_at, Message.user_id)
        .where(
            Message.sent_at >= since,
            Message.sent_at <= until,
            Message.direction == "outgoing",
            Message.private.is_(False),
            Message.automatic.is_(False),
            Message.user_id.is_not(None),
        )
        .order_by(Message.sent_at, Message.id)
    )
    return [(sent_at, user_id) for sent_at, user_id in rows if user_id is not None]


def assigned(session: Session, since: datetime, until: datetime) -> Mapping[tuple[int, int], list[datetime]]:
    """By conversation and user, when it came to them between two moments."""
    rows = session.execute(
        select(
            Assignment.conversation_id,
            Assignment.user_id,
            func.coalesce(Assignment.accepted_at, Assignment.assigned_at),
        ).where(Assignment.assigned_at >= since, Assignment.assigned_at <= until)
    )
    found: defaultdict[tuple[int, int], list[datetime]] = defaultdict(list)
    for conversation_id, user_id, at in rows:
        found[conversation_id, user_id].append(at)
    return found


def worked_seconds(
    rows: Sequence[Any],
    answered: Sequence[Answered],
    came: Mapping[tuple[int, int], list[datetime]],
) -> dict[int, float]:
    """By promise, how long its agent worked on the answer; only where that can be told.

    `rows` have the `Promise`, and `answered_by`, who answered.
    """
    moments = by_user(answered)
    found: dict[int, float] = {}
    for row in rows:
        promise, user_id = row.Promise, row.answered_by
        if promise.met_at is None or user_id is None:
            continue
        had = [at for at in came.get((promise.conversation_id, user_id), ()) if at < promise.met_at]
        earlier = moments.get(user_id, [])
        index = bisect_left(earlier, promise.met_at)
        begins = [*([max(had)] if had else []), *([earlier[index - 1]] if index else [])]
        if begins:
            worked = promise.met_at - max(*begins, promise.started_at)
            if timedelta(0) < worked <= LONGEST:
                found[promise.id] = worked.total_seconds()
    return found


def by_user(answered: Iterable[Answered]) -> dict[int, list[datetime]]:
    """When each of them answered."""
    found: dict[int, list[datetime]] = {}
    for at, user_id in answered:
        found.setdefault(user_id, []).append(at)
    return found


def began_with(asked: type[Message]) -> ColumnElement[bool]:
    """Whether `asked`, an alias, is the message with which the time of a promise began."""
    return and_(
        asked.conversation_id == Promise.conversation_id,
        asked.sent_at == Promise.started_at,
        asked.direction == "incoming",
    )


def _met(session: Session, after: tuple[datetime, int], until: datetime) -> Sequence[Any]:
    """The next promises that a person's answer met, with who answered and the analysis of what began them."""
    asked, answer = aliased(Message), aliased(Message)
    met_at, number = after
    rows = session.execute(
        select(Promise, AnalysisRow, answer.user_id.label("answered_by"))
        .join(answer, answer.id == Promise.reply_id)
        .outerjoin(
            asked,
            began_with(asked),
        )
        .outerjoin(AnalysisRow, AnalysisRow.message_id == asked.id)
        .where(
            Promise.met_at >= met_at,
            Promise.met_at <= until,
            or_(Promise.met_at > met_at, Promise.id > number),
            Promise.metric.in_(REPLIES),
            answer.user_id.is_not(None),
        )
        .order_by(Promise.met_at, Promise.id)
        .limit(_MOST)
    ).all()
    # Of several messages of the same moment the first counts.
    return list({row.Promise.id: row for row in reversed(rows)}.values())[::-1]


def _learnt(session: Session) -> dict[IntentLabel | None, Learnt]:
    row = session.get(LearntTimes, 1)
    stored = row.times if row is not None else {}
    return {cast("IntentLabel", intent) or None: Learnt(**learnt) for intent, learnt in stored.items()}
