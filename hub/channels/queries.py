"""Reading channels: how each line is, without its secrets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, and_, func, literal, select, union
from sqlalchemy.orm import Session

from connectors.base import Connector
from connectors.registry import UnknownConnector
from hub.channels.models import Backfill, Channel, Feed
from hub.channels.service import open_connector
from hub.conversations.models import Conversation, Message
from hub.errors import HubError, NotFound
from hub.inbox.models import Receipt, Reject
from hub.tickets.models import Ticket

DAY = timedelta(hours=24)
Health = Literal["ok", "failing", "sign_in", "off"]
# A vendor that says "later" once or twice is nothing to worry about.
FAILURES = 3


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """A channel and how it is.

    `failing` while the last thing that happened to it was an error, `sign_in` while its credentials do not
    serve, `off` while it is paused; `detail` says which. `feeds` are how its messages are got, by mode,
    `backfill` the history that was asked for last,
    `backfills` whether there is any to be had. Counts: messages that came in 24 hours, requests kept but
    not read yet, replies by what became of them, rejects, conversations that wait for an answer, and tickets
    whose change the vendor refused, of which `refused_id` is a conversation. `streaming` is whether its line
    is open; None where it has none.
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
    refused: int
    refused_id: int | None
    streaming: bool | None
    feeds: Mapping[str, Feed]
    backfill: Backfill | None
    backfills: bool

    @property
    def fetched_at(self) -> datetime | None:
        """When it was last asked or listened to with success."""
        heard = (feed.worked_at for mode, feed in self.feeds.items() if mode != "renew" and feed.worked_at)
        return max(heard, default=None)

    @property
    def next_try_at(self) -> datetime | None:
        """When it is fetched next; None where it is paused, being fetched, or not fetched at all."""
        feed = self.feeds.get("fetch")
        return feed.due_at if feed and self.channel.paused_at is None and feed.lease is None else None


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
    refused = _refused(session)
    feeds = _feeds(session)
    backfills = _backfills(session)
    shown = []
    for channel, today in session.execute(select(Channel, came).order_by(Channel.name)):
        connector, wrong = _opened(channel)
        found = ChannelHealth(
            channel,
            *_health(channel, feeds[channel.id], wrong),
            replies=connector is not None and connector.replies,
            received_today=today,
            unread=unread.get(channel.id, 0),
            pending=replies.get((channel.id, "pending"), 0) + replies.get((channel.id, "sending"), 0),
            failed=replies.get((channel.id, "failed"), 0),
            unknown=replies.get((channel.id, "unknown"), 0),
            rejects=rejects.get(channel.id, 0),
            waiting=waiting.get(channel.id, 0),
            refused=refused.get(channel.id, (0, None))[0],
            refused_id=refused.get(channel.id, (0, None))[1],
            streaming=_streaming(feeds[channel.id].get("stream"), now),
            feeds=feeds[channel.id],
            backfill=backfills.get(channel.id),
            backfills=connector is not None and connector.backfills,
        )
        shown.append(found)
    return shown


def find_shown(session: Session, channel_id: int, now: datetime) -> ChannelHealth:
    """One channel and how it is. Raises: NotFound."""
    for each in list_channels(session, now):
        if each.channel.id == channel_id:
            return each
    raise NotFound(f"no channel {channel_id}")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a channel that somebody should know who looks elsewhere."""

    channel: str
    text: str


def list_notices(session: Session) -> list[Notice]:
    """Channels that fell silent or whose credentials do not serve, by name."""
    silent = select(Channel.name, literal(True)).where(Channel.silent_since.is_not(None))
    signed_out = (
        select(Channel.name, literal(False))
        .join(Feed, Feed.channel_id == Channel.id)
        .where(Feed.trouble == "sign_in")
    )
    found = session.execute(
        union(*(query.where(Channel.paused_at.is_(None)) for query in (silent, signed_out)))
    )
    return [
        Notice(name, "is silent for longer than usual" if quiet else "needs somebody to sign in anew")
        for name, quiet in sorted(found.all())
    ]


def _opened(channel: Channel) -> tuple[Connector | None, str]:
    """The channel's connector, or what is wrong with its settings."""
    try:
        return open_connector(channel), ""
    except (HubError, UnknownConnector) as error:
        return None, str(error)


def _health(channel: Channel, feeds: Mapping[str, Feed], wrong: str) -> tuple[Health, str]:
    if channel.paused_at is not None:
        return "off", "Paused: what comes in is kept, nothing is read or sent."
    if wrong:
        return "failing", wrong
    for feed in feeds.values():
        if feed.trouble == "sign_in":
            return "sign_in", feed.error or "The credentials no longer serve."
    for feed in feeds.values():
        if feed.trouble and (feed.trouble != "later" or feed.failures >= FAILURES):
            return "failing", feed.error or "The last try failed."
    worked = [at for at in (channel.last_sent_at, channel.last_received_at) if at is not None]
    if channel.last_error_at is not None and channel.last_error_at > max(worked, default=channel.created_at):
        return "failing", channel.last_error or "The last try failed."
    return "ok", ""


def _feeds(session: Session) -> dict[int, dict[str, Feed]]:
    found = defaultdict[int, dict[str, Feed]](dict)
    for feed in session.scalars(select(Feed).order_by(Feed.mode)):
        found[feed.channel_id][feed.mode] = feed
    return found


def _streaming(feed: Feed | None, now: datetime) -> bool | None:
    if feed is None:
        return None
    # Whoever died holding the line has not said that it is open no more.
    return feed.opened_at is not None and feed.leased_until is not None and feed.leased_until > now


def _refused(session: Session) -> dict[int, tuple[int, int | None]]:
    """How many tickets of a channel have a change that its vendor refused, and a conversation of one."""
    rows = session.execute(
        select(Ticket.channel_id, func.count(Ticket.id.distinct()), func.min(Conversation.id))
        .outerjoin(
            Conversation,
            and_(Conversation.channel_id == Ticket.channel_id, Conversation.thread_key == Ticket.thread_key),
        )
        .where(Ticket.trouble == "refused")
        .group_by(Ticket.channel_id)
    )
    return {channel_id: (count, first) for channel_id, count, first in rows}


def _backfills(session: Session) -> dict[int, Backfill]:
    latest = select(func.max(Backfill.id)).group_by(Backfill.channel_id)
    return {
        each.channel_id: each for each in session.scalars(select(Backfill).where(Backfill.id.in_(latest)))
    }


def _counts(session: Session, query: Select[int, int], column: Any) -> dict[int, int]:
    return dict(session.execute(query.group_by(column)).all())


def _replies(session: Session) -> dict[tuple[int, str], int]:
    rows: Sequence[Any] = session.execute(
        select(Message.channel_id, Message.delivery, func.count())
        .where(Message.delivery.in_(("pending", "sending", "failed", "unknown")))
        .group_by(Message.channel_id, Message.delivery)
    ).all()
    return {(channel_id, delivery): count for channel_id, delivery, count in rows}
