"""Putting conversations in their place, and handing them out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, Update, bindparam, or_, select, update
from sqlalchemy.orm import Session, joinedload

from hub.assignment.claiming import claim_eligible
from hub.assignment.lanes import set_lanes
from hub.assignment.owning import record_claim
from hub.clock import utcnow
from hub.conversations.clocks import state_of
from hub.conversations.models import Conversation, Message, Promise
from hub.customers.models import Customer
from hub.database import Base, UtcDateTime, nudge
from hub.policies.service import ActivePolicy, active_policy
from hub.queue.facts import facts_of
from hub.queue.models import Decision
from hub.runtime import Hub
from routing import explanations
from routing.priority import prioritise
from routing.types import Facts, Metric, Priority

REPLACE_BATCH = 500


def place(
    session: Session, conversations: Collection[Conversation], active: ActivePolicy, now: datetime
) -> None:
    """Give each conversation that waits its promise, weight and place; take the others out of the queue.

    The clock keeps what has elapsed: a promise is counted from when the customer began to wait, whatever
    changes later.
    """
    waiting = [conversation for conversation in conversations if conversation.waiting_since is not None]
    facts_by_id = facts_of(session, waiting, active.policy, now)
    promises = _promises(session, waiting)
    placed: list[tuple[Conversation, Facts]] = []
    for conversation in conversations:
        conversation.updated_at = now
        if conversation.waiting_since is None:
            leave_queue(conversation)
            continue
        facts = facts_by_id[conversation.id]
        priority = prioritise(facts, conversation.waiting_since, active.policy)
        placed.append((conversation, facts))
        promise = _promise(session, conversation, priority.metric, promises)
        before = _outcome(conversation, promise)
        _fill(promise, conversation, priority, now)
        conversation.promise = promise
        conversation.policy_version_id = active.version_id
        conversation.weight = priority.weight
        conversation.reasons = [{"factor": reason.factor, "text": reason.text} for reason in priority.reasons]
        if _outcome(conversation, promise) != before:
            session.add(
                Decision(
                    conversation_id=conversation.id,
                    policy_version_id=active.version_id,
                    decided_at=now,
                    explanation=explanations.to_text(priority),
                )
            )
        conversation.work_seconds = priority.work_seconds
        conversation.placed_for = conversation.customer.changed_at
        if state_of(conversation).in_queue:
            conversation.reply_by = (
                priority.second_due_at if conversation.gave_way_at is not None else priority.due_at
            )
        else:
            conversation.reply_by = None
    set_lanes(session, placed, active, now)
    session.flush()
    nudge(session, "plan")
    if not active.policy.assigns_freely:
        nudge(session, "assign")


def leave_queue(conversation: Conversation) -> None:
    """Nothing is owed to this customer now."""
    conversation.promise = None
    conversation.reply_by = None
    conversation.gave_way_at = None
    conversation.gave_way_to = 0
    conversation.relax_at = conversation.held_until = None
    if conversation.status in ("solved", "closed"):
        conversation.sent_to_team = None


def replace_stale(hub: Hub) -> int:
    """Put those conversations anew whose customer or policy changed since they were placed; how many."""
    now = utcnow()
    with hub.database.session() as session:
        active = active_policy(session)
        stale = session.scalars(_stale(by_policy(active.version_id))).all()
        if not stale:
            changed = Conversation.placed_for != Customer.changed_at
            stale = session.scalars(_stale(changed).join(Conversation.customer)).all()
        if stale:
            place(session, stale, active, now)
        return len(stale)


def by_policy(version_id: int) -> ColumnElement[bool]:
    """Who was placed by another version of the policy than this one."""
    return or_(
        Conversation.policy_version_id < version_id,
        Conversation.policy_version_id > version_id,
        Conversation.policy_version_id.is_(None),
    )


def _stale(what: ColumnElement[bool]) -> Select[Conversation]:
    return (
        select(Conversation)
        .where(Conversation.waiting_since.is_not(None), what)
        .options(*FOR_PLACING)
        .limit(REPLACE_BATCH)
        .with_for_update(of=Conversation, skip_locked=True)
    )


# What `place` reads of each conversation, loaded in one query.
FOR_PLACING = (
    joinedload(Conversation.customer),
    joinedload(Conversation.channel),
    joinedload(Conversation.newest_message).joinedload(Message.analysis),
)


def claim_next(session: Session, user_id: int, now: datetime) -> int | None:
    """Hand a user the unowned conversation with the earliest `reply_by` of those that the policy lets them
    take: its id, None where there is none.

    However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has
    one writer.
    """
    policy = active_policy(session).policy
    if not policy.assigns_freely:
        claimed = claim_eligible(session, user_id, policy, now)
    else:
        claimed = session.connection().execute(_CLAIM, {"user_id": user_id, "now": now}).scalar()
        if claimed is not None:
            record_claim(session, claimed, user_id, now, ["asked for the next"])
    if claimed is not None:
        nudge(session, "plan")
    return claimed


def _claim() -> Update:
    earliest = (
        select(Conversation.id)
        .where(Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    now = bindparam("now", type_=UtcDateTime)
    return (
        update(Base.metadata.tables["conversations"])
        .where(Conversation.id == earliest, Conversation.owner_id.is_(None))
        .values(owner_id=bindparam("user_id"), owned_since=now, updated_at=now)
        .returning(Conversation.id)
    )


# Built once: on SQLite everybody waits while one claims.
_CLAIM = _claim()


def _promises(session: Session, waiting: Sequence[Conversation]) -> dict[tuple[int, str, datetime], Promise]:
    found = session.scalars(
        select(Promise).where(Promise.conversation_id.in_([conversation.id for conversation in waiting]))
    )
    return {(promise.conversation_id, promise.metric, promise.started_at): promise for promise in found}


def _promise(
    session: Session,
    conversation: Conversation,
    metric: Metric,
    promises: Mapping[tuple[int, str, datetime], Promise],
) -> Promise:
    """The one open promise of a conversation that waits."""
    assert conversation.waiting_since is not None
    same = promises.get((conversation.id, metric, conversation.waiting_since))
    # The same wait, which may turn out to have begun earlier, or after a first reply that we had not seen.
    running = conversation.promise if conversation.promise and conversation.promise.is_open else None
    if same is None:
        if running is None:
            running = Promise(conversation_id=conversation.id)
            session.add(running)
        return running
    if running is not None and running is not same:
        session.delete(running)
    if not same.is_open:
        # It was answered, and then another message of the same moment came in, which was not.
        same.reopen()
    return same


def _outcome(conversation: Conversation, promise: Promise) -> tuple[object, ...]:
    """What a decision came to: the next one is kept only where it differs."""
    reasons = [(each["factor"], each["text"]) for each in conversation.reasons or ()]
    return promise.id, promise.metric, promise.policy, promise.target_seconds, promise.due_at, reasons


def _fill(promise: Promise, conversation: Conversation, priority: Priority, now: datetime) -> None:
    promise.metric = priority.metric
    promise.policy = priority.policy
    promise.tier = conversation.customer.tier
    promise.target_seconds = priority.target_seconds
    promise.due_at = priority.due_at
    promise.second_due_at = priority.second_due_at
    assert conversation.waiting_since is not None
    promise.started_at = conversation.waiting_since
    if promise.breached_at is not None:
        promise.breached_at = promise.due_at if promise.due_at < now else None
