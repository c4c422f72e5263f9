"""Reading customers: the list, and everything known of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from hub.channels.models import Channel
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.customers.history import SHOPPING, Purchase, purchases_of
from hub.customers.models import Customer, CustomerIdentity, Event
from hub.customers.spend import WINDOW, spend_percentiles
from hub.errors import NotFound
from hub.paging import Page, after, page
from hub.policies.service import active_policy

PREVIEW = 80
LAST_PURCHASES = 5
LAST_CONVERSATIONS = 30
LAST_MESSAGES = 60
LAST_EVENTS = 60
DONE = ("solved", "closed")


@dataclass(frozen=True, slots=True)
class Spend:
    """What a customer spent in the last 12 months, in the policy's currency.

    `percentile` is 0..100 among those who buy, 100 spends most. `orders` counts purchases; None in lists.
    """

    amount: Decimal
    currency: str
    percentile: float | None
    orders: int | None = None


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer in the list. `newest` is what the model said of their newest message."""

    customer: Customer
    spend: Spend | None
    conversations: int
    open: int
    last_at: datetime | None
    newest: AnalysisRow | None


@dataclass(frozen=True, slots=True)
class Mood:
    """Valence of one message: the probability of positive less that of negative, -1..1."""

    at: datetime
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """One of a customer's conversations; `last_at` is when they wrote last, `current` the one looked at."""

    id: int
    subject: str
    channel: Channel
    status: str
    last_at: datetime
    current: bool

    @property
    def url(self) -> str:
        """Its page."""
        return f"/conversations/{self.id}"


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a customer is; purchases and conversations newest first, moods oldest first.

    `since_at` is when they joined the loyalty programme.
    """

    id: int
    external_id: str | None
    name: str
    tier: str | None
    points: int | None
    language: str | None
    followers: int | None
    loyalty_number: str | None
    since_at: datetime | None
    identities: Sequence[CustomerIdentity]
    spend: Spend | None
    purchases: Sequence[Purchase]
    moods: Sequence[Mood]
    conversations: Sequence[Talk]

    @property
    def mood(self) -> list[float]:
        """The valence of each message, oldest first."""
        return [each.value for each in self.moods]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which customers to see; empty means all. `q` is a part of a name or of an identity."""

    q: str = ""
    tier: str = ""


def list_customers(
    session: Session, filters: Filters, *, cursor: str | None = None, limit: int = 50
) -> Page[CustomerRow]:
    """Customers, who spent most in 12 months first. Raises: Invalid for a cursor that is not ours."""
    query = _filtered(select(Customer), filters)
    query = after(query, (Customer.spend_12m, Customer.id), (Decimal, int), cursor, descending=True)
    customers = session.scalars(query.options(selectinload(Customer.identities)).limit(limit + 1)).all()
    found = page(customers, limit, lambda each: (each.spend_12m, each.id))
    return Page(_rows(session, found.items), found.next_cursor)


def customer_profile(
    session: Session, customer_id: int, now: datetime, *, current_id: int | None = None
) -> Profile:
    """Everything known of one customer; `current_id` is the conversation looked at. Raises: NotFound."""
    customer = session.get(Customer, customer_id, options=[selectinload(Customer.identities)])
    if customer is None:
        raise NotFound(f"no customer {customer_id}")
    return Profile(
        id=customer.id,
        external_id=customer.external_id,
        name=customer.name,
        tier=customer.tier,
        points=customer.points,
        language=customer.language,
        followers=customer.followers,
        loyalty_number=next((each.value for each in customer.identities if each.kind == "loyalty"), None),
        since_at=customer.joined_at,
        identities=customer.identities,
        spend=_spend(session, customer, now),
        purchases=purchases_of(_events(session, customer_id, SHOPPING), LAST_PURCHASES),
        moods=_moods(session, customer_id),
        conversations=_talks(session, customer_id, current_id),
    )


def last_events(session: Session, customer_id: int) -> Sequence[Event]:
    """What a customer did last, newest first."""
    return _events(session, customer_id)


def _filtered(query: Select[Customer], filters: Filters) -> Select[Customer]:
    if filters.tier:
        query = query.where(Customer.tier == filters.tier)
    # No database holds a NUL in a text, and PostgreSQL refuses to be asked for one.
    wanted = filters.q.replace("\0", "").strip()
    if wanted:
        identity = "".join(wanted.split()).lstrip("@")
        met = select(CustomerIdentity.customer_id).where(
            CustomerIdentity.value.icontains(identity, autoescape=True)
        )
        named = Customer.name.icontains(wanted, autoescape=True)
        query = query.where(or_(named, Customer.id.in_(met)) if identity else named)
    return query


