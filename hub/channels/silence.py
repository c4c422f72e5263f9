"""Noticing that a channel has fallen silent: what `rhythm` says, kept with the channel and told once."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub import log
from hub.channels.models import Channel
from hub.channels.rhythm import WEEKS, is_silent, usual_silences
from hub.clock import utcnow
from hub.conversations.models import Message
from hub.runtime import Hub

logger = log.get(__name__)
LEARN_EVERY = timedelta(hours=6)


def listen_for_silence(hub: Hub) -> int:
    """One look at every channel that works. Nothing is left to do after it."""
    now = utcnow()
    with hub.database.reading() as session:
        stale = _stale(session, now)
        # Read before anything is locked: it is much.
        rhythms = _rhythms(session, stale, now) if stale else {}
    with hub.database.session() as session:
        for channel in session.scalars(
            select(Channel).where(Channel.paused_at.is_(None)).order_by(Channel.id).with_for_update()
        ):
            if channel.id in rhythms:
                channel.rhythm, channel.rhythm_at = rhythms[channel.id], now
            _look(channel, now)
    return 0


def _look(channel: Channel, now: datetime) -> None:
    last = channel.last_received_at
    if channel.silent_since is not None and last is not None and last > channel.silent_since:
        logger.info("channel_speaks_again", channel=channel.name)
        channel.silent_since = None
    # Once noticed, it stays until something comes: a quiet night mends nothing.
    if channel.silent_since is not None or last is None or not channel.rhythm:
        return
    if is_silent(channel.rhythm, last, now):
        channel.silent_since = last
        logger.warning("channel_silent", channel=channel.name, since=last.isoformat())


def _stale(session: Session, now: datetime) -> list[int]:
    """Channels whose rhythm was never learnt, or long ago; a silent one has nothing new to teach."""
    return [
        channel.id
        for channel in session.scalars(select(Channel).where(Channel.silent_since.is_(None)))
        if channel.rhythm_at is None or channel.rhythm_at < now - LEARN_EVERY
    ]


def _rhythms(session: Session, channel_ids: list[int], now: datetime) -> dict[int, list[float | None]]:
    moments = defaultdict[int, list[datetime]](list)
    rows = session.execute(
        select(Message.channel_id, Message.sent_at)
        .where(Message.sent_at > now - WEEKS, Message.direction == "incoming")
        .order_by(Message.sent_at)
        .execution_options(yield_per=10_000)
    )
    for channel_id, sent_at in rows:
        moments[channel_id].append(sent_at)
    return {channel_id: list(usual_silences(moments[channel_id])) for channel_id in channel_ids}
