"""What tests put into a hub. What the hub makes itself is made by the hub: messages come in by `receive`.

`NOW` is a Friday noon in Berlin's winter, inside office hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Author, Batch, Identity, InboundMessage
from hub.accounts.models import User
from hub.accounts.service import add_user
from hub.channels.models import Channel
from hub.channels.service import add_channel
from hub.conversations.analysis import to_row
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.customers.identities import normalise
from hub.customers.models import Customer, CustomerIdentity, Event
from hub.customers.spend import refresh_spend
from hub.inbox.service import receive
from hub.policies.service import active_policy
from hub.queue.service import place
from sentiment.explain import CannotExplain, passages
from sentiment.types import (
    Analysis,
    Emotion,
    EmotionLabel,
    Explanation,
    Intent,
    IntentLabel,
    Sentiment,
    SentimentLabel,
    Word,
)

NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
FEELINGS: Mapping[SentimentLabel, EmotionLabel] = {
    "negative": "annoyance",
    "neutral": "neutral",
    "positive": "gratitude",
}
_numbers = count(1)


def user(session: Session, name: str = "Alex Agent", *, role: str = "agent", at: datetime = NOW) -> User:
    """Somebody who may sign in with `PASSWORD`."""
    email = f"{name.split()[0].lower()}{next(_numbers)}@brand.example"
    return add_user(session, email=email, name=name, role=role, password=PASSWORD, now=at)


def channel(
    session: Session,
    name: str = "chirp",
    *,
    kind: str = "social",
    connector: str = "files",
    at: datetime = NOW,
    **config: Any,
) -> Channel:
    """A connected account."""
    return add_channel(session, name=name, connector=connector, kind=kind, now=at, config=config)


def customer(
    session: Session,
    name: str = "Ann Example",
    *identities: Identity,
    at: datetime = NOW,
    **fields: Any,
) -> Customer:
    """A person of the CRM; `fields` are columns of `Customer`."""
    fields.setdefault("external_id", f"crm-{next(_numbers)}")
    made = Customer(name=name, created_at=at, changed_at=at, **fields)
    session.add(made)
    session.flush()
    for kind, place_, value in map(normalise, identities):
        session.add(CustomerIdentity(customer_id=made.id, kind=kind, place=place_, value=value))
    session.flush()
    return made


def event(
    session: Session,
    customer: Customer,
    kind: str = "purchase",
    amount: str | None = "10.00",
    *,
    at: datetime = NOW - timedelta(days=1),
    now: datetime = NOW,
    place: str | None = None,
    **details: Any,
) -> Event:
    """Something a customer did, in the policy's currency; their spend is counted anew as of `now`."""
    made = Event(
        customer_id=customer.id,
        source="test",
        external_id=str(next(_numbers)),
        kind=kind,
        occurred_at=at,
        amount=Decimal(amount) if amount else None,
        base_amount=Decimal(amount) if amount else None,
        currency="EUR" if amount else None,
        place=place,
        details=details,
    )
    session.add(made)
    session.flush()
    refresh_spend(session, [customer.id], now)
    session.flush()
    return made


def inbound(
    text: str = "Where is my parcel?", *, author: str | Author | None = "ann", **fields: Any
) -> InboundMessage:
    """A message as a connector yields it, with an id of its own; an `author` in words is a handle."""
    if isinstance(author, str):
        author = Author((Identity("handle", author),), name=author.title())
    fields.setdefault("external_id", f"m-{next(_numbers)}")
    return InboundMessage(text=text, author=author, **fields)


def receive_one(
    session: Session,
    channel: Channel,
    message: InboundMessage | str = "Where is my parcel?",
    *,
    now: datetime = NOW,
) -> Message:
    """A message as it stands after `receive`: in its conversation, placed by value, not analysed yet."""
    item = inbound(message) if isinstance(message, str) else message
    receive(session, channel.id, Batch((item,)), now)
    return session.scalars(
        select(Message).where(Message.channel_id == channel.id, Message.external_id == item.external_id)
    ).one()


def conversation_of(session: Session, message: Message) -> Conversation:
    """The conversation of a message."""
    return session.get_one(Conversation, message.conversation_id)


def analysis(
    label: SentimentLabel | None = "negative",
    confidence: float = 0.9,
    *,
    intents: Sequence[IntentLabel] = ("complaint",),
    language: str | None = "en",
    sarcasm: float = 0.05,
    expects_reply: float = 0.9,
) -> Analysis:
    """What a model might say: `confidence` for `label`, the others share the rest; None abstains."""
    rest = (1 - confidence) / 2
    scores: dict[SentimentLabel, float] = {"negative": rest, "neutral": rest, "positive": rest}
    if label is None:
        scores = {"negative": 0.4, "neutral": 0.35, "positive": 0.25}
    else:
        scores[label] = confidence
    return Analysis(
        model="test-1",
        language=language,
        language_confidence=0.99 if language else 0.0,
        sentiment=Sentiment(label, max(scores.values()), scores),
        intents=tuple(Intent(intent, 0.8) for intent in intents),
        emotion=Emotion(FEELINGS[label], 0.7) if label else None,
        sarcasm=sarcasm,
        expects_reply=expects_reply,
    )


def analyse_as(
    session: Session, message: Message, said: Analysis | None = None, *, now: datetime = NOW
) -> AnalysisRow:
    """Store what a model says of a message and place its conversation by it, as the hub does."""
    row = to_row(message.id, said or analysis(), now)
    session.add(row)
    message.analysed_at = now
    session.flush()
    session.expire(message, ["analysis"])
    place(session, [conversation_of(session, message)], active_policy(session), now)
    return row


class WordScorer:
    """A model that knows three words, so that a test can say what it reads: `bad`, `good` and `unsure`."""

    name = "words-1"

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """Negative for `bad`, positive for `good`, abstained for `unsure` and nothing, else neutral."""
        return [self._of(text.lower()) for text in texts]

    def explain(self, text: str, head: str = "sentiment", label: str | None = None) -> Explanation:
        """`bad` speaks for a negative label and `good` for a positive one, each by 2."""
        if not text.strip():
            raise CannotExplain("nothing was written")
        chosen = label or self._of(text.lower()).sentiment.label or "neutral"
        given = {"negative": {"bad": 2.0, "good": -2.0}, "positive": {"bad": -2.0, "good": 2.0}}.get(
            chosen, {}
        )
        parts = [(start, end, text[start:end]) for start, end in passages(text)]
        return Explanation(
            model=self.name,
            head=head,
            label=chosen,
            confidence=0.9,
            total=2.2,
            baseline=-0.7,
            words=tuple(Word(*part, given.get(part[2].lower().strip(".,"), 0.0)) for part in parts),
        )

    def _of(self, text: str) -> Analysis:
        if "unsure" in text or not text.strip():
            return analysis(None, intents=())
        if "bad" in text:
            return analysis("negative")
        if "good" in text:
            return analysis("positive", intents=("praise_thanks",))
        return analysis("neutral", intents=("product_question",))
