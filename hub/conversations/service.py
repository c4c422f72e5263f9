"""What people do with a conversation: answer, note, take, release, change its status, and take that back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Attachment
from hub.accounts.models import User
from hub.assignment.owning import accept, answered_by, disown, own
from hub.automations.happening import happened
from hub.conversations.attachments import check_outgoing, to_rows
from hub.conversations.clocks import change_status, message_came
from hub.conversations.lengths import check_length
from hub.conversations.models import STATUSES, Conversation, Message
from hub.conversations.reaching import recipient, turn_to, ways_to
from hub.database import nudge
from hub.errors import Conflict, Invalid, NotFound
from hub.policies.service import active_policy
from hub.queue.service import FOR_PLACING, place
from hub.tickets.service import tell_vendor
from routing.types import URGENCIES

LONGEST_SNOOZE = timedelta(days=366)
BY_ITSELF = "The hub"
SETTABLE = tuple(status for status in STATUSES if status != "new")


def get_conversation(session: Session, conversation_id: int) -> Conversation:
    """The conversation, locked until this transaction ends. Raises: NotFound."""
    conversation = session.scalar(
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .options(*FOR_PLACING)
        .with_for_update(of=Conversation)
    )
    if conversation is None:
        raise NotFound(f"no conversation {conversation_id}")
    return conversation


def reply(
    session: Session,
    conversation: Conversation,
    *,
    user: User,
    text: str,
    now: datetime,
    idempotency_key: str | None = None,
    then: str = "pending",
    attachments: Sequence[Attachment] = (),
) -> Message:
    """Answer the customer: the reply waits to be sent, the clocks stop, the status becomes `then`.

    The same `idempotency_key` again gives the message of the first time. Raises: Invalid (no text, or more
    than the vendor takes), Conflict.
    """
    before = _written_before(session, conversation, idempotency_key, text)
    if before is not None:
        return before
    if conversation.status == "closed":
        raise Conflict("this conversation is closed; the customer's next message opens another")
    _check_text(text)
    answers = answerable(session, conversation)
    check_length(conversation.goes_by, text, answers.meta if answers else {})
    check_outgoing(session, conversation.goes_by, attachments)
    key = idempotency_key or uuid4().hex
    message = Message(
        channel_id=conversation.goes_by.id,
        conversation_id=conversation.id,
        external_id=f"reply:{key}",
        direction="outgoing",
        user_id=user.id,
        author_name=user.name,
        reply_to=None if answers else recipient(session, conversation),
        subject=conversation.subject,
        body=text,
        sent_at=now,
        received_at=now,
        answers_id=answers.id if answers else None,
        delivery="pending",
        deliver_at=now,
        idempotency_key=key,
        attachments=to_rows(session, attachments),
    )
    session.add(message)
    conversation.last_message_at, conversation.listening = now, False
    session.flush()
    message_came(session, conversation, message, now)
    happened(session, conversation, "reply_sent", now)
    answered_by(session, conversation, user, now)
    change_status(session, conversation, then, now)
    place(session, [conversation], active_policy(session), now)
    tell_vendor(session, conversation, now, status=True)
    nudge(session, "deliver")
    return message


def answerable(session: Session, conversation: Conversation) -> Message | None:
    """The message that a reply answers now: the customer's newest on the channel by which it goes that is
    still there, never a bounce; None where there is none."""
    return session.scalar(
        select(Message)
        .where(
            Message.conversation_id == conversation.id,
            Message.channel_id == conversation.goes_by.id,
            Message.direction == "incoming",
            Message.nature.is_distinct_from("bounce"),
        )
        .order_by(
            Message.deleted_at.is_not(None),
            Message.nature.is_not(None),
            Message.sent_at.desc(),
            Message.id.desc(),
        )
        .limit(1)
    )


def note(
    session: Session,
    conversation: Conversation,
    *,
    user: User,
    text: str,
    now: datetime,
    idempotency_key: str | None = None,
) -> Message:
    """Write something for colleagues only; it satisfies no clock. Raises: Invalid, Conflict."""
    before = _written_before(session, conversation, idempotency_key, text)
    if before is not None:
        return before
    _check_text(text)
    message = Message(
        channel_id=conversation.channel_id,
        conversation_id=conversation.id,
        external_id=f"note:{uuid4().hex}",
        direction="outgoing",
        private=True,
        idempotency_key=idempotency_key,
        user_id=user.id,
        author_name=user.name,
        body=text,
        sent_at=now,
        received_at=now,
    )
    session.add(message)
    conversation.updated_at = conversation.last_message_at = now
    session.flush()
    return message


def take(session: Session, conversation: Conversation, *, user: User, now: datetime) -> None:
    """Make it one's own. Raises: Conflict where a colleague has it."""
    if conversation.owner_id == user.id:
        accept(session, conversation, now)
        return
    if conversation.owner_id is not None:
        owner = session.get_one(User, conversation.owner_id)
        raise Conflict(f"{owner.name} has this conversation")
    own(session, conversation, user, now, how="taken", reasons=["took it"])
    add_activity(session, conversation, f"{user.name} took it", user, now)


