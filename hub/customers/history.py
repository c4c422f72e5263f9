"""What a customer did, in words: purchases with what came back of them, and a line for every event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from hub.customers.models import Event

SHOPPING = ("purchase", "return")


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase; `returned` where all of it came back, a part that did is named in `what`."""

    what: str
    at: datetime
    amount: Decimal
    currency: str
    place: str
    returned: bool


def purchases_of(events: Sequence[Event], limit: int) -> list[Purchase]:
    """The newest purchases among `events`, which are newest first.

    Nothing links a return to its purchase: it belongs to the newest purchase before it with all its items.
    """
    back: dict[int, list[Event]] = {}
    for index, event in enumerate(events):
        if event.kind == "return":
            items = set(_items(event))
            bought = next(
                (
                    earlier
                    for earlier in events[index + 1 :]
                    if earlier.kind == "purchase" and items and items <= set(_items(earlier))
                ),
                None,
            )
            if bought is not None:
                back.setdefault(bought.id, []).append(event)
    purchases = [event for event in events if event.kind == "purchase"][:limit]
    return [_purchase(event, back.get(event.id, [])) for event in purchases]


def in_words(event: Event) -> str:
    """What happened, on one line."""
    items = ", ".join(_items(event))
    points = event.details.get("points")
    match event.kind:
        case "purchase":
            return items or "Purchase"
        case "return":
            return f"Returned {items}" if items else "Return"
        case "check_in":
            return "Checked in"
        case "survey_answer":
            return "Answered a survey"
        case "points_earned" | "points_burned":
            verb = "Earned" if event.kind == "points_earned" else "Used"
            return f"{verb} {points:,} points" if points is not None else f"{verb} points"
        case _:
            return "Visit"


def _purchase(event: Event, back: Sequence[Event]) -> Purchase:
    amount = event.amount or Decimal(0)
    returned = sum((each.amount or Decimal(0) for each in back), Decimal(0))
    whole = bool(back) and returned >= amount
    what = in_words(event)
    if back and not whole:
        what = f"{what} ({', '.join(item for each in back for item in _items(each))} returned)"
    return Purchase(
        what, event.occurred_at, amount, event.currency or "", event.place or "place not known", whole
    )


def _items(event: Event) -> list[str]:
    return [item.strip() for item in event.details.get("items", "").split(";") if item.strip()]
