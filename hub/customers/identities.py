"""Finding people: every identity belongs to one customer, and an unknown author becomes a customer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session

from connectors.base import Author, Identity, IdentityKind
from hub.customers.models import Customer, CustomerIdentity
from hub.errors import Conflict, NotFound
from hub.paging import LARGEST

Key = tuple[str, str, str]


def normalise(identity: Identity) -> Key:
    """`identity` as it is stored and compared: kind, place, value."""
    value = identity.value.strip()
    if identity.kind == "email":
        return "email", "", value.lower()
    if identity.kind == "handle":
        return "handle", identity.place, value.lstrip("@").lower()
    if identity.kind == "phone":
        digits = re.sub(r"[^\d+]", "", value)
        return "phone", "", f"+{digits[2:]}" if digits.startswith("00") else digits
    if identity.kind == "loyalty":
        return "loyalty", "", re.sub(r"\s", "", value).upper()
    return identity.kind, identity.place, value


def find_by_identities(session: Session, keys: Sequence[Key]) -> dict[Key, int]:
    """The customer ids of those `keys` that are known."""
    found: dict[Key, int] = {}
    unique = list(dict.fromkeys(keys))
    for start in range(0, len(unique), 500):
        rows = session.execute(
            select(
                CustomerIdentity.kind,
                CustomerIdentity.place,
                CustomerIdentity.value,
                CustomerIdentity.customer_id,
            ).where(
                tuple_(CustomerIdentity.kind, CustomerIdentity.place, CustomerIdentity.value).in_(
                    unique[start : start + 500]
                )
            )
        )
        found.update({(kind, place, value): customer_id for kind, place, value, customer_id in rows})
    return found


def find_customer(session: Session, who: str) -> int:
    """The id of the customer whom `who` names: a customer id, an identity in any place, or the hub's own id.

    Raises: NotFound, Conflict where it names several.
    """
    kinds: tuple[IdentityKind, ...] = get_args(IdentityKind)
    values = {normalise(Identity(kind, who))[2] for kind in kinds}
    met = select(CustomerIdentity.customer_id).where(CustomerIdentity.value.in_(values))
    query = select(Customer.id).where(or_(Customer.external_id == who, Customer.id.in_(met)))
    found = session.scalars(query.order_by(Customer.id).limit(2)).all()
    if len(found) > 1:
        raise Conflict(f"{who!r} is more than one customer")
    if not found and who.isdecimal() and len(who) < len(str(LARGEST)):
        found = session.scalars(select(Customer.id).where(Customer.id == int(who))).all()
    if not found:
        raise NotFound(f"no customer {who!r}")
    return found[0]


def resolve_authors(session: Session, authors: Sequence[Author | None], now: datetime) -> list[Customer]:
    """The customer of each author, in order; unknown ones, and those nobody can name, are made.

    A message never links two customers: where an author's identities belong to different ones, the first that
    is known decides, and only identities that nobody has are added.
    """
    keys = [[normalise(identity) for identity in author.identities] if author else [] for author in authors]
    known = find_by_identities(session, [key for several in keys for key in several])
    customers = {
        customer.id: customer
        for customer in session.scalars(select(Customer).where(Customer.id.in_(set(known.values()))))
    }
    made: dict[Key, Customer] = {}
    resolved: list[Customer] = []
    for author, several in zip(authors, keys, strict=True):
        customer = next((customers[known[key]] for key in several if key in known), None)
        customer = customer or next((made[key] for key in several if key in made), None)
        if customer is None:
            customer = Customer(name=_name(author), created_at=now, changed_at=now)
            session.add(customer)
        for key in several:
            if key not in known and key not in made:
                made[key] = customer
                kind, place, value = key
                session.add(CustomerIdentity(customer=customer, kind=kind, place=place, value=value))
        if author and author.followers is not None and customer.followers != author.followers:
            customer.followers = author.followers
        resolved.append(customer)
    session.flush()
    return resolved


def _name(author: Author | None) -> str:
    if author is None:
        return "Unknown author"
    for identity in author.identities[:1]:
        address = f"@{identity.value.lstrip('@')}" if identity.kind == "handle" else identity.value
        return (author.name or address)[:300]
    return (author.name or "Unknown author")[:300]