def release(
    session: Session, conversation: Conversation, *, user: User | None, now: datetime, why: str = ""
) -> None:
    """Give it back to the queue, at its place."""
    if conversation.owner_id is None:
        return
    disown(session, conversation, now, "away" if user is None else "released")
    add_activity(
        session,
        conversation,
        f"Given back: {why}" if user is None else f"{user.name} gave it back",
        user,
        now,
    )


def set_priority(
    session: Session,
    conversation: Conversation,
    priority: str,
    *,
    user: User | None,
    now: datetime,
    who: str = BY_ITSELF,
) -> None:
    """Give it a priority; its promises and weight follow at once. Raises: Invalid for one that is none.

    `who` is what the thread says did it, where it was no user.
    """
    if priority not in URGENCIES:
        raise Invalid(f"priority {priority!r} is none of {', '.join(URGENCIES)}", field="priority")
    before = conversation.priority
    if priority == before:
        return
    conversation.priority = priority
    active = active_policy(session)
    place(session, [conversation], active, now)
    told = f"{user.name if user else who}: {before} → {priority} priority"
    add_activity(session, conversation, told, user, now)
    happened(session, conversation, "priority_changed", now, before=before, active=active)


def set_status(
    session: Session,
    conversation: Conversation,
    status: str,
    *,
    user: User | None,
    now: datetime,
    snoozed_until: datetime | None = None,
    who: str = BY_ITSELF,
) -> None:
    """Change the status. Raises: Invalid for a status that is none, Conflict where it cannot come next.

    `who` is what the thread says did it, where it was no user.
    """
    if status not in SETTABLE:
        raise Invalid(f"status {status!r} is none of {', '.join(SETTABLE)}", field="status")
    if snoozed_until is not None and snoozed_until - now > LONGEST_SNOOZE:
        raise Invalid("a snooze is a year long at most", field="snoozed_until")
    before = conversation.status
    if status == before and status != "snoozed":
        return
    if user is not None and conversation.owner_id == user.id:
        accept(session, conversation, now)
    change_status(session, conversation, status, now, snoozed_until)
    place(session, [conversation], active_policy(session), now)
    told = f"{user.name if user else who}: {_words(before)} → {_words(status)}"
    add_activity(session, conversation, told, user, now)
    tell_vendor(session, conversation, now, status=True)


def answer_by(
    session: Session, conversation: Conversation, channel: str, *, user: User, now: datetime
) -> None:
    """Answer by another channel from now on, until the customer writes by yet another.

    Its promises become those of that channel at once, and keep the time elapsed. Raises: Conflict where it is
    closed, Invalid where the customer cannot be reached by that channel.
    """
    if channel == conversation.goes_by.name:
        return
    if conversation.status == "closed":
        raise Conflict("a closed conversation stays as it is")
    ways = [each.channel for each in ways_to(session, conversation)]
    found = next((each for each in ways if each.name == channel), None)
    if found is None:
        known = ", ".join(each.name for each in ways)
        raise Invalid(f"the customer can be answered by {known}, not by {channel!r}", field="channel")
    turn_to(conversation, found)
    session.flush()
    place(session, [conversation], active_policy(session), now)
    add_activity(session, conversation, f"{user.name}: answers go by {found.name} now", user, now)


def _written_before(
    session: Session, conversation: Conversation, idempotency_key: str | None, text: str
) -> Message | None:
    if not idempotency_key:
        return None
    before = session.scalar(select(Message).where(Message.idempotency_key == idempotency_key))
    if before is not None and (before.conversation_id != conversation.id or before.body != text):
        raise Conflict("this idempotency key was used for another text", field="idempotency_key")
    return before


def add_activity(
    session: Session, conversation: Conversation, text: str, user: User | None, now: datetime
) -> None:
    """Write a line into the thread that says what happened, by whom; None: by the hub itself."""
    session.add(
        Message(
            channel_id=conversation.channel_id,
            conversation_id=conversation.id,
            external_id=f"activity:{uuid4().hex}",
            direction="activity",
            private=True,
            automatic=True,
            user_id=user.id if user else None,
            body=text,
            sent_at=now,
            received_at=now,
        )
    )


def _check_text(text: str) -> None:
    if not text.strip():
        raise Invalid("the text is empty", field="text")
    if "\0" in text:
        raise Invalid("the text holds NUL characters", field="text")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid("the text holds half characters", field="text")


def _words(status: str) -> str:
    return status.replace("_", " ")
