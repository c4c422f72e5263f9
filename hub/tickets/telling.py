"""Telling vendors: claim a ticket with a difference, tell it with no transaction open, store what came of it.

It may be told twice and means the same; what nobody knows the outcome of is told again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from connectors.base import Annotation, Refused, RetryLater
from hub import log
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.channels.trouble import scrubbed, trouble_of
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.queue.service import FOR_PLACING
from hub.runtime import Hub
from hub.tickets.following import take
from hub.tickets.models import Ticket
from hub.tickets.service import Difference, conversations_of, difference, review, ticket_of

logger = log.get(__name__)
# Whoever signs in anew need not wait for long until it is tried.
LONGEST_PAUSE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class _Claim:
    lease: str
    ticket: Ticket
    channel: Channel
    told: Difference
    due_at: datetime | None
    status_set_at: datetime | None


def tell(hub: Hub) -> int:
    """Tell the difference that has been due longest; how many there were."""
    now = utcnow()
    with hub.database.reading() as session:
        if session.scalar(_due(now)) is None:
            return 0
    with hub.database.session() as session:
        claim = _claim(session, now, hub.settings.delivery_lease_seconds)
    if claim is not None:
        _tell(hub, claim)
    return 1


def _due(now: datetime) -> Select[Ticket]:
    return (
        select(Ticket)
        .where(
            Ticket.due_at.is_not(None),
            Ticket.due_at <= now,
            or_(Ticket.leased_until.is_(None), Ticket.leased_until <= now),
            Ticket.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))),
        )
        .order_by(Ticket.due_at, Ticket.id)
        .limit(1)
    )


def _claim(session: Session, now: datetime, lease_seconds: float) -> _Claim | None:
    ticket = session.scalar(_due(now).with_for_update(skip_locked=True))
    if ticket is None:
        return None
    conversations = conversations_of(session, ticket)
    told = difference(ticket, conversations)
    if not told:
        ticket.lease = ticket.leased_until = None
        review(ticket, conversations, now)
        return None
    ticket.lease, ticket.leased_until = uuid4().hex, now + timedelta(seconds=lease_seconds)
    ticket.telling = _with_doubt(ticket, told)
    return _Claim(
        ticket.lease,
        ticket,
        session.get_one(Channel, ticket.channel_id),
        told,
        ticket.due_at,
        ticket.status_set_at,
    )


def _with_doubt(ticket: Ticket, told: Difference) -> dict[str, object]:
    """What is told now covers all tags that were in doubt; a status in doubt stays so until one is told."""
    before = (ticket.telling or {}).get("status")
    return {**asdict(told), "status": told.status or before}


def _tell(hub: Hub, claim: _Claim) -> None:
    kept: Annotation | None = None
    error: Exception | None = None
    try:
        connector = open_connector(claim.channel)
        try:
            kept = connector.annotate(claim.ticket.thread_key, **asdict(claim.told))
        finally:
            connector.close()
    except Exception as failed:
        error = failed
    with hub.database.session() as session:
        _store(session, claim, kept, error, utcnow())


def _store(
    session: Session, claim: _Claim, kept: Annotation | None, error: Exception | None, now: datetime
) -> None:
    # Locked in the order of everybody: channel, conversations, ticket.
    channel = session.get_one(Channel, claim.ticket.channel_id, with_for_update={"key_share": True})
    conversations = session.scalars(
        select(Conversation)
        .where(
            Conversation.channel_id == channel.id,
            Conversation.thread_key == claim.ticket.thread_key,
        )
        .options(*FOR_PLACING)
        .order_by(Conversation.id)
        .with_for_update(of=Conversation)
    ).all()
    ticket = ticket_of(session, channel.id, claim.ticket.thread_key)
    if ticket.lease != claim.lease:
        # Our lease ran out and somebody else took over, who tells it again.
        return
    ticket.lease = ticket.leased_until = None
    if error is not None:
        _failed(ticket, claim, channel, error, now)
    else:
        _told(ticket, claim, now)
        take(
            session,
            channel,
            ticket,
            conversations,
            kept or Annotation(ticket.thread_key, claim.told.status),
            now,
        )
    for conversation in conversations:
        conversation.updated_at = now
    review(ticket, conversations, now)
    logger.info("told", ticket_id=ticket.id, trouble=ticket.trouble, failures=ticket.failures)


def _told(ticket: Ticket, claim: _Claim, now: datetime) -> None:
    """The vendor has it. What it says beyond is its own doing, and is followed."""
    told = claim.told
    ticket.tags = sorted((set(ticket.tags or ()) | set(told.add_tags)) - set(told.remove_tags))
    if told.status is not None and ticket.status_set_at is not None:
        ticket.status = told.status
    if ticket.status_set_at == claim.status_set_at:
        ticket.status_set_at = None
    ticket.due_at = ticket.telling = ticket.trouble = ticket.error = ticket.error_at = None
    ticket.failures, ticket.told_at = 0, now


def _failed(ticket: Ticket, claim: _Claim, channel: Channel, error: Exception, now: datetime) -> None:
    ticket.failures += 1
    if isinstance(error, Refused):
        ticket.trouble, ticket.error = "refused", scrubbed(str(error), channel.secrets)
        # Unless something else is to be told since.
        ticket.due_at = None if ticket.due_at == claim.due_at else ticket.due_at
    else:
        trouble = trouble_of(error, ticket.failures, channel)
        ticket.trouble, ticket.error = trouble.kind, trouble.error
        pause = max(min(trouble.pause_seconds, LONGEST_PAUSE_SECONDS), _asked(error))
        ticket.due_at = now + timedelta(seconds=pause)
    ticket.error_at = now


def _asked(error: Exception) -> float:
    """How long the vendor itself wants us to wait."""
    return (error.after_seconds or 0.0) if isinstance(error, RetryLater) else 0.0
