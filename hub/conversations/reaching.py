"""By which channels a customer can be answered, and what a reply needs to go by another than before.

A conversation goes on where its customer wrote last, until somebody answers by another channel. Its promises
are then those of the new channel, and count from when they began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Identity
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.conversations.models import Conversation, Message
from hub.customers.models import CustomerIdentity


@dataclass(frozen=True, slots=True)
class Way:
    """A channel by which a customer can be answered; `to` where no message of theirs came by it yet."""

    channel: Channel
    to: Identity | None = None


def ways_to(session: Session, conversation: Conversation) -> Sequence[Way]:
    """Every way, the one in use first: where they wrote in this conversation, and by mail where an address is
    known."""
    written = (
        select(Message.channel_id, func.max(Message.sent_at))
        .where(
            Message.conversation_id == conversation.id,
            Message.direction == "incoming",
            Message.nature.is_distinct_from("bounce"),
        )
        .group_by(Message.channel_id)
    )
    written_by = {channel_id for channel_id, _ in session.execute(written)}
    address = session.scalar(
        select(CustomerIdentity.value)
        .where(CustomerIdentity.customer_id == conversation.customer_id, CustomerIdentity.kind == "email")
        .order_by(CustomerIdentity.id)
        .limit(1)
    )
    now = conversation.goes_by
    found = [Way(now, None if now.id in written_by else _by_mail(now, address))]
    for channel in session.scalars(select(Channel).where(Channel.id != now.id).order_by(Channel.name)):
        if channel.id in written_by:
            found.append(Way(channel))
        elif (to := _by_mail(channel, address)) is not None and _replies(channel):
            found.append(Way(channel, to))
    return found


def turn_to(conversation: Conversation, channel: Channel) -> None:
    """Have it go on by this channel."""
    conversation.via = None if channel.id == conversation.channel_id else channel


def follow_customer(session: Session, conversation: Conversation, message: Message) -> None:
    """The customer's newest message came by this channel, and expects its answer there."""
    if message.channel_id != (conversation.via_id or conversation.channel_id):
        turn_to(conversation, session.get_one(Channel, message.channel_id))


def recipient(session: Session, conversation: Conversation) -> Mapping[str, Any] | None:
    """To whom the first reply by a channel goes by which the customer never wrote; None where they did."""
    to = ways_to(session, conversation)[0].to
    return {"kind": to.kind, "value": to.value, "place": to.place} if to is not None else None


def thread_key_of(session: Session, conversation: Conversation, channel_id: int) -> str | None:
    """The vendor's key of the thread by which it goes on on a channel: its own, or of what was merged into
    it; None where there is none."""
    if channel_id == conversation.channel_id:
        return conversation.thread_key
    into = [conversation.id]
    while into:
        merged = session.execute(
            select(Conversation.id, Conversation.channel_id, Conversation.thread_key)
            .where(Conversation.merged_into_id.in_(into))
            .order_by(Conversation.last_message_at.desc())
        ).all()
        for _, came_by, key in merged:
            if came_by == channel_id and key is not None:
                return key
        into = [each.id for each in merged]
    return None


def _by_mail(channel: Channel, address: str | None) -> Identity | None:
    return Identity("email", address) if channel.kind == "mail" and address is not None else None


def _replies(channel: Channel) -> bool:
    try:
        connector = open_connector(channel)
    except Exception:
        # Settings that cannot be used are told on the page of channels.
        return False
    try:
        return connector.replies
    finally:
        connector.close()
