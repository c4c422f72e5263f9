"""Importing customers and events from CSV: idempotent, row by row, with errors that name line and column."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from itertools import islice
from typing import IO, Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connectors.base import Identity
from hub.conversations.models import Conversation
from hub.customers.identities import Key, find_by_identities, normalise
from hub.customers.models import EVENT_KINDS, Customer, CustomerIdentity, Event
from hub.customers.spend import refresh_spend
from hub.database import Database, nudge
from hub.errors import Invalid
from routing.policy import Policy

CHUNK = 500
CUSTOMER_COLUMNS = (
    "customer_id",
    "name",
    "email",
    "handles",
    "phone",
    "loyalty_number",
    "tier",
    "points",
    "currency",
    "language",
    "joined_at",
)
EVENT_COLUMNS = (
    "event_id",
    "customer",
    "kind",
    "occurred_at",
    "amount",
    "currency",
    "place",
    "items",
    "points",
)


# What the tables hold; SQLite would take more and PostgreSQL would not.
_LONGEST = {
    "customer_id": 200,
    "name": 300,
    "email": 400,
    "phone": 400,
    "loyalty_number": 400,
    "language": 10,
    "event_id": 300,
    "place": 200,
}
_LARGEST = 2**31 - 1
# No column has this name: why the row has no cells to speak of.
_UNREADABLE = "\0"


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was left out."""

    line: int
    column: str
    message: str


@dataclass(slots=True)
class ImportReport:
    """What became of the rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)


class _BadRow(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def import_customers(
    database: Database,
    source: IO[str],
    policy: Policy,
    now: datetime,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Make or update the customers in a CSV file with the columns `CUSTOMER_COLUMNS`.

    Only `customer_id` is required. `handles` holds `network:@name`, several separated by spaces. An empty
    cell leaves what is known; a person met in messages only is taken over by the row that names their
    address, handle, phone or loyalty number.
    Raises: Invalid where the header cannot be used.
    """
    return _import(database, source, CUSTOMER_COLUMNS, {"customer_id"}, progress, _customer_row, policy, now)


