"""Customers for people."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from hub.clock import utcnow
from hub.customers.history import in_words
from hub.customers.models import Customer, Event
from hub.customers.queries import CustomerRow, Filters, customer_profile, last_events, list_customers
from hub.http import PageUser, RowId, SessionDep
from hub.pages import page
from hub.paging import MAX_LIMIT
from hub.policies.service import active_policy

router = APIRouter()
PAGE_ROWS = 50
# Kinds of events that look alike.
_LOOKS = {"survey_answer": "survey", "points_earned": "points", "points_burned": "points"}


@router.get("/customers")
def customers_page(
    request: Request,
    session: SessionDep,
    user: PageUser,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = PAGE_ROWS,
    q: str = "",
    tier: str = "",
) -> Response:
    found = list_customers(session, Filters(q, tier), cursor=cursor, limit=limit)
    chosen = {"q": q, "tier": tier}
    more = urlencode({**chosen, "cursor": found.next_cursor})
    return page(
        request,
        session,
        user,
        "customers.html",
        "customers",
        filters=chosen,
        tiers=active_policy(session).policy.tiers,
        customers=[_row_view(row) for row in found.items],
        more_url=f"/customers?{more}" if found.next_cursor else None,
    )


@router.get("/customers/{customer_id}")
def customer_page(request: Request, session: SessionDep, user: PageUser, customer_id: RowId) -> Response:
    now = utcnow()
    profile = customer_profile(session, customer_id, now)
    return page(
        request,
        session,
        user,
        "customer.html",
        "customers",
        now=now,
        profile=profile,
        mood=profile.moods,
        events=[_event_view(event) for event in last_events(session, customer_id)],
    )


def _row_view(row: CustomerRow) -> dict[str, Any]:
    customer, newest = row.customer, row.newest
    return {
        "id": customer.id,
        "url": f"/customers/{customer.id}",
        "name": customer.name,
        "tier": customer.tier,
        "points": customer.points,
        "spend": row.spend,
        "met_at": _met_at(customer),
        "conversations": row.conversations,
        "open": row.open,
        "last_at": row.last_at,
        "sentiment": {"label": newest.sentiment, "confidence": newest.sentiment_confidence}
        if newest
        else None,
    }


def _met_at(customer: Customer) -> str:
    places = [
        f"@{each.value} on {each.place}" if each.kind == "handle" else each.value
        for each in customer.identities
    ]
    return ", ".join(places)


def _event_view(event: Event) -> dict[str, Any]:
    return {
        "kind": _LOOKS.get(event.kind, event.kind),
        "what": in_words(event),
        "at": event.occurred_at,
        "place": event.place,
        "amount": event.amount,
        "currency": event.currency,
    }
