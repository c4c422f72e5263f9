"""Delivering replies: claim, send with no transaction open, store what came of it.

A reply leaves at most once. The vendor's "no" is tried again with back-off. Where nobody can know whether the
vendor has it (a crash, a cut connection), the hub looks; if it cannot see, it says so and waits for a person.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import or_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from connectors.base import (
    AuthExpired,
    Connector,
    ConnectorError,
    Identity,
    OutboundMessage,
    Refused,
    RetryLater,
)
from hub import log
from hub.backoff import pause_seconds
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.clock import utcnow
from hub.conversations.attachments import with_content
from hub.conversations.clocks import reply_failed, reply_stands
from hub.conversations.models import Attachment, Conversation, DeliveryAttempt, Message
from hub.conversations.reaching import thread_key_of
from hub.conversations.service import get_conversation
from hub.database import nudge
from hub.errors import Conflict
from hub.files import FileStore
from hub.inbox.early import follow_early
from hub.policies.service import active_policy
from hub.queue.service import place
from hub.runtime import Hub
from hub.settings import Settings
from hub.tickets.service import tell_vendor

logger = log.get(__name__)
STORE_PAUSE_SECONDS = 0.5
LONGEST_VENDOR_ID = 600
MOST_REFERENCES = 30


@dataclass(frozen=True, slots=True)
class _Claim:
    message_id: int
    attempt_id: int
    interrupted: bool
    leased_until: datetime
    channel: Channel
    outbound: OutboundMessage
    files: FileStore
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: str
    detail: str
    vendor_id: str | None = None
    retry_after_seconds: float | None = None


def deliver(hub: Hub) -> int:
    """Send the reply that has been due longest; how many there were.

    One at a time: in a batch, the lease of the last could run out while the first are sent.
    """
    claim = _claim(hub)
    if claim is None:
        return 0
    _keep(hub, claim, _send(claim))
    return 1


def check_again(session: Session, message: Message, now: datetime) -> None:
    """Look at the vendor's once more whether a reply of unknown outcome arrived. Raises: Conflict."""
    _must_be(message, "unknown")
    # An expired lease on `sending` is what an interrupted try leaves; the worker looks before it sends.
    message.delivery, message.deliver_at, message.leased_until = "sending", now, now
    get_conversation(session, message.conversation_id).updated_at = now
    nudge(session, "deliver")


def mark_sent(session: Session, message: Message, now: datetime) -> None:
    """A person has seen that the customer has it. Raises: Conflict."""
    _must_be(message, "unknown", "failed")
    session.add(
        DeliveryAttempt(
            message_id=message.id, started_at=now, finished_at=now, outcome="sent", detail="marked as sent"
        )
    )
    _decided(session, message, "sent", now)


def send_again(session: Session, message: Message, now: datetime) -> None:
    """A person decided to send once more, under the same idempotency key. Raises: Conflict."""
    _must_be(message, "unknown", "failed")
    if message.delivery == "failed":
        # It is as if it were written now: for the customer it is.
        message.sent_at = now
    message.deliver_at = now
    _decided(session, message, "pending", now)
    nudge(session, "deliver")


def _decided(session: Session, message: Message, delivery: str, now: datetime) -> None:
    """Where it had failed, the customer waits again: this answers them after all."""
    conversation = get_conversation(session, message.conversation_id)
    had_failed = message.delivery == "failed"
    message.delivery, message.leased_until = delivery, None
    conversation.updated_at = now
    if had_failed:
        reply_stands(session, conversation, message, now)
        place(session, [conversation], active_policy(session), now)
        tell_vendor(session, conversation, now, status=True)


def _must_be(message: Message, *states: str) -> None:
    if message.delivery not in states:
        raise Conflict(f"this message is {message.delivery or 'not a reply'}, not {' or '.join(states)}")


