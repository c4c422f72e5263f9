"""Conversations, messages, analyses, promises, delivery attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    and_,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.accounts.models import User
from hub.channels.models import Channel
from hub.customers.models import Customer
from hub.database import Base, JsonColumn, UtcDateTime
from hub.learning.models import Correction
from routing.types import METRICS

STATUSES = ("new", "open", "pending", "on_hold", "snoozed", "solved", "closed")
DELIVERIES = ("pending", "sending", "sent", "failed", "unknown")
NATURES = ("bounce", "auto_reply", "list", "loop")

_IN_HAND = "owner_id IS NOT NULL AND reply_by IS NOT NULL"


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, postgresql_where=text(where), sqlite_where=text(where))


class Tag(Base):
    """A short word that conversations may have, in small letters and without blanks."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ConversationTag(Base):
    """That a conversation has a tag."""

    __tablename__ = "conversation_tags"
    __table_args__ = (Index("ix_conversation_tags_tag_id", "tag_id", "conversation_id"),)

    conversation_id: Mapped[int] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id"), primary_key=True)


class Conversation(Base):
    """The thread with one customer on one channel; `via` is another by which it goes on, where it does.

    `newest_message_id` is the newest message by the customer, `promise_id` the promise that governs now;
    neither is a foreign key, since both tables point here. It stands in the queue while `reply_by` is set: it
    waits for us, and its status is new or open; or an update is owed. `priority` (`routing.types.Urgency`)
    and `tags` are given by people and rules. `weight`, `reasons` and `promise` say why it stands where it
    stands; each change of them is a row of `hub.queue.models.Decision`. `placed_for` is the customer's
    `changed_at` that was seen then, None once nothing is owed. `work_seconds` were expected then, for
    `work_intent`, "" where no intent was sure: the plan asks what is expected of that by now.
    `gave_way_at` is set while its first promise is given up. `lane` is what it takes to answer, by
    `needs_rule` or since it was sent `sent_to_team`; from `relax_at` on `relaxed_lane`; "" where the policy
    asks for nothing. `load` counts for its owner's capacity. `known_by_id` knows the customer, and has it
    kept for them while `held_until` is set; `accept_by` is set while its owner has not accepted it yet.
    `listening`: nobody has written to the brand in it, it was only overheard; no clock runs in it and no
    queue shows it.

    `history` are its changes of status since a customer first wrote in it, each with when; the times that
    `routing.promises.measure` reads from it are kept in seconds of the wall clock once it is solved. What was
    merged into another conversation is closed and names it; `merged` is what it takes to part them again.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        UniqueConstraint("channel_id", "thread_key", "customer_id"),
        _partial("ix_conversations_queue", "reply_by", "id", where="reply_by IS NOT NULL"),
        # What `next` walks: the same order without what somebody has.
        _partial(
            "ix_conversations_pick", "reply_by", "id", where="reply_by IS NOT NULL AND owner_id IS NULL"
        ),
        # The same by what it takes to answer, and what is kept for who knows the customer.
        _partial(
            "ix_conversations_lane",
            "lane",
            "reply_by",
            "id",
            where="reply_by IS NOT NULL AND owner_id IS NULL AND held_until IS NULL AND lane <> ''",
        ),
        _partial(
            "ix_conversations_held",
            "known_by_id",
            "reply_by",
            "id",
            where="reply_by IS NOT NULL AND owner_id IS NULL AND held_until IS NOT NULL",
        ),
        _partial("ix_conversations_relax_at", "relax_at", where="relax_at IS NOT NULL"),
        _partial("ix_conversations_accept_by", "accept_by", where="accept_by IS NOT NULL"),
        _partial("ix_conversations_owner_id", "owner_id", where="owner_id IS NOT NULL"),
        # What somebody has in hand.
        _partial("ix_conversations_in_hand", "owner_id", "load", where=_IN_HAND),
        _partial("ix_conversations_snoozed_until", "snoozed_until", where="snoozed_until IS NOT NULL"),
        Index("ix_conversations_customer_id", "customer_id"),
        # Lists are either of what was written to us or of what was overheard.
        Index("ix_conversations_list", "listening", "last_message_at", "id"),
        Index("ix_conversations_updated_at", "updated_at", "id"),
        # What was solved in a range.
        _partial("ix_conversations_solved_at", "solved_at", where="solved_at IS NOT NULL"),
        _partial("ix_conversations_merged_into_id", "merged_into_id", where="merged_into_id IS NOT NULL"),
        # What a change of customer or policy may move.
        _partial(
            "ix_conversations_placed", "policy_version_id", "reply_by", "id", where="placed_for IS NOT NULL"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    via_id: Mapped[int | None]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    thread_key: Mapped[str | None] = mapped_column(String(400))
    follows_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"))
    listening: Mapped[bool] = mapped_column(default=False, server_default=false())
    subject: Mapped[str | None] = mapped_column(String(1000))
    status: Mapped[str] = mapped_column(String(20), default="new")
    priority: Mapped[str] = mapped_column(String(10), default="normal", server_default="normal")
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    owned_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    snoozed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    newest_message_id: Mapped[int | None]
    last_message_at: Mapped[datetime] = mapped_column(UtcDateTime)

    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_replied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_incoming_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    solved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_replied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    history: Mapped[list[list[str]]] = mapped_column(JsonColumn, default=list, server_default="[]")
    first_resolution_seconds: Mapped[int | None]
    resolution_seconds: Mapped[int | None]
    requester_wait_seconds: Mapped[int | None]
    agent_work_seconds: Mapped[int | None]
    merged_into_id: Mapped[int | None]
    merged: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)

    promise_id: Mapped[int | None]
    policy_version_id: Mapped[int | None] = mapped_column(ForeignKey("policy_versions.id"))
    placed_for: Mapped[datetime | None] = mapped_column(UtcDateTime)
    weight: Mapped[float | None] = mapped_column(Float)
    reasons: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonColumn)
    work_seconds: Mapped[int | None]
    work_intent: Mapped[str | None] = mapped_column(String(40))
    reply_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    gave_way_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    gave_way_to: Mapped[int] = mapped_column(default=0)

    needs_rule: Mapped[str | None] = mapped_column(String(40))
    lane: Mapped[str] = mapped_column(String(1000), default="", server_default="")
    relaxed_lane: Mapped[str | None] = mapped_column(String(1000))
    relax_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    load: Mapped[int] = mapped_column(default=1, server_default="1")
    sent_to_team: Mapped[str | None] = mapped_column(String(40))
    known_by_id: Mapped[int | None]
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accept_by: Mapped[datetime | None] = mapped_column(UtcDateTime)

    channel: Mapped[Channel] = relationship()
    via: Mapped[Channel | None] = relationship(primaryjoin="foreign(Conversation.via_id) == Channel.id")
    customer: Mapped[Customer] = relationship()
    promise: Mapped[Promise | None] = relationship(
        primaryjoin="foreign(Conversation.promise_id) == Promise.id", post_update=True
    )
    newest_message: Mapped[Message | None] = relationship(
        primaryjoin="foreign(Conversation.newest_message_id) == Message.id", post_update=True
    )
    owner: Mapped[User | None] = relationship()
    tag_rows: Mapped[list[Tag]] = relationship(
        secondary="conversation_tags", order_by=Tag.name, passive_deletes=True, lazy="selectin"
    )

    @property
    def goes_by(self) -> Channel:
        """The channel by which it is answered now, and whose targets count."""
        return self.via or self.channel

    @property
    def tags(self) -> list[str]:
        """Its tags, by name."""
        return [tag.name for tag in self.tag_rows]


class Promise(Base):
    """Something owed: from the moment it began to count to the moment it is due by policy.

    Open while neither `met_at` nor `cancelled_at` is set. `breached_at` is `due_at` once that passed
    unanswered, and stays: a late answer sets `met_at` too. `cancelled_at` is when the wait ended without an
    answer. `reply_id` is the message that answered, where a reply was owed. `late_by_seconds` counts time of
    the promise's calendar: that of the rule named `policy` in the version that placed it last.

    `paused_at`: its clock stands still since then, and `due_at` is when it would be due had it gone on.
    Coming events: `asks_at`, when an update puts its conversation into the queue; `warn_at`, when the next
    warning is due. `warned` are the steps of the policy that have been warned of.
    """

    __tablename__ = "promises"
    __table_args__ = (
        CheckConstraint(f"metric IN {METRICS}", name="metric"),
        UniqueConstraint("conversation_id", "metric", "started_at"),
        _partial(
            "ix_promises_due_at",
            "due_at",
            where="met_at IS NULL AND breached_at IS NULL AND cancelled_at IS NULL AND paused_at IS NULL",
        ),
        # How many begin to wait, hour by hour, is what the next hours are foretold from.
        Index("ix_promises_started_at", "started_at"),
        _partial("ix_promises_asks_at", "asks_at", where="asks_at IS NOT NULL"),
        _partial("ix_promises_warn_at", "warn_at", where="warn_at IS NOT NULL"),
        # Reports: what was kept, and what was broken, in a range.
        _partial("ix_promises_met_at", "met_at", where="met_at IS NOT NULL"),
        _partial("ix_promises_breached_at", "breached_at", where="breached_at IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    metric: Mapped[str] = mapped_column(String(20))
    policy: Mapped[str] = mapped_column(String(200))
    policy_version_id: Mapped[int | None]
    tier: Mapped[str | None] = mapped_column(String(50))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    target_seconds: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    second_due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    met_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    breached_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    late_by_seconds: Mapped[int | None]
    reply_id: Mapped[int | None] = mapped_column(index=True)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    asks_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warned: Mapped[list[str]] = mapped_column(JsonColumn, default=list, server_default="[]")

    conversation: Mapped[Conversation] = relationship(foreign_keys=[conversation_id])

    @property
    def is_open(self) -> bool:
        """Whether it is still owed."""
        return self.met_at is None and self.cancelled_at is None

    def reopen(self) -> None:
        """Owe it again, as of when it began to count."""
        self.met_at = self.cancelled_at = self.reply_id = self.late_by_seconds = None

    def end(self) -> None:
        """No more events come of it."""
        self.paused_at = self.asks_at = self.warn_at = None


class Message(Base):
    """One post, mail, ticket comment, reply, note or activity line; unique on (channel, external_id).

    Work to be done is a state of this row: an incoming message without `analysed_at` is to be analysed, an
    outgoing one whose `delivery` is pending is to be sent. `leased_until` is set while somebody is at it.
    `reply_to` is where an answer reaches the author, or where this one goes that answers no message of its
    channel: the kind, place and value of an identity. `answers_id` is the message that it answers, where we
    have that: no foreign key, since nothing follows from its loss.

    `history` is true for what was brought in later than it happened: the model reads it last. `nature` says
    what no person wrote for us; `addressed` is false for what was overheard; `url` is where people can see
    it. `edited_at` is when it was changed last, what it said before is in `versions`. `deleted_at` is when it
    went at the vendor's: of a customer's message only this row is left, of its words nothing.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("channel_id", "external_id"),
        CheckConstraint("direction IN ('incoming', 'outgoing', 'activity')", name="direction"),
        CheckConstraint(f"delivery IS NULL OR delivery IN {DELIVERIES}", name="delivery"),
        CheckConstraint(f"nature IS NULL OR nature IN {NATURES}", name="nature"),
        _partial(
            "ix_messages_to_analyse", "history", "id", where="direction = 'incoming' AND analysed_at IS NULL"
        ),
        # Set while a reply is to be sent. SQLite uses a partial index only where the query plainly says so.
        _partial("ix_messages_to_deliver", "deliver_at", "id", where="deliver_at IS NOT NULL"),
        _partial("ix_messages_delivery", "delivery", "channel_id", where="delivery IS NOT NULL"),
        _partial("ix_messages_vendor_id", "channel_id", "vendor_id", where="vendor_id IS NOT NULL"),
        Index("ix_messages_conversation_id_sent_at", "conversation_id", "sent_at", "id"),
        # What reports ask of a message, so that they read its row only for its words.
        Index("ix_messages_sent_at", "sent_at", "direction", "automatic", "channel_id"),
        Index("ix_messages_received_at", "channel_id", "direction", "received_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    external_id: Mapped[str] = mapped_column(String(998))
    direction: Mapped[str] = mapped_column(String(20))
    private: Mapped[bool] = mapped_column(default=False)
    automatic: Mapped[bool] = mapped_column(default=False)
    nature: Mapped[str | None] = mapped_column(String(20))
    addressed: Mapped[bool] = mapped_column(default=True, server_default=true())
    history: Mapped[bool] = mapped_column(default=False, server_default=false())
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    author_name: Mapped[str | None] = mapped_column(String(300))
    reply_to: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    subject: Mapped[str | None] = mapped_column(String(1000))
    body: Mapped[str] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
    answers_id: Mapped[int | None]
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    analysed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    analysis_attempts: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    delivery: Mapped[str | None] = mapped_column(String(20))
    deliver_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    idempotency_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    vendor_id: Mapped[str | None] = mapped_column(String(998))

    channel: Mapped[Channel] = relationship()
    analysis: Mapped[AnalysisRow | None] = relationship(back_populates="message", uselist=False)
    attempts: Mapped[list[DeliveryAttempt]] = relationship(order_by="DeliveryAttempt.id")
    versions: Mapped[list[MessageVersion]] = relationship(
        order_by="MessageVersion.id", cascade="all, delete-orphan", passive_deletes=True
    )
    attachments: Mapped[list[Attachment]] = relationship(
        order_by="Attachment.id", cascade="all, delete-orphan", passive_deletes=True
    )
    corrections: Mapped[list[Correction]] = relationship(
        primaryjoin=lambda: and_(Correction.message_id == Message.id, Correction.withdrawn_at.is_(None)),
        order_by=lambda: Correction.id.desc(),
        viewonly=True,
    )


class MessageVersion(Base):
    """What a message said from `written_at` until its author changed it, which we learnt at `replaced_at`."""

    __tablename__ = "message_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    body: Mapped[str] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text)
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    replaced_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Attachment(Base):
    """What came or goes with a message.

    Its content lies in a file named by `sha256` (`hub.files`), the same for whoever sends the same; None
    where it was left behind, and `url` then says where it can be had, if anywhere. `content_id` is how the
    message's HTML names it.

    What is `fetchable` can be had by the channel's connector, and is at `fetch_at` (`hub.channels.media`);
    without it nobody wants it yet, it is here, or it was given up. `fetch_error` says why a try failed.
    """

    __tablename__ = "attachments"
    __table_args__ = (
        _partial("ix_attachments_sha256", "sha256", where="sha256 IS NOT NULL"),
        _partial("ix_attachments_fetch_at", "fetch_at", where="fetch_at IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(300))
    content_type: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    content_id: Mapped[str | None] = mapped_column(String(998))
    url: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    fetchable: Mapped[bool] = mapped_column(default=False, server_default=false())
    fetch_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fetch_tries: Mapped[int] = mapped_column(default=0, server_default="0")
    fetch_error: Mapped[str | None] = mapped_column(Text)


class AnalysisRow(Base):
    """What a named model version said of a message; one per message, replaced as a whole by re-analysis.

    `sarcasm` and `expects_reply` are probabilities. Where a person corrected it, `said` keeps what the model
    itself said in the columns that they changed (`hub.conversations.analysis.correct`). `embedding` is read
    only where it is asked for; see `hub.conversations.analysis.vectors`.
    """

    __tablename__ = "analyses"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), unique=True)
    model: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    language: Mapped[str | None] = mapped_column(String(10))
    language_confidence: Mapped[float] = mapped_column(Float)
    sentiment: Mapped[str | None] = mapped_column(String(10))
    sentiment_confidence: Mapped[float] = mapped_column(Float)
    scores: Mapped[dict[str, float]] = mapped_column(JsonColumn, default=dict)
    intents: Mapped[list[dict[str, Any]]] = mapped_column(JsonColumn, default=list)
    abstained: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    emotion: Mapped[str | None] = mapped_column(String(20))
    emotion_confidence: Mapped[float | None] = mapped_column(Float)
    sarcasm: Mapped[float | None] = mapped_column(Float)
    expects_reply: Mapped[float | None] = mapped_column(Float)
    taught: Mapped[list[dict[str, Any]]] = mapped_column(JsonColumn, default=list, server_default="[]")
    embedding: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    said: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)

    message: Mapped[Message] = relationship(back_populates="analysis")

    @property
    def score(self) -> float:
        """The mood from -1, surely negative, to 1, surely positive; 0 where nothing is known."""
        return self.scores.get("positive", 0.0) - self.scores.get("negative", 0.0)


class DeliveryAttempt(Base):
    """One try at sending a reply, kept as the log of what happened."""

    __tablename__ = "delivery_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(20), default="sending")
    detail: Mapped[str] = mapped_column(Text, default="")
