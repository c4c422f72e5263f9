"""Spend of the last 12 months and its percentile."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from hub.customers.models import Customer, Event
from hub.database import among

WINDOW = timedelta(days=365)


def refresh_spend(session: Session, customer_ids: Collection[int], now: datetime) -> None:
    """Count anew what these customers spent: purchases less returns, by the time they occurred."""
    happened = Event.occurred_at <= now
    signed = case((Event.kind == "return", -Event.base_amount), else_=Event.base_amount)
    sums = {
        row.customer_id: row
        for row in session.execute(
            select(
                Event.customer_id,
                func.sum(signed).filter(happened).label("spend"),
                func.min(Event.occurred_at).filter(happened).label("oldest_at"),
                func.min(Event.occurred_at).filter(~happened).label("coming_at"),
            )
            .where(
                Event.customer_id.in_(customer_ids),
                Event.kind.in_(("purchase", "return")),
                Event.occurred_at > now - WINDOW,
            )
            .group_by(Event.customer_id)
        )
    }
    for customer in session.scalars(select(Customer).where(Customer.id.in_(customer_ids))):
        row = sums.get(customer.id)
        spend = Decimal(row.spend or 0).quantize(Decimal("0.01")) if row else Decimal(0)
        changes = [row.oldest_at + WINDOW if row.oldest_at else None, row.coming_at] if row else []
        customer.spend_until = min((at for at in changes if at is not None), default=None)
        if customer.spend_12m != spend:
            customer.spend_12m = spend
            customer.changed_at = now


def refresh_expired(session: Session, now: datetime, limit: int = 500) -> int:
    """Count anew for those of whom a purchase has left the window or entered it; how many there were."""
    due = session.scalars(
        select(Customer.id).where(Customer.spend_until <= now).order_by(Customer.spend_until).limit(limit)
    ).all()
    if due:
        refresh_spend(session, due, now)
    return len(due)


def spend_percentiles(session: Session, customers: Collection[Customer]) -> dict[int, float]:
    """By customer id: the share, 0..100, of buying customers who spend no more; absent for who never bought.

    Asked at the moment it is needed, from an index over those who buy, so it is never stale.
    """
    buying = [customer for customer in customers if customer.spend_12m > 0]
    if not buying:
        return {}
    # How many lie between one of these and the next: each buyer is counted once, however many are asked for.
    theirs = among(Customer.id, [customer.id for customer in buying]) & (Customer.spend_12m > 0)
    asked = select(Customer.spend_12m.label("to")).where(theirs).distinct().subquery()
    before = func.lag(asked.c.to).over(order_by=asked.c.to).label("above")
    ranges = select(asked.c.to, before).subquery()
    between = select(func.count()).where(
        Customer.spend_12m > func.coalesce(ranges.c.above, 0), Customer.spend_12m <= ranges.c.to
    )
    rows = session.execute(select(ranges.c.to, between.scalar_subquery()).order_by(ranges.c.to)).all()
    most = max(customer.spend_12m for customer in buying)
    more = session.scalar(select(func.count()).where(Customer.spend_12m > most)) or 0
    no_more = list(accumulate(count for _, count in rows))
    total = no_more[-1] + more if rows else 0
    share = {spend: 100 * count / total for (spend, _), count in zip(rows, no_more, strict=True)}
    return {customer.id: share[customer.spend_12m] for customer in buying if customer.spend_12m in share}
