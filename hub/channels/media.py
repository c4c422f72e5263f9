"""Fetching the pictures and films that a vendor named by their addresses, each kept like any attachment.

Claim some of one channel, ask its connector with no transaction open, keep each as it comes. It may be done
twice and means the same: contents are known by what they are. Whose address it may be, the connector knows
(`connectors.media`); this asks nobody by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from connectors.base import AuthExpired, Connector, Media, Refused, RetryLater
from hub import log
from hub.backoff import pause_seconds
from hub.channels.fetching import close
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.channels.trouble import SIGN_IN_SECONDS, scrubbed, trouble_of
from hub.clock import utcnow
from hub.conversations.attachments import content_type
from hub.conversations.models import Attachment, Conversation, Message
from hub.runtime import Hub

logger = log.get(__name__)
AT_ONCE = 5
# Longer than so many files can take; whoever dies meanwhile is followed by another after that.
LEASE_SECONDS = 900.0
# With the pauses between them about an hour; then a person may ask for it again.
TRIES = 12


@dataclass(frozen=True, slots=True)
class _Claimed:
    attachment_id: int
    url: str
    tries: int
    until: datetime


def fetch_media(hub: Hub) -> int:
    """Fetch some files that are due, of the channel that has the newest; how many were tried."""
    now = utcnow()
    with hub.database.reading() as session:
        if session.scalar(_due(now).limit(1)) is None:
            return 0
    with hub.database.session() as session:
        channel, claimed = _claim(session, now)
    if channel is None:
        return 0
    connector: Connector | None = None
    try:
        for number, each in enumerate(claimed, 1):
            media: Media | None = None
            error: Exception | None = None
            try:
                connector = connector or open_connector(channel)
                media = connector.download(each.url, hub.files.max_bytes)
            except Exception as failed:
                error = failed
            if media is not None:
                _keep(hub, each, media)
                continue
            assert error is not None
            later = _failed(hub, channel, each, error)
            if later is not None:
                _put_off(hub, channel, claimed[number:], later)
                return number
    finally:
        if connector is not None:
            close(connector, channel.name)
    return len(claimed)


def _due(now: datetime) -> Select[Attachment, int]:
    """What came last comes first: of history it was due when it was sent."""
    return (
        select(Attachment, Message.channel_id)
        .join(Message, Message.id == Attachment.message_id)
        .where(
            Attachment.fetch_at.is_not(None),
            Attachment.fetch_at <= now,
            Message.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))),
        )
        .order_by(Attachment.fetch_at.desc(), Attachment.id)
    )


def _claim(session: Session, now: datetime) -> tuple[Channel | None, list[_Claimed]]:
    newest = session.execute(_due(now).limit(1)).first()
    if newest is None:
        return None, []
    channel = session.get_one(Channel, newest[1])
    found = session.scalars(
        _due(now)
        .where(Message.channel_id == channel.id)
        .limit(AT_ONCE)
        .with_for_update(of=Attachment, skip_locked=True)
    ).all()
    until = now + timedelta(seconds=LEASE_SECONDS)
    for row in found:
        row.fetch_at, row.fetch_tries = until, row.fetch_tries + 1
    return channel, [_Claimed(row.id, row.url or "", row.fetch_tries, until) for row in found]


def _keep(hub: Hub, claimed: _Claimed, media: Media) -> None:
    digest = hub.files.put(media.content)
    with hub.database.session() as session:
        # Its message may be gone by now; the file is then swept away.
        row = session.get(Attachment, claimed.attachment_id)
        if row is None:
            return
        row.sha256, row.size_bytes = digest, len(media.content)
        row.content_type = content_type(media.content_type) or row.content_type
        row.fetch_at = row.fetch_error = None
        _show(session, row, utcnow())


def _failed(hub: Hub, channel: Channel, claimed: _Claimed, error: Exception) -> datetime | None:
    """Write down why, and when it is tried again; that time too where it holds for the whole channel."""
    now = utcnow()
    again: datetime | None = None
    everybody = False
    if isinstance(error, Refused):
        told = scrubbed(str(error), channel.secrets)
    else:
        told = trouble_of(error, claimed.tries, channel).error
        asked = (error.after_seconds or 0.0) if isinstance(error, RetryLater) else 0.0
        signed_out = isinstance(error, AuthExpired)
        pause = SIGN_IN_SECONDS if signed_out else pause_seconds(claimed.tries, asked)
        again = now + timedelta(seconds=pause) if claimed.tries < TRIES else None
        everybody = signed_out or (isinstance(error, RetryLater) and error.status == 429)
    with hub.database.session() as session:
        row = session.get(Attachment, claimed.attachment_id)
        if row is not None and row.fetch_at == claimed.until:
            row.fetch_at, row.fetch_error = again, told
            _show(session, row, now)
    logger.info("media_failed", channel=channel.name, attachment_id=claimed.attachment_id, again_at=again)
    return again if everybody else None


def _put_off(hub: Hub, channel: Channel, claimed: list[_Claimed], until: datetime) -> None:
    """The vendor wants to be left alone: all files of the channel wait that would be asked for sooner."""
    of_channel = (
        select(Message.id)
        .where(Message.id == Attachment.message_id, Message.channel_id == channel.id)
        .exists()
    )
    with hub.database.session() as session:
        session.execute(
            update(Attachment)
            .where(
                Attachment.fetch_at.is_not(None),
                Attachment.fetch_at < until,
                of_channel,
            )
            .values(fetch_at=until)
            .execution_options(synchronize_session=False)
        )
        # What was claimed beside it was not tried.
        session.execute(
            update(Attachment)
            .where(Attachment.id.in_([each.attachment_id for each in claimed]))
            .values(fetch_at=until, fetch_tries=Attachment.fetch_tries - 1)
            .execution_options(synchronize_session=False)
        )


def _show(session: Session, row: Attachment, now: datetime) -> None:
    """Have open pages look again."""
    conversation = select(Message.conversation_id).where(Message.id == row.message_id).scalar_subquery()
    session.execute(
        update(Conversation)
        .where(Conversation.id == conversation)
        .values(updated_at=now)
        .execution_options(synchronize_session=False)
    )
