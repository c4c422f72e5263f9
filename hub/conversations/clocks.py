"""The clocks of a stored conversation: what `routing.clocks` decides, with the promises it settles."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Message, Promise
from hub.errors import Conflict
from hub.policies.service import active_policy
from routing import clocks
from routing.clocks import ConversationState, NotAllowed
from routing.types import Status


def message_came(
    session: Session,
    conversation: Conversation,
    message: Message,
    now: datetime,
    *,
    elsewhere: bool | None = None,
) -> None:
    """Move the clocks by a message of either side.

    `elsewhere` as in `routing.clocks`; where it is not given, a reply without a user was written elsewhere.
    """
    after = clocks.take_message(
        state_of(conversation),
        message.sent_at,
        incoming=message.direction == "incoming",
        private=message.private,
        automatic=message.automatic,
        elsewhere=message.user_id is None if elsewhere is None else elsewhere,
    )
    if message.direction == "outgoing" and after.waiting_since != conversation.waiting_since:
        _settle(session, conversation.promise, now, reply=message)
        conversation.promise = None
    _store(conversation, after, now)


def change_status(
    session: Session,
    conversation: Conversation,
    status: str,
    now: datetime,
    snoozed_until: datetime | None = None,
) -> None:
    """Choose a status; solving ends the wait, and taking that back lets it go on. Raises: Conflict."""
    before = state_of(conversation)
    try:
        after = clocks.set_status(before, cast("Status", status), now, snoozed_until)
    except NotAllowed as error:
        raise Conflict(str(error)) from None
    if before.waiting_since is not None and after.waiting_since is None:
        _settle(session, conversation.promise, now)
        conversation.promise = None
    solved_at = conversation.solved_at
    _store(conversation, after, now)
    if before.status == "solved" and status not in ("solved", "closed") and solved_at is not None:
        _resume(session, conversation, Promise.cancelled_at == solved_at, now)
        conversation.status = status


def message_taken_back(session: Session, conversation: Conversation, now: datetime) -> None:
    """A customer took a message back: they wait for an answer to what is left, if anything is."""
    if conversation.waiting_since is None:
        return
    since = _oldest_unanswered(session, conversation, conversation.waiting_since)
    if since is not None:
        conversation.waiting_since = since
        return
    _settle(session, conversation.promise, now)
    conversation.promise = None
    conversation.waiting_since = None
    if conversation.status in ("new", "open"):
        # There is nothing to do but to wait whether they write again.
        conversation.status = "pending"


def reply_failed(session: Session, conversation: Conversation, message: Message, now: datetime) -> None:
    """The customer never got this answer: the wait goes on from where it began, back in the queue."""
    if conversation.status == "closed":
        return
    promise = session.scalar(select(Promise).where(Promise.reply_id == message.id))
    other = _other_reply(session, message) if promise is not None else None
    if promise is not None and other is not None:
        # What was written after it did arrive, or still may.
        _settle(session, promise, now, reply=other)
        return
    conversation.status = "open"
    conversation.snoozed_until = None
    _resume(session, conversation, Promise.reply_id == message.id, now)


def reply_stands(session: Session, conversation: Conversation, message: Message, now: datetime) -> None:
    """A reply that had failed has arrived, or is on its way again: it answers what was written before it."""
    message_came(session, conversation, message, now, elsewhere=True)
    if conversation.status == "open" and conversation.waiting_since is None:
        change_status(session, conversation, "pending", now)


def _other_reply(session: Session, failed: Message) -> Message | None:
    return session.scalar(
        select(Message)
        .where(
            Message.conversation_id == failed.conversation_id,
            Message.delivery.in_(("pending", "sending", "sent", "unknown")),
            Message.automatic.is_(False),
            Message.sent_at >= failed.sent_at,
            Message.id != failed.id,
        )
        .order_by(Message.sent_at, Message.id)
        .limit(1)
    )


def _resume(session: Session, conversation: Conversation, which: ColumnElement[bool], now: datetime) -> None:
    promise = session.scalar(
        select(Promise)
        .where(Promise.conversation_id == conversation.id, which)
        .order_by(Promise.id.desc())
        .limit(1)
    )
    if promise is None:
        return
    if conversation.promise is not None and conversation.promise is not promise:
        # What the customer wrote since belongs to the wait that goes on.
        session.delete(conversation.promise)
    promise.reopen()
    conversation.promise = promise
    conversation.waiting_since = promise.started_at
    if promise.metric == "first_reply_time":
        conversation.first_replied_at = None
    taken_back = select(Message.id).where(
        Message.conversation_id == conversation.id,
        Message.direction == "incoming",
        Message.deleted_at.is_not(None),
        Message.sent_at >= promise.started_at,
    )
    if session.scalar(taken_back.limit(1)) is not None:
        message_taken_back(session, conversation, now)


def _oldest_unanswered(session: Session, conversation: Conversation, since: datetime) -> datetime | None:
    """When the oldest message was written, not before `since`, that nobody has answered or taken back."""
    public = (Message.conversation_id == conversation.id, Message.automatic.is_(False))
    answered_up_to = session.scalar(
        select(func.max(Message.id)).where(
            *public,
            Message.direction == "outgoing",
            Message.private.is_(False),
            Message.user_id.is_not(None),
            Message.delivery != "failed",
        )
    )
    return session.scalar(
        select(func.min(Message.sent_at)).where(
            *public,
            Message.direction == "incoming",
            Message.deleted_at.is_(None),
            Message.sent_at >= since,
            Message.id > (answered_up_to or 0),
        )
    )


def _settle(
    session: Session, promise: Promise | None, now: datetime, *, reply: Message | None = None
) -> None:
    if promise is None:
        return
    settled = clocks.settle(
        promise.due_at,
        promise.target_seconds,
        active_policy(session).policy.calendar_of(promise.policy),
        now=now,
        met_at=reply.sent_at if reply else None,
    )
    promise.met_at = settled.met_at
    promise.breached_at = settled.breached_at
    promise.late_by_seconds = settled.late_by_seconds if settled.breached_at else None
    promise.reply_id = reply.id if reply else None
    promise.cancelled_at = None if reply else now


def state_of(conversation: Conversation) -> ConversationState:
    """What the clocks know of a stored conversation."""
    return ConversationState(
        status=cast("Status", conversation.status),
        waiting_since=conversation.waiting_since,
        first_replied_at=conversation.first_replied_at,
        last_incoming_at=conversation.last_incoming_at,
        answered_until=conversation.answered_until,
        snoozed_until=conversation.snoozed_until,
    )


def _store(conversation: Conversation, state: ConversationState, now: datetime) -> None:
    if state.status == "solved" and conversation.status != "solved":
        conversation.solved_at = now
    conversation.status = state.status
    conversation.waiting_since = state.waiting_since
    conversation.first_replied_at = state.first_replied_at
    conversation.last_incoming_at = state.last_incoming_at
    conversation.answered_until = state.answered_until
    conversation.snoozed_until = state.snoozed_until
