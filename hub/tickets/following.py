"""Following what a vendor says of a ticket: its status and its tags become those of the conversation.

What comes back of our own changes says nothing new, so that nothing goes round in circles.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Annotation
from hub.channels.models import Channel
from hub.conversations.clocks import change_status
from hub.conversations.models import Conversation
from hub.conversations.service import add_activity
from hub.conversations.tags import normal_tags, put_tags, told_tags
from hub.errors import Conflict
from hub.policies.service import active_policy
from hub.queue.service import FOR_PLACING, place
from hub.tickets.models import Ticket
from hub.tickets.service import review, shared, ticket_of


def conversation_ids(session: Session, channel_id: int, annotations: Sequence[Annotation]) -> set[int]:
    """The conversations that these speak of, to be locked."""
    keys = sorted({each.thread_key for each in annotations})
    query = select(Conversation.id).where(
        Conversation.channel_id == channel_id, Conversation.thread_key.in_(keys)
    )
    return set(session.scalars(query)) if keys else set()


def follow(session: Session, channel: Channel, annotation: Annotation, now: datetime) -> bool | None:
    """Whether it said anything new; None where nobody here knows the thread. Its conversations are locked."""
    conversations = session.scalars(
        select(Conversation)
        .where(Conversation.channel_id == channel.id, Conversation.thread_key == annotation.thread_key)
        .options(*FOR_PLACING)
        .order_by(Conversation.id)
    ).all()
    if not conversations:
        return None
    ticket = ticket_of(session, channel.id, annotation.thread_key)
    changed = take(session, channel, ticket, conversations, annotation, now)
    review(ticket, conversations, now)
    return changed


def take(
    session: Session,
    channel: Channel,
    ticket: Ticket,
    conversations: Sequence[Conversation],
    annotation: Annotation,
    now: datetime,
) -> bool:
    """Follow what is new in it, and remember it as what the vendor has."""
    if ticket.changed_at and annotation.changed_at and annotation.changed_at < ticket.changed_at:
        # Read before a change of ours, and stored after it.
        return False
    changed = _take_tags(session, channel, ticket, conversations, annotation, now)
    changed |= _take_status(session, channel, ticket, conversations, annotation, now)
    ticket.changed_at = annotation.changed_at or ticket.changed_at
    return changed


def _take_tags(
    session: Session,
    channel: Channel,
    ticket: Ticket,
    conversations: Sequence[Conversation],
    annotation: Annotation,
    now: datetime,
) -> bool:
    if annotation.tags is None:
        return False
    told = ticket.telling or {}
    theirs, known = set(normal_tags(annotation.tags)), set(ticket.tags or ())
    came = theirs - known - set(told.get("add_tags", ()))
    went = known - theirs - set(told.get("remove_tags", ()))
    ticket.tags = sorted(theirs)
    changed = False
    for conversation in conversations:
        fresh = conversation.id > ticket.newest_id
        added, removed = put_tags(session, conversation, theirs if fresh else came, went, now)
        if (added or removed) and not fresh:
            add_activity(session, conversation, f"At {channel.name}: {told_tags(added, removed)}", None, now)
        changed |= bool(added or removed)
        ticket.newest_id = max(ticket.newest_id, conversation.id)
    return changed


def _take_status(
    session: Session,
    channel: Channel,
    ticket: Ticket,
    conversations: Sequence[Conversation],
    annotation: Annotation,
    now: datetime,
) -> bool:
    theirs, known, first = shared(annotation.status), shared(ticket.status), ticket.status is None
    if theirs is None:
        return False
    ticket.status = annotation.status
    if ticket.telling is not None and theirs == ticket.telling.get("status"):
        if ticket.lease is None:
            # It had arrived after all, or somebody there has done the same.
            ticket.telling = {**ticket.telling, "status": None}
        return False
    if theirs == known:
        return False
    set_at, at = ticket.status_set_at, annotation.changed_at
    if set_at is not None and (at is None or at <= set_at):
        # Somebody here has changed it since, which the vendor is still to be told.
        return False
    ticket.status_set_at = None
    followed = [each for each in conversations if _set_status(session, channel, each, theirs, first, now)]
    place(session, followed, active_policy(session), now)
    return bool(followed)


def _set_status(
    session: Session, channel: Channel, conversation: Conversation, status: str, first: bool, now: datetime
) -> bool:
    before = conversation.status
    if shared(before) == status:
        return False
    try:
        change_status(session, conversation, status, now)
    except Conflict:
        # What is closed here stays closed.
        return False
    if not (first and before == "new"):
        words = f"{before} → {status}".replace("_", " ")
        add_activity(session, conversation, f"At {channel.name}: {words}", None, now)
    conversation.updated_at = now
    return True
