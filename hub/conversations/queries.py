"""Reading conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from hub.conversations.models import Conversation, ConversationTag, Message, Promise, Tag
from hub.conversations.tags import normal_tags
from hub.customers.models import Customer, CustomerIdentity
from hub.errors import Invalid, NotFound
from hub.learning.models import Correction
from hub.paging import Page, after, page
from hub.queue.queries import SHOWN
from hub.tickets.models import Ticket
from hub.tickets.service import find_ticket

VIEWS = ("all", "open", "mine", "solved", "listening")


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation with everything that was said in it, oldest first, every promise, newest first, and
    what its vendor keeps of it."""

    conversation: Conversation
    messages: Sequence[Message]
    promises: Sequence[Promise]
    ticket: Ticket | None


def find_thread(session: Session, conversation_id: int) -> Thread:
    """Everything about one conversation. Raises: NotFound."""
    conversation = session.scalar(
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .options(*SHOWN, joinedload(Conversation.customer).selectinload(Customer.identities))
    )
    if conversation is None:
        raise NotFound(f"no conversation {conversation_id}")
    messages = session.scalars(
        select(Message)
        .where(Message.conversation_id == conversation_id)
        .options(
            joinedload(Message.analysis),
            joinedload(Message.channel),
            selectinload(Message.attempts),
            selectinload(Message.attachments),
            selectinload(Message.versions),
            selectinload(Message.corrections).joinedload(Correction.user),
        )
        .order_by(Message.sent_at, Message.id)
    ).all()
    promises = session.scalars(
        select(Promise).where(Promise.conversation_id == conversation_id).order_by(Promise.started_at.desc())
    ).all()
    return Thread(conversation, messages, promises, find_ticket(session, conversation))


def list_conversations(
    session: Session,
    *,
    view: str = "all",
    user_id: int | None = None,
    search: str = "",
    tag: str = "",
    customer_id: int | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Conversation]:
    """Conversations, the one with the newest message first; what was only overheard is a view of its own.

    Raises: Invalid.
    """
    if view not in VIEWS:
        raise Invalid(f"view {view!r} is none of {', '.join(VIEWS)}", field="view")
    query = select(Conversation).options(*SHOWN)
    query = query.where(Conversation.listening.is_(view == "listening"))
    if view == "open":
        query = query.where(Conversation.status.not_in(("solved", "closed")))
    elif view == "mine":
        query = query.where(Conversation.owner_id == user_id)
    elif view == "solved":
        query = query.where(Conversation.status.in_(("solved", "closed")))
    if customer_id is not None:
        query = query.where(Conversation.customer_id == customer_id)
    if tag.strip():
        named = select(ConversationTag.conversation_id).join(Tag, Tag.id == ConversationTag.tag_id)
        query = query.where(Conversation.id.in_(named.where(Tag.name.in_(normal_tags([tag])))))
    if words := search.strip():
        query = _searched(query, words)
    query = after(
        query, (Conversation.last_message_at, Conversation.id), (datetime, int), cursor, descending=True
    )
    return page(
        session.scalars(query.limit(limit + 1)).all(), limit, lambda each: (each.last_message_at, each.id)
    )


def find_message(session: Session, message_id: int) -> Message:
    """One message, locked until this transaction ends. Raises: NotFound."""
    message = session.scalar(select(Message).where(Message.id == message_id).with_for_update())
    if message is None:
        raise NotFound(f"no message {message_id}")
    return message


def find_analysed(session: Session, message_id: int) -> Message:
    """One message with its analysis. Raises: NotFound, also where no model has read it yet."""
    message = session.get(Message, message_id, options=[joinedload(Message.analysis)])
    if message is None:
        raise NotFound(f"no message {message_id}")
    if message.analysis is None:
        raise NotFound(f"message {message_id} has no analysis")
    return message


def _searched(query: Select[Conversation], words: str) -> Select[Conversation]:
    """Those whose subject, customer or any message holds all of `words` as they stand."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%"
    by_identity = select(CustomerIdentity.customer_id).where(
        CustomerIdentity.value == words.lstrip("@").lower()
    )
    said = select(Message.conversation_id).where(Message.body.ilike(pattern, escape="\\"))
    named = select(Customer.id).where(Customer.name.ilike(pattern, escape="\\"))
    return query.where(
        or_(
            Conversation.subject.ilike(pattern, escape="\\"),
            Conversation.customer_id.in_(by_identity),
            Conversation.customer_id.in_(named),
            Conversation.id.in_(said),
        )
    )
