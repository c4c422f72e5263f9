"""What a vendor says later of a message: it was edited, deleted, or a reply of ours did not arrive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connectors.base import Deleted, Edited, Undelivered
from hub.conversations.clocks import message_taken_back, reply_failed
from hub.conversations.models import Conversation, DeliveryAttempt, Message, MessageVersion
from hub.database import nudge
from hub.inbox.storable import Change
from hub.inbox.threads import CHUNK, Named, messages_named
from hub.learning.models import Correction
from hub.policies.service import active_policy
from hub.queue.service import FOR_PLACING, place
from hub.tickets.service import tell_vendor


@dataclass(slots=True)
class Followed:
    """How many changes were followed or say what we have already, and which speak of messages that we have
    not."""

    changed: int = 0
    unchanged: int = 0
    unknown: list[Change] = field(default_factory=list)


def lock_changed(session: Session, channel_id: int, changes: Sequence[Change]) -> set[int]:
    """Lock the stored messages that `changes` speak of; the ids of their conversations."""
    named = _named(session, channel_id, changes)
    _messages(session, sorted(each.message_id for several in named.values() for each in several))
    return {each.conversation_id for several in named.values() for each in several}


def apply_changes(session: Session, channel_id: int, changes: Sequence[Change], now: datetime) -> Followed:
    """Follow `changes` in their order and place the conversations anew that they touch."""
    named = _named(session, channel_id, changes)
    every = [each for several in named.values() for each in several]
    messages = _messages(session, sorted({each.message_id for each in every}))
    conversations = _conversations(session, sorted({each.conversation_id for each in every}))
    result = Followed()
    touched: dict[int, Conversation] = {}
    for change in changes:
        meant = [messages[each.message_id] for each in named[change] if each.message_id in messages]
        followed = 0
        for message in meant:
            conversation = conversations[message.conversation_id]
            if _follow(session, conversation, message, change, now):
                touched[conversation.id] = conversation
                followed += 1
        if not meant:
            result.unknown.append(change)
        elif followed:
            result.changed += 1
        else:
            result.unchanged += 1
    session.flush()
    if touched:
        place(session, [touched[each] for each in sorted(touched)], active_policy(session), now)
    return result


def lock_conversations(session: Session, ids: Collection[int]) -> None:
    """Lock these conversations, in the order of everybody."""
    _conversations(session, sorted(ids))


def _named(session: Session, channel_id: int, changes: Sequence[Change]) -> dict[Change, list[Named]]:
    """The stored messages that each change speaks of: one, or with its thread all of that."""
    by_name: dict[str, list[Named]] = {}
    for each in messages_named(session, channel_id, (change.external_id for change in changes)):
        by_name.setdefault(each.name, []).append(each)
    by_thread: dict[str, list[Named]] = {}
    keys = sorted({each.thread_key for each in changes if isinstance(each, Deleted) and each.thread_key})
    for start in range(0, len(keys), CHUNK):
        rows = session.execute(
            select(Conversation.thread_key, Message.id, Message.conversation_id)
            .join(Message, Message.conversation_id == Conversation.id)
            .where(
                Conversation.channel_id == channel_id,
                Conversation.thread_key.in_(keys[start : start + CHUNK]),
            )
        )
        for key, message_id, conversation_id in rows:
            assert key is not None
            by_thread.setdefault(key, []).append(Named(key, message_id, conversation_id))
    return {
        each: [
            *by_name.get(each.external_id, []),
            *by_thread.get((each.thread_key or "") if isinstance(each, Deleted) else "", []),
        ]
        for each in changes
    }


def _follow(
    session: Session, conversation: Conversation, message: Message, change: Change, now: datetime
) -> bool:
    """Whether it says anything new."""
    if isinstance(change, Edited):
        return _edit(session, message, change, now)
    if isinstance(change, Deleted):
        return _delete(session, conversation, message, change, now)
    return _bounce(session, conversation, message, change, now)


def _edit(session: Session, message: Message, edited: Edited, now: datetime) -> bool:
    at = min(edited.edited_at or now, now)
    older = edited.edited_at is not None and message.edited_at is not None and at <= message.edited_at
    same = (message.body, message.html) == (edited.text, edited.html)
    if same or older or message.deleted_at is not None:
        return False
    message.versions.append(
        MessageVersion(
            body=message.body,
            html=message.html,
            written_at=message.edited_at or message.sent_at,
            replaced_at=now,
        )
    )
    message.body, message.html, message.edited_at = edited.text, edited.html, at
    if message.direction == "incoming":
        _forget_reading(session, message, now)
        message.analysed_at, message.leased_until, message.analysis_attempts = None, None, 0
        nudge(session, "analyse")
    return True


def _delete(
    session: Session, conversation: Conversation, message: Message, deleted: Deleted, now: datetime
) -> bool:
    if message.deleted_at is not None:
        return False
    message.deleted_at = min(deleted.deleted_at or now, now)
    if message.direction != "incoming":
        # What we said ourselves is ours to keep.
        return True
    _forget_reading(session, message, now)
    message.analysed_at = message.analysed_at or now
    said = message.subject
    message.body, message.html, message.subject = "", None, None
    message.versions.clear()
    message.attachments.clear()
    session.flush()
    standing = _newest_standing(session, conversation)
    conversation.newest_message = standing or conversation.newest_message
    if said is not None and conversation.subject == said and standing is None:
        conversation.subject = None
    message_taken_back(session, conversation, now)
    return True


def _bounce(
    session: Session, conversation: Conversation, message: Message, bounce: Undelivered, now: datetime
) -> bool:
    if message.direction != "outgoing" or message.delivery == "failed":
        return False
    message.attempts.append(
        DeliveryAttempt(started_at=now, finished_at=now, outcome="failed", detail=bounce.detail)
    )
    message.delivery, message.deliver_at, message.leased_until = "failed", None, None
    session.flush()
    reply_failed(session, conversation, message, now)
    tell_vendor(session, conversation, now, status=True)
    return True


def _forget_reading(session: Session, message: Message, now: datetime) -> None:
    """What was read in the words before, and what people said of that, is of no worth for those now."""
    if message.analysis is not None:
        session.delete(message.analysis)
    session.execute(
        update(Correction)
        .where(Correction.message_id == message.id, Correction.withdrawn_at.is_(None))
        .values(withdrawn_at=now)
    )
    session.flush()
    session.expire(message, ["analysis", "corrections"])


def _newest_standing(session: Session, conversation: Conversation) -> Message | None:
    return session.scalar(
        select(Message)
        .where(
            Message.conversation_id == conversation.id,
            Message.direction == "incoming",
            Message.deleted_at.is_(None),
        )
        .order_by(Message.nature.is_not(None), Message.sent_at.desc(), Message.id.desc())
        .limit(1)
    )


def _messages(session: Session, ids: Sequence[int]) -> dict[int, Message]:
    found: dict[int, Message] = {}
    for start in range(0, len(ids), CHUNK):
        few = select(Message).where(Message.id.in_(ids[start : start + CHUNK]), Message.private.is_(False))
        # What was read before the lock may be old.
        rows = session.scalars(
            few.order_by(Message.id).with_for_update().execution_options(populate_existing=True)
        )
        found.update({each.id: each for each in rows})
    return found


def _conversations(session: Session, ids: Sequence[int]) -> dict[int, Conversation]:
    found: dict[int, Conversation] = {}
    for start in range(0, len(ids), CHUNK):
        rows = session.scalars(
            select(Conversation)
            .where(Conversation.id.in_(ids[start : start + CHUNK]))
            .options(*FOR_PLACING)
            .order_by(Conversation.id)
            .with_for_update(of=Conversation)
        )
        found.update({each.id: each for each in rows})
    return found
