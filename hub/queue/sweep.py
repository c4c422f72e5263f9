"""What time alone changes: promises fall due, updates are owed, snoozed conversations wake, owners are away.

Each is found by a partial index on the moment at which it comes, so that a round costs what is due and not
what there is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Row, Select, select, update
from sqlalchemy.orm import Session

from hub.assignment.absence import release_absent
from hub.automations.happening import happened
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.conversations.service import set_status
from hub.customers.spend import refresh_expired
from hub.database import nudge
from hub.policies.service import active_policy
from hub.queue.service import FOR_PLACING, place
from hub.runtime import Hub

BATCH = 200


def sweep(hub: Hub) -> int:
    """One round of everything; how many rows changed."""
    with hub.database.session() as session:
        return pass_time(session, utcnow())


def pass_time(session: Session, now: datetime) -> int:
    """Do what is due by `now`; how many rows changed."""
    changed = _mark_breached(session, now) + _ask_for_updates(session, now) + _wake_snoozed(session, now)
    changed += release_absent(session, now)
    expired = refresh_expired(session, now)
    if expired:
        nudge(session, "replace")
    return changed + expired


def promises_due(now: datetime) -> Select[Promise]:
    """Promises that break now."""
    # In the words of their index: what is paused breaks nothing.
    return select(Promise).where(
        Promise.due_at < now,
        Promise.met_at.is_(None),
        Promise.breached_at.is_(None),
        Promise.cancelled_at.is_(None),
        Promise.paused_at.is_(None),
    )


def updates_due(now: datetime) -> Select[Promise]:
    """Promises of an update that put their conversation into the queue now."""
    return select(Promise).where(Promise.asks_at <= now).order_by(Promise.asks_at).limit(BATCH)


def snoozes_due(now: datetime) -> Select[Conversation]:
    """Conversations that wake now."""
    return select(Conversation).where(Conversation.snoozed_until <= now).limit(BATCH)


def _mark_breached(session: Session, now: datetime) -> int:
    # What somebody holds is left for the next round: they hold the conversation too, and might wait for us.
    due = promises_due(now).with_only_columns(Promise.id).with_for_update(skip_locked=True)
    marked = session.execute(
        update(Promise)
        .where(Promise.id.in_(due))
        .values(breached_at=Promise.due_at)
        .returning(Promise.id, Promise.metric, Promise.conversation_id)
        .execution_options(synchronize_session=False)
    ).all()
    _tell_of_broken(session, marked, now)
    # A resolution that is late gives its place to the answer that is owed.
    late = {row.conversation_id for row in marked if row.metric == "resolution_time"}
    if late:
        session.expire_all()
        _place(session, late, now)
    return len(marked)


def _tell_of_broken(session: Session, marked: Sequence[Row[int, str, int]], now: datetime) -> None:
    active = active_policy(session)
    if not active.policy.automations_on("promise_broken"):
        return
    ids = {row.conversation_id for row in marked}
    found = session.scalars(select(Conversation).where(Conversation.id.in_(ids))).all()
    conversations = {conversation.id: conversation for conversation in found}
    for row in marked:
        conversation = conversations[row.conversation_id]
        happened(session, conversation, "promise_broken", now, promise=row.metric, active=active)


def _ask_for_updates(session: Session, now: datetime) -> int:
    asking = {promise.conversation_id for promise in session.scalars(updates_due(now))}
    return _place(session, asking, now) if asking else 0


def _place(session: Session, ids: Collection[int], now: datetime) -> int:
    found = session.scalars(
        select(Conversation)
        .where(Conversation.id.in_(ids))
        .options(*FOR_PLACING)
        .order_by(Conversation.id)
        .with_for_update(of=Conversation, skip_locked=True)
    ).all()
    place(session, found, active_policy(session), now)
    return len(found)


def _wake_snoozed(session: Session, now: datetime) -> int:
    due = session.scalars(snoozes_due(now).with_for_update(skip_locked=True)).all()
    for conversation in due:
        set_status(session, conversation, "open", user=None, now=now)
    return len(due)
