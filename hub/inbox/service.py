"""Receiving: find or make customer and conversation, store the message, move the cursor; one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from connectors.base import Author, Batch, InboundMessage, Rejected
from hub.channels.models import Channel
from hub.conversations.clocks import message_came
from hub.conversations.models import Conversation, Message
from hub.customers.identities import resolve_authors
from hub.customers.models import Customer
from hub.database import nudge
from hub.inbox.models import Reject
from hub.inbox.storable import raw, unstorable
from hub.inbox.threads import Threads, messages_named
from hub.paging import LARGEST
from hub.policies.service import active_policy
from hub.queue.service import place

TRIES = 5


@dataclass(slots=True)
class Received:
    """What became of a batch."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0

    def add(self, other: Received) -> None:
        """Count `other` in."""
        self.received += other.received
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.rejected += other.rejected


def receive(session: Session, channel_id: int, batch: Batch, now: datetime) -> Received:
    """Store a batch and its cursor; what is known is left alone, what cannot be stored becomes a reject."""
    # One receiver a channel at a time: what is a duplicate is then a question with one answer.
    # Not locked so far that a reply, which refers to the channel, would have to wait.
    channel = session.get_one(Channel, channel_id, with_for_update={"key_share": True})
    result = Received(received=len(batch.items))
    messages: list[InboundMessage] = []
    for item in batch.items:
        problem = item if isinstance(item, Rejected) else unstorable(item, now)
        if problem is not None:
            keep_reject(session, channel, problem, now)
            result.rejected += 1
        elif isinstance(item, InboundMessage):
            messages.append(_of_channel(item, channel))

    fresh = _without_known(session, channel, messages)
    result.duplicates = len(messages) - len(fresh)
    for start in range(0, len(fresh), 500):
        unmatched = _store(session, channel, fresh[start : start + 500], now)
        result.rejected += unmatched
        result.stored += len(fresh[start : start + 500]) - unmatched
    if batch.cursor is not None:
        channel.cursor = dict(batch.cursor)
    if result.stored:
        channel.last_received_at = now
        nudge(session, "analyse")
    return result


def keep_reject(session: Session, channel: Channel, rejected: Rejected, now: datetime) -> None:
    """Keep a record that cannot be read; the same one from the same place only once."""
    digest = sha256(rejected.raw + b"\0" + rejected.where.encode(errors="replace")).hexdigest()
    known = select(Reject.id).where(Reject.channel_id == channel.id, Reject.digest == digest)
    if session.scalar(known) is None:
        session.add(
            Reject(
                channel_id=channel.id,
                digest=digest,
                source=_clean(rejected.where)[:1000],
                reason=rejected.reason,
                detail=_clean(rejected.detail),
                raw=rejected.raw,
                created_at=now,
            )
        )
        session.flush()


def known_ids(session: Session, channel_id: int, ids: Sequence[str]) -> set[str]:
    """Which of these external ids the channel has, replies that we sent ourselves included."""
    return {name for name, _ in messages_named(session, channel_id, ids)}


def _without_known(
    session: Session, channel: Channel, messages: Sequence[InboundMessage]
) -> list[InboundMessage]:
    known = known_ids(session, channel.id, [message.external_id for message in messages])
    fresh = []
    for message in messages:
        if message.external_id not in known:
            known.add(message.external_id)
            fresh.append(message)
    return fresh


def _store(session: Session, channel: Channel, fresh: Sequence[InboundMessage], now: datetime) -> int:
    """Store new messages; how many of the brand's own answer nothing that is known, and became rejects."""
    # As they were written: what is answered comes before its answer.
    fresh = sorted(fresh, key=lambda item: item.sent_at or now)
    theirs = [item for item in fresh if item.incoming and item.author is not None]
    customers = dict(
        zip(
            (item.external_id for item in theirs),
            _authors(session, [item.author for item in theirs], now),
            strict=True,
        )
    )
    threads = Threads(session, channel, fresh, set(customers.values()), now)
    unmatched = 0
    stored: list[tuple[Conversation, Message]] = []
    for item in fresh:
        conversation = threads.find(item, customers.get(item.external_id))
        if conversation is None:
            detail = "the brand's own message answers no conversation that is known"
            keep_reject(
                session, channel, Rejected(raw(item), "answers_nothing", detail, item.external_id), now
            )
            unmatched += 1
            continue
        threads.remember(item, conversation)
        stored.append((conversation, _message(channel, item, now)))
    session.flush()
    for conversation, message in stored:
        message.conversation_id = conversation.id
        session.add(message)
    session.flush()
    for conversation, message in stored:
        newest = conversation.newest_message
        if message.direction == "incoming" and (newest is None or newest.sent_at <= message.sent_at):
            conversation.newest_message = message
        conversation.last_message_at = max(conversation.last_message_at, message.sent_at)
        message_came(session, conversation, message, now)
    session.flush()
    # In the queue at once, by value alone; the mood refines the place when the model has read it.
    touched = {conversation.id: conversation for conversation, _ in stored}
    place(session, [touched[each] for each in sorted(touched)], active_policy(session), now)
    return unmatched


def _authors(session: Session, authors: Sequence[Author | None], now: datetime) -> list[Customer]:
    for _ in range(TRIES):
        try:
            with session.begin_nested():
                return resolve_authors(session, authors, now)
        except (IntegrityError, OperationalError) as error:
            # Another channel, or an import, met one of them for the first time just now: look again.
            lost = error
    raise lost


def _message(channel: Channel, item: InboundMessage, now: datetime) -> Message:
    meta: dict[str, Any] = dict(item.meta)
    if item.attachments:
        meta["attachments"] = [
            {"name": a.name, "content_type": a.content_type, "size_bytes": a.size_bytes}
            for a in item.attachments
        ]
    identities = item.author.identities if item.author and item.incoming else ()
    return Message(
        channel_id=channel.id,
        external_id=item.external_id,
        direction="incoming" if item.incoming else "outgoing",
        automatic=item.automatic,
        author_name=item.author.name[:300] if item.author and item.author.name else None,
        reply_to=asdict(identities[0]) if identities else None,
        subject=item.subject[:1000] if item.subject else None,
        body=item.text,
        html=item.html,
        meta=meta,
        sent_at=min(item.sent_at or now, now),
        received_at=now,
        delivery=None if item.incoming else "sent",
        # Said, so that nobody asks the database for it.
        analysis=None,
    )


def _of_channel(item: InboundMessage, channel: Channel) -> InboundMessage:
    """A handle without a network is one of this channel's; followers are as many as a column holds."""
    if item.author is None:
        return item
    place = channel.config.get("network") or channel.name
    identities = tuple(
        replace(identity, place=place)
        if identity.kind in ("handle", "external") and not identity.place
        else identity
        for identity in item.author.identities
    )
    followers = item.author.followers
    if followers is not None:
        followers = min(max(followers, 0), LARGEST)
    return replace(item, author=replace(item.author, identities=identities, followers=followers))


def _clean(text: str) -> str:
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