def import_events(
    database: Database,
    source: IO[str],
    policy: Policy,
    now: datetime,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Store the events in a CSV file with the columns `EVENT_COLUMNS`; a known `event_id` is left alone.

    `customer` is a customer id, mail address or loyalty number; `occurred_at` is ISO 8601, UTC where it names
    no offset.
    Raises: Invalid where the header cannot be used.
    """
    required = {"event_id", "customer", "kind", "occurred_at"}
    return _import(database, source, EVENT_COLUMNS, required, progress, _event_row, policy, now)


def _import(
    database: Database,
    source: IO[str],
    columns: tuple[str, ...],
    required: set[str],
    progress: Callable[[int], None],
    store: Callable[[Session, Mapping[str, str], Policy, datetime], tuple[str, int]],
    policy: Policy,
    now: datetime,
) -> ImportReport:
    report = ImportReport()
    rows = _rows(source, columns, required)
    while chunk := list(islice(rows, CHUNK)):
        with database.session() as session:
            touched: set[int] = set()
            for line, row in chunk:
                try:
                    _check_cells(row)
                    with session.begin_nested():
                        outcome, customer_id = store(session, row, policy, now)
                except _BadRow as error:
                    report.errors.append(RowError(line, error.column, str(error)))
                except IntegrityError:
                    report.errors.append(
                        RowError(line, "", "contradicts what is stored; see the rows before it")
                    )
                else:
                    setattr(report, outcome, getattr(report, outcome) + 1)
                    touched.add(customer_id)
            session.flush()
            refresh_spend(session, touched, now)
            nudge(session, "replace")
        progress(len(chunk))
    return report


def _rows(
    source: IO[str], columns: tuple[str, ...], required: set[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    header_line = source.readline().lstrip("\ufeff")
    delimiter = max(",;\t", key=header_line.count)
    header = [name.strip().lower() for name in next(csv.reader([header_line], delimiter=delimiter), [])]
    for name in header:
        if name not in columns:
            near = get_close_matches(name, columns, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(columns)}"
            raise Invalid(f"unknown column {name!r}{hint}", field=name)
    if missing := required - set(header):
        raise Invalid(f"the header lacks {', '.join(sorted(missing))}", field="header")
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield reader.line_num + 1, {_UNREADABLE: f"the row cannot be read: {error}"}
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            if len(cells) > len(header):
                row[_UNREADABLE] = f"the row has {len(cells)} cells, the header {len(header)}"
            yield reader.line_num + 1, row


def _check_cells(row: Mapping[str, str]) -> None:
    if problem := row.get(_UNREADABLE):
        raise _BadRow("", problem)
    for column, cell in row.items():
        if "\0" in cell:
            raise _BadRow(column, f"{column} holds NUL characters")
        longest = _LONGEST.get(column)
        if longest is not None and len(cell) > longest:
            raise _BadRow(column, f"{column} is longer than {longest} characters")


def _customer_row(session: Session, row: Mapping[str, str], policy: Policy, now: datetime) -> tuple[str, int]:
    external_id = _required(row, "customer_id")
    values: dict[str, Any] = {}
    if name := row.get("name"):
        values["name"] = name
    if tier := row.get("tier"):
        known = policy.known_tier(tier)
        if known is None:
            raise _BadRow("tier", f"tier {tier!r} is none of the policy's: {', '.join(policy.tiers)}")
        values["tier"] = known
    if points := row.get("points"):
        values["points"] = _integer("points", points)
    if currency := row.get("currency"):
        values["currency"] = _currency(currency)
    if language := row.get("language"):
        values["language"] = language.lower()
    if joined := row.get("joined_at"):
        values["joined_at"] = _moment("joined_at", joined)
    keys = list(_identity_keys(row))

    customer = session.scalar(select(Customer).where(Customer.external_id == external_id))
    owners = find_by_identities(session, keys)
    shells: list[Customer] = []
    for key, owner_id in owners.items():
        if customer is not None and owner_id == customer.id:
            continue
        owner = session.get_one(Customer, owner_id)
        if owner.external_id is not None and owner.external_id != external_id:
            raise _BadRow(_COLUMN[key[0]], f"{key[2]} belongs to customer {owner.external_id} already")
        if owner not in shells:
            shells.append(owner)
    if customer is None:
        outcome = "created"
        if shells:
            customer = shells.pop(0)
            customer.external_id = external_id
        else:
            customer = Customer(
                external_id=external_id, name=values.get("name", external_id), created_at=now, changed_at=now
            )
            session.add(customer)
    else:
        outcome = "unchanged"
    changed = {name: value for name, value in values.items() if getattr(customer, name) != value}
    for name, value in changed.items():
        setattr(customer, name, value)
    session.flush()
    for shell in shells:
        _take_over(session, customer, shell)
    mine = find_by_identities(session, keys)
    fresh = [key for key in keys if key not in mine]
    session.add_all(CustomerIdentity(customer_id=customer.id, kind=k, place=p, value=v) for k, p, v in fresh)
    if changed or fresh or shells:
        customer.changed_at = now
        outcome = "updated" if outcome == "unchanged" else outcome
    session.flush()
    return outcome, customer.id


def _take_over(session: Session, customer: Customer, shell: Customer) -> None:
    for model in (CustomerIdentity, Conversation, Event):
        session.execute(update(model).where(model.customer_id == shell.id).values(customer_id=customer.id))
    session.expire(shell)
    session.delete(shell)
    session.flush()


def _event_row(session: Session, row: Mapping[str, str], policy: Policy, now: datetime) -> tuple[str, int]:
    external_id = _required(row, "event_id")
    kind = _required(row, "kind").lower()
    if kind not in EVENT_KINDS:
        near = get_close_matches(kind, EVENT_KINDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(EVENT_KINDS)}"
        raise _BadRow("kind", f"unknown kind {kind!r}{hint}")
    occurred_at = _moment("occurred_at", _required(row, "occurred_at"))
    customer = _find_customer(session, _required(row, "customer"))
    known = session.scalar(select(Event.id).where(Event.source == "import", Event.external_id == external_id))
    if known is not None:
        return "unchanged", customer.id
    amount = _amount(row.get("amount", ""))
    currency = row.get("currency") or customer.currency or policy.currency
    base_amount = None
    if kind in ("purchase", "return"):
        if amount is None:
            raise _BadRow("amount", f"a {kind} needs an amount")
        currency = _currency(currency)
        try:
            base_amount = policy.base_amount(amount, currency).quantize(Decimal("0.01"))
        except KeyError:
            raise _BadRow("currency", f"the policy has no exchange rate for {currency}") from None
    details: dict[str, Any] = {}
    if items := row.get("items"):
        details["items"] = items
    if points := row.get("points"):
        details["points"] = _integer("points", points)
    session.add(
        Event(
            customer_id=customer.id,
            source="import",
            external_id=external_id,
            kind=kind,
            occurred_at=occurred_at,
            amount=amount,
            currency=currency if amount is not None else None,
            base_amount=base_amount,
            place=row.get("place") or None,
            details=details,
        )
    )
    session.flush()
    return "created", customer.id


def _find_customer(session: Session, reference: str) -> Customer:
    customer = session.scalar(select(Customer).where(Customer.external_id == reference))
    if customer is None:
        candidates = [Identity("email", reference)] if "@" in reference else [Identity("loyalty", reference)]
        owners = find_by_identities(session, [normalise(identity) for identity in candidates])
        customer = session.get(Customer, next(iter(owners.values()))) if owners else None
    if customer is None:
        raise _BadRow("customer", f"no customer {reference!r}: import customers first")
    return customer


_COLUMN = {"email": "email", "handle": "handles", "phone": "phone", "loyalty": "loyalty_number"}


def _identity_keys(row: Mapping[str, str]) -> Iterator[Key]:
    if email := row.get("email"):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise _BadRow("email", f"{email!r} is not a mail address")
        yield normalise(Identity("email", email))
    for handle in row.get("handles", "").split():
        place, colon, value = handle.partition(":")
        if not colon or not value.strip("@"):
            raise _BadRow("handles", f"{handle!r} is not of the form network:@name")
        if len(place) > 100 or len(value) > 400:
            raise _BadRow("handles", "a handle is too long")
        yield normalise(Identity("handle", value, place.lower()))
    if phone := row.get("phone"):
        yield normalise(Identity("phone", phone))
    if loyalty := row.get("loyalty_number"):
        yield normalise(Identity("loyalty", loyalty))


def _required(row: Mapping[str, str], column: str) -> str:
    if not row.get(column):
        raise _BadRow(column, f"{column} is empty")
    return row[column]


def _integer(column: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise _BadRow(column, f"{text!r} is not a whole number") from None
    if abs(number) > _LARGEST:
        raise _BadRow(column, f"{text} is larger than {_LARGEST:,}")
    return number


def _amount(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise _BadRow("amount", f"{text!r} is not an amount such as 129.90") from None
    if not amount.is_finite() or amount < 0 or amount >= Decimal(10) ** 15:
        raise _BadRow(
            "amount", f"{text!r} is not an amount: give it without a sign, the kind says the direction"
        )
    return amount.quantize(Decimal("0.01"))


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise _BadRow("currency", f"{text!r} is not a currency code such as EUR")
    return text.upper()


def _moment(column: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadRow(column, f"{text!r} is not a date such as 2026-03-01 or 2026-03-01T09:30:00Z") from None