def _rows(session: Session, customers: Sequence[Customer]) -> list[CustomerRow]:
    currency = active_policy(session).policy.currency
    percentiles = spend_percentiles(session, customers)
    ids = [customer.id for customer in customers]
    of_these = Conversation.customer_id.in_(ids)
    talks = {
        customer_id: (count, unsolved, last_at)
        for customer_id, count, unsolved, last_at in session.execute(
            select(
                Conversation.customer_id,
                func.count(),
                func.count().filter(Conversation.status.not_in(DONE)),
                func.max(Conversation.last_incoming_at),
            )
            .where(of_these)
            .group_by(Conversation.customer_id)
        )
    }
    rank = func.row_number().over(
        partition_by=Conversation.customer_id,
        order_by=(Conversation.last_incoming_at.desc(), Conversation.id.desc()),
    )
    ranked = (
        select(Conversation.customer_id, Conversation.newest_message_id, rank.label("rank"))
        .where(of_these, Conversation.last_incoming_at.is_not(None))
        .subquery()
    )
    newest: dict[int, AnalysisRow] = dict(
        session.execute(
            select(ranked.c.customer_id, AnalysisRow)
            .join(AnalysisRow, AnalysisRow.message_id == ranked.c.newest_message_id)
            .where(ranked.c.rank == 1)
        ).all()
    )
    rows = []
    for customer in customers:
        count, unsolved, last_at = talks.get(customer.id, (0, 0, None))
        spend = Spend(customer.spend_12m, currency, percentiles.get(customer.id))
        rows.append(
            CustomerRow(
                customer,
                spend if customer.spend_until else None,
                count,
                unsolved,
                last_at,
                newest.get(customer.id),
            )
        )
    return rows


def _spend(session: Session, customer: Customer, now: datetime) -> Spend | None:
    orders = session.scalar(
        select(func.count()).where(
            Event.customer_id == customer.id,
            Event.kind == "purchase",
            Event.occurred_at > now - WINDOW,
            Event.occurred_at <= now,
        )
    )
    if not orders and not customer.spend_12m:
        return None
    percentile = spend_percentiles(session, [customer]).get(customer.id)
    return Spend(customer.spend_12m, active_policy(session).policy.currency, percentile, orders or 0)


def _events(session: Session, customer_id: int, kinds: Sequence[str] = ()) -> Sequence[Event]:
    query = select(Event).where(Event.customer_id == customer_id)
    if kinds:
        query = query.where(Event.kind.in_(kinds))
    return session.scalars(query.order_by(Event.occurred_at.desc(), Event.id.desc()).limit(LAST_EVENTS)).all()


def _moods(session: Session, customer_id: int) -> list[Mood]:
    # Probabilities weigh themselves: where the model hesitates they are near the middle. What it did not
    # read, such as another language, has no confidence at all and says nothing of the relation.
    rows = session.execute(
        select(Message.sent_at, AnalysisRow.scores, func.substr(Message.body, 1, 2 * PREVIEW))
        .join(Conversation, Conversation.id == Message.conversation_id)
        .join(AnalysisRow, AnalysisRow.message_id == Message.id)
        .where(
            Conversation.customer_id == customer_id,
            Message.direction == "incoming",
            Message.automatic.is_(False),
            AnalysisRow.sentiment_confidence > 0,
        )
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(LAST_MESSAGES)
    ).all()
    return [
        Mood(at, round(scores["positive"] - scores["negative"], 4), _line(text))
        for at, scores, text in reversed(rows)
    ]


def _talks(session: Session, customer_id: int, current_id: int | None) -> list[Talk]:
    last_at: Any = func.coalesce(Conversation.last_incoming_at, Conversation.created_at)
    conversations = session.scalars(
        select(Conversation)
        .where(Conversation.customer_id == customer_id)
        .options(joinedload(Conversation.channel), joinedload(Conversation.newest_message))
        .order_by(last_at.desc(), Conversation.id.desc())
        .limit(LAST_CONVERSATIONS)
    )
    return [
        Talk(
            each.id,
            each.subject or (_line(each.newest_message.body) if each.newest_message else "No text"),
            each.goes_by,
            each.status,
            each.last_incoming_at or each.created_at,
            each.id == current_id,
        )
        for each in conversations
    ]


def _line(text: str) -> str:
    line = " ".join(text[: 2 * PREVIEW].split())
    return line if len(line) <= PREVIEW else f"{line[: PREVIEW - 1].rstrip()}…"
