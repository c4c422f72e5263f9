"""Putting conversations in their place, and anew when the rules or what is known of a customer change."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Select, func, insert, select
from sqlalchemy.orm import Session, joinedload, selectinload

from hub.assignment.lanes import set_lanes
from hub.automations.keeping import look_again
from hub.automations.timing import set_timers
from hub.channels.models import Channel
from hub.clock import utcnow
from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.promises import NOTHING, by_version, follow
from hub.conversations.state import state_of
from hub.customers.models import Customer
from hub.database import among, at_most, nudge, write_alike
from hub.policies.service import ActivePolicy, active_policy
from hub.queue.facts import facts_of
from hub.queue.handling import NO_INTENT, handling_times
from hub.queue.models import Decision
from hub.runtime import Hub
from routing import explanations
from routing.conditions import Known
from routing.priority import prioritise
from routing.promises import owed
from routing.targets import known_of, promised
from routing.types import METRICS, Facts, Metric, Priority

# SQLite has one writer, who should not keep the others waiting for long.
REPLACE_BATCH = 200
MOVED_BATCH = 100
# What placing sets, and is written together of many.
_PLACE = (
    "updated_at",
    "policy_version_id",
    "placed_for",
    "weight",
    "reasons",
    "work_seconds",
    "work_intent",
    "reply_by",
    "gave_way_at",
    "gave_way_to",
    "needs_rule",
    "lane",
    "relaxed_lane",
    "relax_at",
    "load",
    "known_by_id",
    "held_until",
)
# Whoever hands out waits while so many are placed.
ON_SIGHT = 64


def place(
    session: Session, conversations: Collection[Conversation], active: ActivePolicy, now: datetime
) -> None:
    """Give each conversation its promises, weight and place; take those out of the queue that owe nothing.

    The clocks keep what has elapsed: a promise is counted from when it began, whatever changes later.
    """
    policy = active.policy
    metrics = {metric for rule in policy.policies for metric in METRICS if rule.targets(metric)}
    states = {conversation.id: state_of(conversation) for conversation in conversations}
    found = {key: owed(state) for key, state in states.items()}
    owing = [
        conversation
        for conversation in conversations
        if any(each.metric in metrics for each in found[conversation.id])
    ]
    facts_by_id = facts_of(session, owing, policy, now)
    times = handling_times(session, policy)
    rows = _promises(session, conversations)
    placed: list[tuple[Conversation, Facts, Known]] = []
    decided: list[dict[str, object]] = []
    for conversation in conversations:
        conversation.updated_at = now
        conversation.policy_version_id = active.version_id
        conversation.placed_for = conversation.customer.changed_at if found[conversation.id] else None
        state, mine = states[conversation.id], rows.get(conversation.id, ())
        if conversation.id not in facts_by_id:
            follow(session, conversation, state, mine, NOTHING, active.policy, now)
            leave_queue(conversation)
            continue
        facts = facts_by_id[conversation.id]
        before = _outcome(conversation)
        known = known_of(facts, policy)
        terms = promised(facts, policy, known)
        serve = follow(session, conversation, state, mine, terms, active.policy, now)
        promise = conversation.promise
        if promise is None:
            leave_queue(conversation)
            continue
        priority = prioritise(facts, conversation.waiting_since or now, active.policy, terms, times)
        placed.append((conversation, facts, known))
        conversation.weight = priority.weight
        conversation.reasons = [{"factor": reason.factor, "text": reason.text} for reason in priority.reasons]
        if _outcome(conversation) != before:
            decided.append(
                {
                    "conversation_id": conversation.id,
                    "policy_version_id": active.version_id,
                    "decided_at": now,
                    "explanation": explanations.to_text(_of(promise, priority)),
                }
            )
        conversation.work_seconds = priority.work_seconds
        conversation.work_intent = priority.work_intent or NO_INTENT
        if serve:
            gave_way = conversation.gave_way_at is not None
            conversation.reply_by = promise.second_due_at if gave_way else promise.due_at
        else:
            conversation.reply_by = None
    set_lanes(session, placed, active, now)
    set_timers(session, conversations, active.policy, now)
    if len(placed) > 1:
        write_alike(session, (conversation for conversation, *_ in placed), _PLACE)
    gone = session.deleted
    followed = [row for mine in rows.values() for row in mine if row.is_open and row not in gone]
    session.flush()
    by_version(session, followed, active.version_id)
    if decided:
        session.execute(insert(Decision), decided)
    nudge(session, "plan")
    if not active.policy.assigns_freely:
        nudge(session, "assign")


def leave_queue(conversation: Conversation) -> None:
    """Nothing is asked of an agent now."""
    conversation.promise = None
    conversation.reply_by = None
    conversation.gave_way_at = None
    conversation.gave_way_to = 0
    conversation.relax_at = conversation.held_until = None
    if conversation.status in ("solved", "closed"):
        conversation.sent_to_team = None


def replace_stale(hub: Hub) -> int:
    """Put those conversations anew whose customer or policy changed since they were placed; how many."""
    with hub.database.session() as session:
        return place_anew(session, utcnow())


def place_anew(session: Session, now: datetime, limit: int = REPLACE_BATCH) -> int:
    """Some of those whose customer changed, or else `limit` at most whose policy did; how many."""
    active = active_policy(session)
    moved = session.scalars(
        select(Customer)
        .where(Customer.moved)
        .order_by(Customer.id)
        .limit(MOVED_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    theirs = _placed(Conversation.customer_id.in_([customer.id for customer in moved]))
    stale = list(session.scalars(theirs)) if moved else []
    for customer in moved:
        customer.moved = False
    if moved:
        # Those too in which nothing is owed.
        everything = select(Conversation.id).where(
            Conversation.customer_id.in_([customer.id for customer in moved])
        )
        look_again(session, everything, active.policy, now)
    if not stale:
        stale = _stale(session, active.version_id, limit)
    if stale:
        place(session, stale, active, now)
    return len(stale)


def place_on_sight(session: Session, active: ActivePolicy, now: datetime) -> int:
    """Place by this version what stands first in the queue, is nobody's and was placed by another; how many.

    Whoever hands out conversations does this before they look, until the background has placed everything:
    so nothing is given by rules that hold no more, and nobody is passed over who was not placed yet.
    """
    placed = 0
    for version_id in _other_versions(session, active.version_id):
        nobodys = Conversation.reply_by.is_not(None) & Conversation.owner_id.is_(None)
        first = stale_places(version_id).where(nobodys).limit(ON_SIGHT - placed)
        stale = session.scalars(first.execution_options(populate_existing=True)).all()
        if stale:
            place(session, stale, active, now)
        placed += len(stale)
        if placed == ON_SIGHT:
            break
    return placed


def is_changing(session: Session, version_id: int) -> bool:
    """Whether something that is owed was placed by another version of the policy than this."""
    return next(_other_versions(session, version_id), version_id) != version_id


def _stale(session: Session, version_id: int, limit: int) -> list[Conversation]:
    """Some that another version placed: those who wait, the earliest first; then the others."""
    found: list[Conversation] = []
    for other in _other_versions(session, version_id):
        for which in (Conversation.reply_by.is_not(None), Conversation.reply_by.is_(None)):
            found += session.scalars(stale_places(other).where(which).limit(limit - len(found)))
            if len(found) == limit:
                return found
    return found


def _other_versions(session: Session, version_id: int) -> Iterator[int | None]:
    """The versions of the policy by which something is placed that is not placed by this one.

    A loose index scan: as many looks as there are versions in use, or as are wanted.
    """
    ends = {session.scalar(LOWEST), session.scalar(HIGHEST)}
    if not ends - {version_id, None}:
        return
    if 0 in ends:
        yield None
    last: int | None = 0
    while last is not None:
        last = session.scalar(
            select(func.min(Conversation.policy_version_id)).where(
                _OWED, Conversation.policy_version_id > last
            )
        )
        if last not in (None, version_id):
            yield last


def stale_places(version_id: int | None) -> Select[Conversation]:
    """What was placed by this version of the policy, in the order of the queue, locked."""
    return _placed(_by(version_id)).order_by(Conversation.reply_by, Conversation.id)


def _by(version_id: int | None) -> ColumnElement[bool]:
    return _OWED & (Conversation.policy_version_id == version_id)


_OWED = Conversation.placed_for.is_not(None)
# Ordered, so that a database that knows little of the rows asks their index: the one that is NULL, if any
# is, comes first on SQLite and last on PostgreSQL.
_VERSION = select(func.coalesce(Conversation.policy_version_id, 0)).where(_OWED).limit(at_most(1))
LOWEST = _VERSION.order_by(Conversation.policy_version_id)
HIGHEST = _VERSION.order_by(Conversation.policy_version_id.desc())
"""The versions of the policy by which something is placed; 0 for what was never placed by one."""


def _placed(which: ColumnElement[bool]) -> Select[Conversation]:
    """Those of the conversations in which something may be owed, locked."""
    return (
        select(Conversation)
        .where(Conversation.placed_for.is_not(None), which)
        .options(*_FOR_PLACING_MANY)
        .with_for_update(of=Conversation, skip_locked=True)
    )


# What `place` reads of each conversation, loaded in one query.
FOR_PLACING = (
    joinedload(Conversation.customer),
    joinedload(Conversation.channel),
    joinedload(Conversation.newest_message).joinedload(Message.analysis),
)
# The same of many: only what is a fact, and the channel, which most of them share, once.
_FOR_PLACING_MANY = (
    joinedload(Conversation.customer).load_only(
        Customer.external_id,
        Customer.name,
        Customer.tier,
        Customer.language,
        Customer.followers,
        Customer.spend_12m,
        Customer.changed_at,
    ),
    selectinload(Conversation.channel).load_only(Channel.name, Channel.kind),
    joinedload(Conversation.newest_message).load_only(Message.body).joinedload(Message.analysis),
)


def _of(promise: Promise, priority: Priority) -> Priority:
    """What is worth that much, of the promise that governs: not always the one of a reply."""
    return replace(
        priority,
        metric=cast("Metric", promise.metric),
        policy=promise.policy,
        target_seconds=promise.target_seconds,
        due_at=promise.due_at,
        second_due_at=promise.second_due_at,
    )


def _outcome(conversation: Conversation) -> tuple[object, ...]:
    """What a decision came to: the next one is kept only where it differs."""
    reasons, promise = conversation.reasons or [], conversation.promise
    if promise is None:
        return (reasons,)
    return promise.id, promise.metric, promise.policy, promise.target_seconds, promise.due_at, reasons


def _promises(session: Session, conversations: Collection[Conversation]) -> dict[int, list[Promise]]:
    found: dict[int, list[Promise]] = {}
    ids = [conversation.id for conversation in conversations]
    for promise in session.scalars(
        select(Promise).where(among(Promise.conversation_id, ids)).order_by(Promise.id)
    ):
        found.setdefault(promise.conversation_id, []).append(promise)
    return found
