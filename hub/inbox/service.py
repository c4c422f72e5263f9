"""Receiving: find or make customer and conversation, store the message, move the cursor; one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from connectors.base import Annotation, Author, Batch, Deleted, InboundMessage, Item, Rejected
from hub.automations.happening import came_in, unheard
from hub.channels.models import Channel
from hub.conversations.attachments import to_rows, want_files, web_address
from hub.conversations.clocks import message_came
from hub.conversations.models import Conversation, Message
from hub.customers.identities import resolve_authors
from hub.customers.models import Customer
from hub.database import nudge
from hub.inbox.changes import apply_changes, lock_changed, lock_conversations
from hub.inbox.doubled import told_apart
from hub.inbox.early import recall, remember
from hub.inbox.models import Reject
from hub.inbox.storable import Change, raw, unstorable, unstorable_change
from hub.inbox.threads import REFERENCES, Threads, messages_named
from hub.paging import LARGEST
from hub.policies.service import active_policy
from hub.queue.service import place
from hub.tickets.following import conversation_ids, follow

TRIES = 5


@dataclass(slots=True)
class Received:
    """What became of a batch.

    `changed` counts edits, deletions, bounces and annotations that were followed; `early` the first three of
    messages that nobody here knows, which are remembered for a while; `ignored` annotations of threads that
    nobody here knows. What says nothing new is among the `duplicates`.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    changed: int = 0
    early: int = 0
    ignored: int = 0

    @property
    def news(self) -> bool:
        """Whether it brought anything that was not known."""
        return bool(self.stored or self.rejected or self.changed or self.early)

    def add(self, other: Received) -> None:
        """Count `other` in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def receive(
    session: Session, channel_id: int, batch: Batch, now: datetime, *, history: bool = False
) -> Received:
    """Store a batch and its cursor; what is known is left alone, what cannot be stored becomes a reject.

    What a batch says of other messages (edits, deletions, bounces) is followed after its messages are stored,
    in its order: it may stand before the message that it speaks of, and even come in an earlier batch. What
    it says of threads comes last. Messages of `history` are analysed after all others.
    """
    # One receiver a channel at a time: what is a duplicate is then a question with one answer.
    # Not locked so far that a reply, which refers to the channel, would have to wait.
    channel = session.get_one(Channel, channel_id, with_for_update={"key_share": True})
    result = Received(received=len(batch.items))
    messages: list[InboundMessage] = []
    changes: list[Change] = []
    annotations: list[Annotation] = []
    for item in batch.items:
        problem = problem_of(item, now)
        if problem is not None:
            keep_reject(session, channel, problem, now)
            result.rejected += 1
        elif isinstance(item, InboundMessage):
            messages.append(_of_channel(item, channel))
        elif isinstance(item, Annotation):
            annotations.append(item)
        elif not isinstance(item, Rejected):
            changes.append(item)

    # Messages are locked before conversations, by everybody.
    touched = lock_changed(session, channel.id, changes)
    touched |= conversation_ids(session, channel.id, annotations)
    messages = told_apart(session, channel.id, messages)
    fresh = _without_known(session, channel, messages)
    result.duplicates = len(messages) - len(fresh)
    for start in range(0, len(fresh), 500):
        also = touched if start == 0 else ()
        with unheard(session, history):
            unmatched = _store(session, channel, fresh[start : start + 500], now, also, history)
        result.rejected += unmatched
        result.stored += len(fresh[start : start + 500]) - unmatched
    # In one order, whichever of the two speaks of them.
    lock_conversations(session, touched)
    if early := recall(session, channel.id, fresh):
        result.changed = apply_changes(session, channel.id, early, now).changed
    if changes:
        followed = apply_changes(session, channel.id, changes, now)
        result.changed += followed.changed
        result.early = len(followed.unknown)
        result.duplicates += followed.unchanged
        # Of a thread that is gone more may come.
        threads = [each for each in changes if isinstance(each, Deleted) and each.thread_key]
        remember(session, channel.id, [*followed.unknown, *threads], now)
    for each in annotations:
        news = follow(session, channel, each, now)
        result.ignored += news is None
        result.changed += news is True
        result.duplicates += news is False
    if batch.cursor is not None:
        channel.cursor = dict(batch.cursor)
    if result.stored:
        channel.last_received_at = now
        nudge(session, "analyse")
    return result


def problem_of(item: Item, now: datetime) -> Rejected | None:
    """Why an item of a batch cannot be stored; None where all is well."""
    if isinstance(item, Rejected):
        return item
    return unstorable(item, now) if isinstance(item, InboundMessage) else unstorable_change(item)


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
    return {each.name for each in messages_named(session, channel_id, ids)}


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


@dataclass(frozen=True, slots=True)
class _Stored:
    """A new message; `counts` where it is for us, and not only overheard."""

    item: InboundMessage
    message: Message
    conversation: Conversation
    counts: bool


def _store(
    session: Session,
    channel: Channel,
    fresh: Sequence[InboundMessage],
    now: datetime,
    also: Collection[int],
    history: bool,
) -> int:
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
    threads = Threads(session, channel, fresh, set(customers.values()), now, also)
    unmatched = 0
    stored: list[_Stored] = []
    for item in fresh:
        customer = customers.get(item.external_id)
        conversation = threads.find(item, customer)
        if conversation is None:
            detail = "the brand's own message answers no conversation that is known"
            keep_reject(
                session, channel, Rejected(raw(item), "answers_nothing", detail, item.external_id), now
            )
            unmatched += 1
            continue
        threads.remember(item, conversation)
        # What was overheard has a model read it first, and then the policy's rules (hub.listening.rules).
        counts = item.addressed or not conversation.listening
        if counts and conversation.listening and conversation.id is not None:
            want_files(session, conversation.id, now)
        if counts:
            conversation.listening = False
        # Nobody wants the files of all that is overheard; those of history come after those of today.
        fetch_at = (min(item.sent_at or now, now) if history else now) if counts else None
        message = _message(session, channel, item, now, history, fetch_at)
        stored.append(_Stored(item, message, conversation, counts))
    session.flush()
    for each in stored:
        each.message.conversation_id = each.conversation.id
        each.message.answers_id = _parent(each.item, threads.answered)
        session.add(each.message)
    session.flush()
    # What is answered may have come in the same batch.
    ids = {**threads.answered, **{each.item.external_id: each.message.id for each in stored}}
    for each in stored:
        each.message.answers_id = _parent(each.item, ids)
    active = active_policy(session)
    for each in stored:
        conversation, message = each.conversation, each.message
        newest = conversation.newest_message
        # What no person wrote says nothing of how the customer feels.
        later = newest is None or (newest.sent_at <= message.sent_at and message.nature is None)
        if message.direction == "incoming" and later:
            conversation.newest_message = message
        conversation.last_message_at = max(conversation.last_message_at, message.sent_at)
        if each.counts:
            is_first = not conversation.history
            message_came(session, conversation, message, now)
            came_in(session, conversation, message, is_first, active, now)
    session.flush()
    # In the queue at once, by value alone; the mood refines the place when the model has read it.
    touched = {each.conversation.id: each.conversation for each in stored}
    place(session, [touched[each] for each in sorted(touched)], active, now)
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


def _parent(item: InboundMessage, ids: Mapping[str, int]) -> int | None:
    return next((ids[ref] for ref in item.in_reply_to[:REFERENCES] if ref in ids), None)


def _message(
    session: Session,
    channel: Channel,
    item: InboundMessage,
    now: datetime,
    history: bool,
    fetch_at: datetime | None,
) -> Message:
    identities = item.author.identities if item.author and item.incoming else ()
    return Message(
        channel_id=channel.id,
        external_id=item.external_id,
        direction="incoming" if item.incoming else "outgoing",
        automatic=item.automatic or item.nature is not None,
        nature=item.nature,
        addressed=item.addressed,
        author_name=item.author.name[:300] if item.author and item.author.name else None,
        reply_to=asdict(identities[0]) if identities else None,
        subject=item.subject[:1000] if item.subject else None,
        body=item.text,
        html=item.html,
        url=web_address(item.url),
        meta=dict(item.meta),
        sent_at=min(item.sent_at or now, now),
        received_at=now,
        history=history,
        delivery=None if item.incoming else "sent",
        # Said, so that nobody asks the database for it.
        analysis=None,
        attachments=to_rows(session, item.attachments, fetch_at),
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
