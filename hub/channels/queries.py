"""Reading channels: how each line is, without its secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message
from hub.errors import NotFound
from hub.inbox.models import Receipt, Reject

DAY = timedelta(hours=24)
Health = Literal["ok", "failing", "off"]
# The setting without which a connector has nowhere to send a reply to.
_REPLIES_TO = {"files": "outbox", "webhook": "reply_url"}


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """A channel and how it is.

    `failing` while the last thing that happened to it was an error, `off` while it is paused; `detail` says
    which. Counts: messages that came in 24 hours, requests kept but not read yet, replies by what became of
    them, rejects, and conversations that wait for an answer.
    """

    channel: Channel
    health: Health
    detail: str
    replies: bool
    received_today: int
    unread: int
    pending: int
    failed: int
    unknown: int
    rejects: int
    waiting: int


def list_channels(session: Session, now: datetime) -> list[ChannelHealth]:
    """All channels by name."""
    # One look into the index a channel, where grouping would read all messages.
    came = (
        select(func.count())
        .where(
            Message.channel_id == Channel.id,
            Message.direction == "incoming",
            Message.received_at > now - DAY,
        )
        .scalar_subquery()
    )
    unread = _counts(
        session,
        select(Receipt.channel_id, func.count()).where(Receipt.processed_at.is_(None)),
        Receipt.channel_id,
    )
    rejects = _counts(session, select(Reject.channel_id, func.count()), Reject.channel_id)
    waiting = _counts(
        session,
        select(Conversation.channel_id, func.count()).where(Conversation.reply_by.is_not(None)),
        Conversation.channel_id,
    )
    replies = _replies(session)
    return [
        ChannelHealth(
            channel,
            *_health(channel),
            replies=_REPLIES_TO.get(channel.connector, "") in channel.config,
            received_today=today,
            unread=unread.get(channel.id, 0),
            pending=replies.get((channel.id, "pending"), 0) + replies.get((channel.id, "sending"), 0),
            failed=replies.get((channel.id, "failed"), 0),
            unknown=replies.get((channel.id, "unknown"), 0),
            rejects=rejects.get(channel.id, 0),
            waiting=waiting.get(channel.id, 0),
        )
        for channel, today in session.execute(select(Channel, came).order_by(Channel.name))
    ]


def find_shown(session: Session, channel_id: int, now: datetime) -> ChannelHealth:
    """One channel and how it is. Raises: NotFound."""
    for each in list_channels(session, now):
        if each.channel.id == channel_id:
            return each
    raise NotFound(f"no channel {channel_id}")


def _health(channel: Channel) -> tuple[Health, str]:
    if channel.paused_at is not None:
        return "off", "Paused: what comes in is kept, nothing is read or sent."
    worked = [at for at in (channel.last_sent_at, channel.last_received_at) if at is not None]
    if channel.last_error_at is not None and channel.last_error_at > max(worked, default=channel.created_at):
        return "failing", channel.last_error or "The last try failed."
    return "ok", ""


def _counts(session: Session, query: Select[int, int], column: Any) -> dict[int, int]:
    return dict(session.execute(query.group_by(column)).all())


def _replies(session: Session) -> dict[tuple[int, str], int]:
    rows: Sequence[Any] = session.execute(
        select(Message.channel_id, Message.delivery, func.count())
        .where(Message.delivery.in_(("pending", "sending", "failed", "unknown")))
        .group_by(Message.channel_id, Message.delivery)
    ).all()
    return {(channel_id, delivery): count for channel_id, delivery, count in rows}
