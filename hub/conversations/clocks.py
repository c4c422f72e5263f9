"""The clocks of a stored conversation: what `routing.clocks` decides, with the replies it settles."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.promises import close
from hub.conversations.reaching import follow_customer
from hub.conversations.state import become, history_of, state_of, store_state
from hub.errors import Conflict
from routing import clocks
from routing.clocks import NotAllowed
from routing.promises import REPLIES
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
    if (
        message.direction == "incoming"
        and not message.automatic
        and after.last_incoming_at == message.sent_at
    ):
        follow_customer(session, conversation, message)
    if message.direction == "outgoing" and after.waiting_since != conversation.waiting_since:
        _settle_reply(session, conversation, now, reply=message)
    store_state(conversation, after, now)


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
        _settle_reply(session, conversation, now)
    solved_at = conversation.solved_at
    store_state(conversation, after, now)
    if before.status == "solved" and status not in ("solved", "closed") and solved_at is not None:
        _resume(session, conversation, Promise.cancelled_at == solved_at, now)
        become(conversation, cast("Status", status), now)


def message_taken_back(session: Session, conversation: Conversation, now: datetime) -> None:
    """A customer took a message back: they wait for an answer to what is left, if anything is."""
    if conversation.waiting_since is None:
        return
    since = _oldest_unanswered(session, conversation, conversation.waiting_since)
    if since is not None:
        conversation.waiting_since = since
        return
    _settle_reply(session, conversation, now)
    conversation.waiting_since = None
    if conversation.status in ("new", "open"):
        # There is nothing to do but to wait whether they write again.
        become(conversation, "pending", now)


def reply_failed(session: Session, conversation: Conversation, message: Message, now: datetime) -> None:
    """The customer never got this answer: the wait goes on from where it began, back in the queue.

    One that was automatic had ended no wait.
    """
    if conversation.status == "closed" or message.automatic:
        return
    conversation.last_replied_at = _last_reply(session, conversation)
    promise = session.scalar(select(Promise).where(Promise.reply_id == message.id))
    other = _other_reply(session, message) if promise is not None else None
    if promise is not None and other is not None:
        # What was written after it did arrive, or still may.
        _settle(promise, now, reply=other)
        return
    become(conversation, "open", now)
    conversation.snoozed_until = None
    _resume(session, conversation, Promise.reply_id == message.id, now)


def reply_stands(session: Session, conversation: Conversation, message: Message, now: datetime) -> None:
    """A reply that had failed has arrived, or is on its way again: it answers what was written before it."""
    if message.automatic:
        return
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
        .where(Promise.conversation_id == conversation.id, Promise.metric.in_(REPLIES), which)
        .order_by(Promise.id.desc())
        .limit(1)
    )
    if promise is None:
        return
    later = _owed_reply(session, conversation)
    if later is not None and later is not promise:
        # What the customer wrote since belongs to the wait that goes on.
        if conversation.promise is later:
            conversation.promise = None
        session.delete(later)
    promise.reopen()
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


def _owed_reply(session: Session, conversation: Conversation) -> Promise | None:
    """The reply that is owed, if one is promised."""
    return session.scalar(
        select(Promise).where(
            Promise.conversation_id == conversation.id,
            Promise.metric.in_(REPLIES),
            Promise.met_at.is_(None),
            Promise.cancelled_at.is_(None),
        )
    )


def _last_reply(session: Session, conversation: Conversation) -> datetime | None:
    """When a person last answered in public, of what did not fail; None before the customer first wrote."""
    if not conversation.history:
        return None
    return session.scalar(
        select(func.max(Message.sent_at)).where(
            Message.conversation_id == conversation.id,
            Message.direction == "outgoing",
            Message.private.is_(False),
            Message.automatic.is_(False),
            Message.delivery != "failed",
            Message.sent_at >= history_of(conversation)[0].at,
        )
    )


def _settle_reply(
    session: Session, conversation: Conversation, now: datetime, *, reply: Message | None = None
) -> None:
    promise = _owed_reply(session, conversation)
    if promise is not None:
        _settle(promise, now, reply=reply)
    conversation.promise = None


def _settle(promise: Promise, now: datetime, *, reply: Message | None = None) -> None:
    close(promise, now, met_at=reply.sent_at if reply else None)
    promise.reply_id = reply.id if reply else None
