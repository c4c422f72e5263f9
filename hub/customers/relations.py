"""What is known of the relation with customers: what they bought, how they felt, how often they came.

For many customers at once, one query for each kind of thing, and only for what is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.orm import Session

from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.customers.models import Customer, Event
from hub.database import among
from routing.journey import VALENCE_WINDOW, Purchases, journey_stage, valence
from routing.types import JourneyStage

CONTACTS_WINDOW = timedelta(days=30)
_YEAR = timedelta(days=365)
# As `AnalysisRow.score`, counted where the scores lie.
_MOOD = func.coalesce(AnalysisRow.scores["positive"].as_float(), 0.0) - func.coalesce(
    AnalysisRow.scores["negative"].as_float(), 0.0
)
_SPEAKS = cast(AnalysisRow.scores, Text) != "{}"


class Mood(NamedTuple):
    """How a message by the customer sounded, from -1 to 1."""

    message_id: int
    at: datetime
    mood: float


@dataclass(frozen=True, slots=True)
class Relation:
    """What a customer is to the brand. `lifetime_value`: in the policy's currency, None without purchases."""

    lifetime_value: float | None
    bought: Purchases | None
    is_member: bool
    moods: Sequence[Mood]

    def valence(self, now: datetime, *, apart_from: int | None = None) -> float | None:
        """How they have felt lately; the mood of the message that is to be answered counts by itself."""
        return valence(((each.at, each.mood) for each in self.moods if each.message_id != apart_from), now)

    def stage(self, valence: float | None, now: datetime) -> JourneyStage:
        """Where they stand."""
        return journey_stage(self.bought, is_member=self.is_member, valence=valence, now=now)


@dataclass(frozen=True, slots=True)
class Contacts:
    """Conversations with a customer, of all time and of those that they began in the last 30 days."""

    all: int = 0
    recent: int = 0


def relations(
    session: Session, customers: Collection[Customer], now: datetime, *, felt: bool = True
) -> dict[int, Relation]:
    """By customer id. Without `felt` nobody's mood is looked at."""
    ids = [customer.id for customer in customers]
    values, bought = _bought(session, ids, now)
    moods = _moods(session, ids, now) if felt else {}
    return {
        customer.id: Relation(
            values.get(customer.id),
            bought.get(customer.id),
            customer.tier is not None,
            moods.get(customer.id, ()),
        )
        for customer in customers
    }


def contacts(session: Session, customer_ids: Collection[int], now: datetime) -> dict[int, Contacts]:
    """By customer id: their conversations, without what was only overheard."""
    recent = func.sum(case((Conversation.created_at > now - CONTACTS_WINDOW, 1), else_=0))
    rows = session.execute(
        select(Conversation.customer_id, func.count(), recent)
        .where(among(Conversation.customer_id, customer_ids), Conversation.listening.is_(False))
        .group_by(Conversation.customer_id)
    )
    return {customer_id: Contacts(count, lately) for customer_id, count, lately in rows}


def _bought(
    session: Session, ids: Collection[int], now: datetime
) -> tuple[Mapping[int, float], Mapping[int, Purchases]]:
    is_purchase = Event.kind == "purchase"
    rows = session.execute(
        select(
            Event.customer_id,
            func.sum(case((is_purchase, Event.base_amount), else_=-Event.base_amount)),
            func.min(case((is_purchase, Event.occurred_at))),
            func.max(case((is_purchase, Event.occurred_at))),
            func.sum(case((is_purchase & (Event.occurred_at > now - _YEAR), 1), else_=0)),
        )
        .where(
            among(Event.customer_id, ids), Event.kind.in_(("purchase", "return")), Event.occurred_at <= now
        )
        .group_by(Event.customer_id)
    ).all()
    values = {customer_id: float(value) for customer_id, value, *_ in rows if value is not None}
    bought = {
        customer_id: Purchases(first, last, recent) for customer_id, _, first, last, recent in rows if first
    }
    return values, bought


def _moods(session: Session, ids: Collection[int], now: datetime) -> Mapping[int, Sequence[Mood]]:
    rows = session.execute(
        select(Conversation.customer_id, Message.id, Message.sent_at, _MOOD)
        .join(Message, Message.conversation_id == Conversation.id)
        .join(AnalysisRow, AnalysisRow.message_id == Message.id)
        .where(
            among(Conversation.customer_id, ids),
            Message.direction == "incoming",
            Message.sent_at > now - VALENCE_WINDOW,
            _SPEAKS,
        )
    )
    moods: defaultdict[int, list[Mood]] = defaultdict(list)
    for customer_id, *mood in rows:
        moods[customer_id].append(Mood(*mood))
    return moods
