"""Which conversation a message belongs to: by its thread, what it answers, its subject, or a new one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from connectors.base import InboundMessage
from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message
from hub.conversations.quoting import is_reply, topic
from hub.customers.models import Customer

Item = TypeVar("Item")
CHUNK = 500
# Of a long line of ancestors the nearest count.
REFERENCES = 30


class Named(NamedTuple):
    """A message by the id that a vendor knows it by."""

    name: str
    message_id: int
    conversation_id: int


def messages_named(session: Session, channel_id: int, ids: Iterable[str]) -> Iterator[Named]:
    """Which of `ids` name a message of the channel.

    The vendor's own id of a reply that we sent names it too.
    """
    unique = list(dict.fromkeys(ids))
    columns: tuple[InstrumentedAttribute[Any], ...] = (Message.external_id, Message.vendor_id)
    for chunk in _chunks(unique):
        for column in columns:
            query = select(column, Message.id, Message.conversation_id)
            rows = session.execute(query.where(Message.channel_id == channel_id, column.in_(chunk)))
            yield from (Named(*row) for row in rows)


class Threads:
    """The conversations that a batch may continue, locked; and those that it opens.

    A conversation that cannot take a message, since it is closed or somebody else's, is followed by one of
    the author's own, which then takes the next message too. `also` are conversations to lock with them.
    `answered` is, by id, every message that was stored before and that one of these names as its parent.
    """

    def __init__(
        self,
        session: Session,
        channel: Channel,
        messages: Sequence[InboundMessage],
        customers: Collection[Customer],
        now: datetime,
        also: Collection[int] = (),
    ) -> None:
        self._session, self._channel, self._now = session, channel, now
        self._by_thread: dict[tuple[str, Customer], Conversation] = {}
        self._by_key: dict[str, Conversation] = {}
        self._by_id: dict[int, Conversation] = {}
        self._by_subject: dict[tuple[Customer, str], Conversation] = {}
        self._by_message: dict[str, Conversation] = {}
        self._follow_up: dict[tuple[int, Customer], Conversation] = {}
        refs = (ref for message in messages for ref in message.in_reply_to[:REFERENCES])
        referred = list(messages_named(session, channel.id, refs))
        ids = {each.conversation_id for each in referred} | set(also)
        self._by_id = found = {each.id: each for each in self._locked(ids, messages, customers)}
        for conversation in found.values():
            self._index(conversation)
        self._by_message = {each.name: found[each.conversation_id] for each in referred}
        self.answered = {each.name: each.message_id for each in referred}

    def find(self, item: InboundMessage, customer: Customer | None) -> Conversation | None:
        """The conversation that `item` goes to, made where there is none: then it is `listening`, until
        something in it turns out to be for us.

        `customer` is None for the brand's own words, which answer a known conversation or nothing (None), and
        where the source has no authors: then a thread is one conversation, whoever wrote.
        """
        answered = self._answered(item, customer)
        if item.nature == "bounce" and answered is not None:
            # A mail server wrote it, about a message of this conversation.
            return answered
        if customer is None:
            found = answered or (self._by_key.get(item.thread_key) if item.thread_key else None)
            found = self._last(found, found.customer) if found else None
            if not item.incoming:
                return found
            return found if found and _takes(found, item) else self._open(item, None, found)
        found = self._by_thread.get((item.thread_key, customer)) if item.thread_key else None
        found = found or answered
        if found is None and not item.thread_key and (not item.in_reply_to or is_reply(item.subject or "")):
            found = self._by_subject.get((customer, topic(item.subject)))
        found = self._last(found, customer) if found else None
        # A stranger who answers into somebody's thread gets one of their own, linked to it.
        if found is not None and found.customer is customer and _takes(found, item):
            return found
        return self._open(item, customer, found)

    def remember(self, item: InboundMessage, conversation: Conversation) -> None:
        """Later messages of the batch may answer this one."""
        self._by_message[item.external_id] = conversation

    def _answered(self, item: InboundMessage, customer: Customer | None) -> Conversation | None:
        """The nearest that the author takes part in; else the nearest, which theirs then follows."""
        known = [self._by_message[ref] for ref in item.in_reply_to[:REFERENCES] if ref in self._by_message]
        theirs = (each for each in known if customer and self._last(each, customer).customer is customer)
        return next(theirs, known[0] if known else None)

    def _last(self, conversation: Conversation, customer: Customer) -> Conversation:
        """What it was merged into, or the customer's newest follow-up where it takes nothing of theirs; else
        itself."""
        while conversation.merged_into_id in self._by_id:
            conversation = self._by_id[conversation.merged_into_id]
        while conversation.status == "closed" or conversation.customer is not customer:
            following = self._follow_up.get((conversation.id, customer))
            if following is None:
                break
            conversation = following
        return conversation

    def _open(
        self, item: InboundMessage, customer: Customer | None, linked: Conversation | None
    ) -> Conversation:
        if customer is None:
            unknown = Customer(name="Unknown author", created_at=self._now, changed_at=self._now)
            customer = linked.customer if linked else unknown
        # The closed conversation that this one follows keeps the thread's key.
        taken = item.thread_key and (item.thread_key, customer) in self._by_thread
        if linked is not None and linked.id is None:
            self._session.flush()
        began_at = min(item.sent_at or self._now, self._now)
        conversation = Conversation(
            channel=self._channel,
            customer=customer,
            thread_key=None if taken else item.thread_key,
            follows_id=linked.id if linked else None,
            subject=item.subject[:1000] if item.subject else None,
            listening=True,
            status="new",
            created_at=began_at,
            updated_at=self._now,
            last_message_at=began_at,
        )
        self._session.add(conversation)
        self._index(conversation)
        return conversation

    def _index(self, conversation: Conversation) -> None:
        customer = conversation.customer
        if key := conversation.thread_key:
            self._by_thread[key, customer] = conversation
            self._by_key.setdefault(key, conversation)
        if conversation.follows_id is not None:
            self._follow_up[conversation.follows_id, customer] = conversation
        if conversation.status != "solved":
            self._by_subject[customer, topic(conversation.subject)] = conversation

    def _locked(
        self,
        referred: set[int],
        messages: Sequence[InboundMessage],
        customers: Collection[Customer],
    ) -> Iterator[Conversation]:
        """What the messages may continue, found first and then locked in one order."""
        ids = set(referred)
        for keys in _chunks(sorted({message.thread_key for message in messages if message.thread_key})):
            ids.update(self._ids(Conversation.thread_key.in_(keys)))
        follow_up = Conversation.follows_id.is_not(None)
        for few in _chunks(sorted(ids)):
            whose = select(Conversation.customer_id).where(Conversation.id.in_(few))
            ids.update(self._ids(Conversation.customer_id.in_(whose), follow_up))
        more = ids
        while more:
            into = Conversation.merged_into_id.is_not(None)
            found = select(Conversation.merged_into_id).where(Conversation.id.in_(sorted(more)), into)
            more = {each for each in self._session.scalars(found) if each is not None} - ids
            ids |= more
        loose = any(not message.thread_key for message in messages)
        theirs = or_(follow_up, Conversation.status != "solved") if loose else follow_up
        for few in _chunks(sorted(customer.id for customer in customers)):
            ids.update(self._ids(Conversation.customer_id.in_(few), theirs))
        for few in _chunks(sorted(ids)):
            yield from self._session.scalars(
                select(Conversation)
                .where(Conversation.id.in_(few))
                .options(joinedload(Conversation.customer), joinedload(Conversation.newest_message))
                .order_by(Conversation.id)
                .with_for_update(of=Conversation)
            )

    def _ids(self, *conditions: ColumnElement[bool]) -> Iterable[int]:
        return self._session.scalars(
            select(Conversation.id).where(Conversation.channel_id == self._channel.id, *conditions)
        )


def _takes(conversation: Conversation, item: InboundMessage) -> bool:
    """Whether it goes on: what is closed for good takes only what needs no answer."""
    return conversation.status != "closed" or item.automatic or item.nature is not None


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
