"""Customers for programs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from hub.clock import utcnow
from hub.customers.queries import CustomerRow, Filters, customer_profile, list_customers
from hub.http import ApiUser, RowId, SessionDep
from hub.paging import MAX_LIMIT

router = APIRouter(prefix="/customers", tags=["customers"])


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class IdentityOut(_Out):
    kind: str
    place: str
    value: str


class SpendOut(_Out):
    """Purchases less returns of the last 12 months; `percentile` is 0..100 among those who buy."""

    amount: Decimal
    currency: str
    percentile: float | None


class CustomerItem(_Out):
    """A customer; `last_at` is when they wrote last."""

    id: int
    external_id: str | None
    name: str
    tier: str | None
    points: int | None
    identities: list[IdentityOut]
    spend: SpendOut | None
    conversations: int
    open: int
    last_at: datetime | None


class CustomerPage(BaseModel):
    items: list[CustomerItem]
    next_cursor: str | None


class PurchaseOut(_Out):
    what: str
    at: datetime
    amount: Decimal
    currency: str
    place: str | None
    returned: bool


class MoodOut(_Out):
    """Valence of one message: the probability of positive less that of negative, -1..1."""

    at: datetime
    value: float


class ChannelOut(_Out):
    name: str
    kind: str


class TalkOut(_Out):
    id: int
    subject: str
    channel: ChannelOut
    status: str
    last_at: datetime


class OrdersOut(SpendOut):
    orders: int


class CustomerOut(_Out):
    """All that is known of a customer; lists hold the newest, moods oldest first, the others newest first."""

    id: int
    external_id: str | None
    name: str
    tier: str | None
    points: int | None
    language: str | None
    followers: int | None
    since_at: datetime | None
    identities: list[IdentityOut]
    spend: OrdersOut | None
    purchases: list[PurchaseOut]
    moods: list[MoodOut]
    conversations: list[TalkOut]


@router.get("")
def get_customers(
    user: ApiUser,
    session: SessionDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    q: str = "",
    tier: str = "",
) -> CustomerPage:
    """Customers, who spent most in 12 months first; `q` is a part of a name or of an identity."""
    found = list_customers(session, Filters(q, tier), cursor=cursor, limit=limit)
    return CustomerPage(items=[to_item(row) for row in found.items], next_cursor=found.next_cursor)


@router.get("/{customer_id}")
def get_customer(user: ApiUser, session: SessionDep, customer_id: RowId) -> CustomerOut:
    """One customer."""
    return CustomerOut.model_validate(customer_profile(session, customer_id, utcnow()))


def to_item(row: CustomerRow) -> CustomerItem:
    """A row of the list as the API and `hub customers list --json` show it."""
    customer = row.customer
    return CustomerItem(
        id=customer.id,
        external_id=customer.external_id,
        name=customer.name,
        tier=customer.tier,
        points=customer.points,
        identities=[IdentityOut.model_validate(each) for each in customer.identities],
        spend=SpendOut.model_validate(row.spend) if row.spend else None,
        conversations=row.conversations,
        open=row.open,
        last_at=row.last_at,
    )