def _claim(hub: Hub) -> _Claim | None:
    now = utcnow()
    with hub.database.session() as session:
        message = session.scalar(
            select(Message)
            .where(
                Message.delivery.in_(("pending", "sending")),
                Message.deliver_at <= now,
                or_(Message.leased_until.is_(None), Message.leased_until <= now),
                Message.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))),
            )
            .order_by(Message.deliver_at, Message.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if message is None:
            return None
        interrupted = message.delivery == "sending"
        for attempt in message.attempts:
            if attempt.finished_at is None:
                attempt.finished_at, attempt.outcome = now, "unknown"
                attempt.detail = "interrupted before the vendor's answer was stored"
        attempt = DeliveryAttempt(message_id=message.id, started_at=now)
        session.add(attempt)
        message.delivery = "sending"
        message.leased_until = now + timedelta(seconds=hub.settings.delivery_lease_seconds)
        session.flush()
        conversation = session.get_one(Conversation, message.conversation_id)
        return _Claim(
            message.id,
            attempt.id,
            interrupted,
            message.leased_until,
            message.channel,
            _outbound(session, message, conversation),
            hub.files,
            tuple(message.attachments),
        )


def _outbound(session: Session, message: Message, conversation: Conversation) -> OutboundMessage:
    """The same for every try, whatever the customer writes in between; still without its files."""
    answered = session.get(Message, message.answers_id) if message.answers_id is not None else None
    to = answered.reply_to if answered else message.reply_to
    return OutboundMessage(
        idempotency_key=message.idempotency_key or message.external_id,
        text=message.body,
        author_name=message.author_name or "",
        recipient=Identity(**to) if to else None,
        thread_key=thread_key_of(session, conversation, message.channel_id),
        in_reply_to=answered.external_id if answered else None,
        answered=answered.meta if answered else {},
        references=_references(session, message),
        subject=message.subject,
        created_at=message.received_at,
        automatic=message.automatic,
    )


def _references(session: Session, message: Message) -> tuple[str, ...]:
    """What was said before, by the vendor's ids, oldest first: of a long conversation its first message and
    the newest."""
    rows = session.execute(
        select(Message.external_id, Message.vendor_id, Message.idempotency_key)
        .where(
            Message.conversation_id == message.conversation_id,
            Message.channel_id == message.channel_id,
            Message.id < message.id,
            Message.direction != "activity",
            Message.private.is_(False),
            Message.nature.is_(None),
            or_(Message.delivery.is_(None), Message.delivery == "sent"),
        )
        .order_by(Message.sent_at, Message.id)
    ).all()
    # Ours have an id of the hub's own until the vendor gives them one.
    ids = [row.vendor_id or row.external_id for row in rows if row.vendor_id or row.idempotency_key is None]
    return tuple(ids if len(ids) <= MOST_REFERENCES else [ids[0], *ids[1 - MOST_REFERENCES :]])


def _send(claim: _Claim) -> _Outcome:
    try:
        claim = _with_files(claim)
    except OSError:
        state = "unknown" if claim.interrupted else "failed"
        return _Outcome(state, "a file that goes with it is no longer there")
    try:
        connector = open_connector(claim.channel)
        found = connector.find_sent(claim.outbound) if claim.interrupted else None
    except Exception as error:
        if claim.interrupted:
            return _Outcome("unknown", f"an earlier try was interrupted: {_told(claim, error)}")
        return _Outcome("failed", f"the channel's settings cannot be used: {type(error).__name__}")
    if found is not None:
        return _Outcome("sent", found.detail, vendor_id=found.external_id)
    try:
        sent = connector.send(claim.outbound)
    except RetryLater as error:
        return _Outcome("pending", str(error), retry_after_seconds=error.after_seconds or 0.0)
    except AuthExpired as error:
        return _Outcome("failed", f"the channel's credentials no longer serve: {error}")
    except Refused as error:
        return _Outcome("failed", str(error))
    except Exception as error:
        return _look(claim, connector, _told(claim, error))
    return _Outcome("sent", sent.detail, vendor_id=sent.external_id)


def _with_files(claim: _Claim) -> _Claim:
    files = tuple(with_content(claim.files, each) for each in claim.attachments)
    return replace(claim, outbound=replace(claim.outbound, attachments=files)) if files else claim


def _look(claim: _Claim, connector: Connector, doubt: str) -> _Outcome:
    """Ask the vendor at once. "No" may come too early, as it may still be at it: later it is asked again."""
    try:
        found = connector.find_sent(claim.outbound)
    except Exception:
        return _Outcome("unknown", doubt)
    if found is None:
        return _Outcome("sending", doubt)
    return _Outcome("sent", f"{doubt} {found.detail}", vendor_id=found.external_id)


def _told(claim: _Claim, error: Exception) -> str:
    """What a person reads of an error; one that no connector should raise is logged."""
    if isinstance(error, ConnectorError):
        return str(error)
    logger.error("delivery_crashed", message_id=claim.message_id, exc_info=error)
    return f"the connector failed: {type(error).__name__}"


def _keep(hub: Hub, claim: _Claim, outcome: _Outcome) -> None:
    """Store what came of it. A database that is away is waited for while nobody else may take over."""
    while True:
        try:
            with hub.database.session() as session:
                _store(session, hub.settings, claim, outcome, utcnow())
            return
        except OperationalError:
            if utcnow() >= claim.leased_until:
                raise
            time.sleep(STORE_PAUSE_SECONDS)


def _store(session: Session, settings: Settings, claim: _Claim, outcome: _Outcome, now: datetime) -> None:
    # Locked in the order of everybody: channel, message, conversation.
    channel = session.get_one(Channel, claim.channel.id, with_for_update={"key_share": True})
    message = session.get_one(Message, claim.message_id, with_for_update=True)
    attempt = session.get_one(DeliveryAttempt, claim.attempt_id)
    if attempt.finished_at is not None and not (outcome.state == "sent" and message.delivery == "unknown"):
        # Our lease ran out and somebody else took over: what they store is newer, unless they could not tell.
        return
    conversation = get_conversation(session, message.conversation_id)
    attempt.finished_at, attempt.outcome, attempt.detail = now, outcome.state, outcome.detail
    if outcome.state == "sending":
        attempt.outcome = "unknown"
        if len(message.attempts) < settings.delivery_attempts:
            # It stays claimed; when the lease is over, it is looked for before it is sent.
            return
    message.delivery, message.leased_until = attempt.outcome, None
    tries = sum(1 for _ in takewhile(lambda each: each.outcome == "pending", reversed(message.attempts)))
    if outcome.state == "pending" and tries >= settings.delivery_attempts:
        message.delivery = attempt.outcome = "failed"
    if message.delivery == "pending":
        message.deliver_at = now + timedelta(seconds=pause_seconds(tries, outcome.retry_after_seconds or 0.0))
    else:
        message.deliver_at = None
    if message.delivery == "sent":
        message.vendor_id = (outcome.vendor_id or "")[:LONGEST_VENDOR_ID] or None
        channel.last_sent_at = now
    else:
        channel.last_error, channel.last_error_at = outcome.detail, now
    if message.delivery == "failed":
        # The customer has no answer: the clock goes on from where it was, and somebody must look.
        reply_failed(session, conversation, message, now)
        place(session, [conversation], active_policy(session), now)
        tell_vendor(session, conversation, now, status=True)
    conversation.updated_at = now
    if message.vendor_id is not None:
        # Its bounce may have been quicker than we were.
        follow_early(session, channel.id, message.vendor_id, now)
    logger.info("delivery", message_id=message.id, outcome=message.delivery, tries=tries)
