"""Customers, identities, events."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    event,
    false,
    inspect,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.database import Base, JsonColumn, Money, UtcDateTime

EventKind = Literal[
    "purchase", "return", "check_in", "visit", "survey_answer", "points_earned", "points_burned"
]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)


class Customer(Base):
    """A person.

    `spend_12m` is purchases less returns of the last 365 days, in the policy's currency; it is right until
    `spend_until`, when one of them leaves the window or enters it. `changed_at` says since when their
    conversations may stand in another place, and whoever sets it thereby sets `moved`, until they are placed
    anew. `external_id` is the CRM's; None for somebody met in a message
    only.
    """

    __tablename__ = "customers"
    __table_args__ = (
        Index("ix_customers_spend_12m", "spend_12m", "id"),
        Index("ix_customers_name", "name", "id"),
        Index("ix_customers_moved", "id", postgresql_where=text("moved"), sqlite_where=text("moved")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(300))
    external_id: Mapped[str | None] = mapped_column(String(200), unique=True)
    tier: Mapped[str | None] = mapped_column(String(50))
    points: Mapped[int | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    language: Mapped[str | None] = mapped_column(String(10))
    joined_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    followers: Mapped[int | None]
    spend_12m: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))
    spend_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    moved: Mapped[bool] = mapped_column(default=False, server_default=false())

    identities: Mapped[list[CustomerIdentity]] = relationship(
        back_populates="customer", order_by="CustomerIdentity.id", passive_deletes=True
    )


@event.listens_for(Customer.changed_at, "set")
def _move(customer: Customer, *_: Any) -> None:
    # Who is new has no conversation yet.
    if inspect(customer).persistent:
        customer.moved = True


class CustomerIdentity(Base):
    """One place where a customer can be met; `place` names the network of a handle, else it is empty."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("kind", "place", "value"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    place: Mapped[str] = mapped_column(String(100), default="")
    value: Mapped[str] = mapped_column(String(400))

    customer: Mapped[Customer] = relationship(back_populates="identities")


class Event(Base):
    """Anything a customer did. `amount` is as paid, in `currency`; `base_amount` in the policy's currency."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        CheckConstraint(f"kind IN {EVENT_KINDS}", name="kind"),
        Index("ix_events_customer_id_occurred_at", "customer_id", "occurred_at"),
        Index("ix_events_occurred_at", "occurred_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(100))
    external_id: Mapped[str] = mapped_column(String(300))
    kind: Mapped[str] = mapped_column(String(20))
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    amount: Mapped[Decimal | None] = mapped_column(Money)
    currency: Mapped[str | None] = mapped_column(String(3))
    base_amount: Mapped[Decimal | None] = mapped_column(Money)
    place: Mapped[str | None] = mapped_column(String(200))
    details: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
