"""Receiving: find or make customer and conversation, store the message, move the cursor; one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from connectors.base import Batch, InboundMessage, Rejected
from hub.channels.models import Channel
from hub.conversations.clocks import message_came
from hub.conversations.models import Conversation, Message
from hub.conversations.quoting import topic
from hub.customers.identities import resolve_authors
from hub.customers.models import Customer
from hub.database import nudge
from hub.inbox.models import Reject
from hub.policies.service import active_policy
from hub.queue.service import place

FUTURE = timedelta(days=1)


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
    """Store a batch and its cursor. What is known is left alone, what cannot be stored is kept as a reject."""
    # One receiver a channel at a time: what is a duplicate is then a question with one answer.
    channel = session.get_one(Channel, channel_id, with_for_update=True)
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
    """Which of these external ids the channel has."""
    known: set[str] = set()
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), 500):
        known.update(
            session.scalars(
                select(Message.external_id).where(
                    Message.channel_id == channel_id, Message.external_id.in_(unique[start : start + 500])
                )
            )
        )
    return known


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
    authors = [message.author if message.incoming else None for message in fresh]
    incoming = [index for index, message in enumerate(fresh) if message.incoming]
    customers = dict(
        zip(incoming, resolve_authors(session, [authors[index] for index in incoming], now), strict=True)
    )
    threads = _Threads(session, channel, fresh, list(customers.values()), now)
    unmatched = 0
    stored: list[tuple[InboundMessage, Conversation, Message]] = []
    for index, item in enumerate(fresh):
        conversation = threads.find(item, customers.get(index))
        if conversation is None:
            detail = "the brand's own message answers no conversation that is known"
            keep_reject(
                session, channel, Rejected(_raw(item), "answers_nothing", detail, item.external_id), now
            )
            unmatched += 1
            continue
        message = _message(channel, item, now)
        threads.remember(item, conversation)
        stored.append((item, conversation, message))
    session.flush()
    for _item, conversation, message in stored:
        message.conversation_id = conversation.id
        session.add(message)
    session.flush()
    touched: dict[int, Conversation] = {}
    for item, conversation, message in sorted(stored, key=lambda row: row[2].sent_at):
        touched[conversation.id] = conversation
        newest = conversation.newest_message
        if item.incoming and (newest is None or newest.sent_at <= message.sent_at):
            conversation.newest_message = message
        message_came(session, conversation, message, now)
    session.flush()
    # In the queue at once, by value alone; the mood refines the place when the model has read it.
    place(session, list(touched.values()), active_policy(session), now)
    return unmatched


class _Threads:
    """Finds the conversation that a message belongs to; sees those made in the same batch."""

    def __init__(
        self,
        session: Session,
        channel: Channel,
        messages: Sequence[InboundMessage],
        customers: Sequence[Customer],
        now: datetime,
    ) -> None:
        self._session, self._channel, self._now = session, channel, now
        self._by_thread: dict[tuple[str, int], Conversation] = {}
        self._by_subject: dict[tuple[int, str], Conversation] = {}
        self._by_message: dict[str, Conversation] = {}
        existing = session.scalars(
            select(Conversation)
            .where(
                Conversation.channel_id == channel.id,
                Conversation.customer_id.in_({customer.id for customer in customers}),
            )
            .options(joinedload(Conversation.customer), joinedload(Conversation.newest_message))
            .order_by(Conversation.id)
            .with_for_update(of=Conversation)
        )
        for conversation in existing:
            self._index(conversation)
        referred = {ref for message in messages for ref in message.in_reply_to}
        threads = {message.thread_key for message in messages if message.thread_key and not message.incoming}
        if referred:
            rows = session.execute(
                select(Message.external_id, Message.vendor_id, Conversation)
                .join(Conversation, Conversation.id == Message.conversation_id)
                .where(
                    Message.channel_id == channel.id,
                    or_(Message.external_id.in_(referred), Message.vendor_id.in_(referred)),
                )
                .order_by(Conversation.id)
                .with_for_update(of=Conversation)
            )
            for external_id, vendor_id, conversation in rows:
                self._by_message[external_id] = conversation
                if vendor_id is not None:
                    self._by_message[vendor_id] = conversation
        if threads:
            for conversation in session.scalars(
                select(Conversation)
                .where(Conversation.channel_id == channel.id, Conversation.thread_key.in_(threads))
                .order_by(Conversation.id)
                .with_for_update(of=Conversation)
            ):
                self._index(conversation)

    def find(self, item: InboundMessage, customer: Customer | None) -> Conversation | None:
        """The conversation that `item` goes to, made where there is none; None for an answer to nothing."""
        replied_to = next(
            (self._by_message[ref] for ref in item.in_reply_to if ref in self._by_message), None
        )
        if customer is None:
            if replied_to is not None or item.thread_key is None:
                return replied_to
            return next((c for (key, _), c in self._by_thread.items() if key == item.thread_key), None)
        found = self._by_thread.get((item.thread_key, customer.id)) if item.thread_key else None
        # A stranger who answers into somebody's thread gets one of their own, linked to it.
        linked = replied_to
        if found is None and replied_to is not None and replied_to.customer_id == customer.id:
            found = replied_to
        if found is None and item.author is not None and not item.thread_key and not item.in_reply_to:
            found = self._by_subject.get((customer.id, topic(item.subject)))
            if found is not None and found.status == "solved":
                found = None
        if found is not None and found.status == "closed":
            found, linked = None, found
        return found or self._open(item, customer, linked)

    def remember(self, item: InboundMessage, conversation: Conversation) -> None:
        """Later messages of the batch may answer this one."""
        self._by_message[item.external_id] = conversation

    def _open(self, item: InboundMessage, customer: Customer, linked: Conversation | None) -> Conversation:
        taken = item.thread_key and (item.thread_key, customer.id) in self._by_thread
        conversation = Conversation(
            channel=self._channel,
            customer=customer,
            # The closed conversation that this one follows keeps the thread's key.
            thread_key=None if taken else item.thread_key,
            follows_id=linked.id if linked else None,
            subject=item.subject[:1000] if item.subject else None,
            status="new",
            created_at=item.sent_at or self._now,
            updated_at=self._now,
        )
        self._session.add(conversation)
        self._index(conversation, thread_key=item.thread_key)
        return conversation

    def _index(self, conversation: Conversation, thread_key: str | None = None) -> None:
        customer_id = conversation.customer.id
        if key := thread_key or conversation.thread_key:
            self._by_thread[key, customer_id] = conversation
        self._by_subject[customer_id, topic(conversation.subject)] = conversation


def _message(channel: Channel, item: InboundMessage, now: datetime) -> Message:
    meta: dict[str, Any] = dict(item.meta)
    if item.attachments:
        meta["attachments"] = [
            {"name": a.name, "content_type": a.content_type, "size_bytes": a.size_bytes}
            for a in item.attachments
        ]
    return Message(
        channel_id=channel.id,
        external_id=item.external_id,
        direction="incoming" if item.incoming else "outgoing",
        automatic=item.automatic,
        author_name=item.author.name[:300] if item.author and item.author.name else None,
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
    """A handle without a network is one of this channel's."""
    if item.author is None or all(
        i.place or i.kind not in ("handle", "external") for i in item.author.identities
    ):
        return item
    place = channel.config.get("network") or channel.name
    identities = tuple(
        replace(identity, place=place)
        if identity.kind in ("handle", "external") and not identity.place
        else identity
        for identity in item.author.identities
    )
    return replace(item, author=replace(item.author, identities=identities))


def unstorable(item: InboundMessage, now: datetime) -> Rejected | None:
    """What a database cannot hold or a clock cannot count, whichever connector let it through."""
    strings = [item.external_id, item.text, item.subject or "", item.html or "", item.thread_key or ""]
    if item.author:
        strings += [item.author.name or "", *(identity.value for identity in item.author.identities)]
    if any("\0" in text for text in strings):
        return Rejected(_raw(item), "nul_bytes", "the message holds NUL characters", item.external_id)
    try:
        "".join(strings).encode()
    except UnicodeEncodeError:
        return Rejected(
            _raw(item), "bad_encoding", "the message holds half characters", _clean(item.external_id)
        )
    if len(item.external_id) > 998:
        return Rejected(_raw(item), "bad_id", "the id is longer than 998 characters", item.external_id[:100])
    if item.sent_at is not None and item.sent_at > now + FUTURE:
        detail = f"sent at {item.sent_at.isoformat()}, more than a day from now"
        return Rejected(_raw(item), "future_date", detail, item.external_id)
    return None


def _raw(item: InboundMessage) -> bytes:
    return repr(item).encode(errors="backslashreplace")


def _clean(text: str) -> str:
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
