"""The story of the demo brand, for a given present: who its customers are, what they buy and what they write.

Pure: no database and no clock. The same present and seed give the same story; nothing lies after the present.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hub.customers.imports import CUSTOMER_COLUMNS, EVENT_COLUMNS
from hub.demo import shopping
from hub.demo.feed import LiveMessage, live
from hub.demo.people import Agent, Brand, brand, people
from hub.demo.script import scenes
from hub.demo.threads import Thread, Turn, digest_of, thread
from hub.demo.timing import Present

__all__ = ["SEED", "LiveMessage", "Story", "Thread", "Turn", "live", "story"]

SEED = 7


@dataclass(frozen=True, slots=True)
class Story:
    """All that the demo loads. The CSV texts are what `hub customers import` and `hub events import` take."""

    brand: Brand
    agents: tuple[Agent, ...]
    customers_csv: str
    events_csv: str
    threads: tuple[Thread, ...]


def story(now: datetime, seed: int = SEED) -> Story:
    """The demo's past, up to `now`, the oldest thread first."""
    present = Present(now.astimezone(UTC), ZoneInfo(brand().timezone))
    threads: list[Thread] = []
    purchases: dict[str, list[tuple[str, datetime]]] = {}
    for number, scene in enumerate(scenes("threads"), start=1):
        rng = Random(f"{seed} {scene.source}")  # noqa: S311 - a story, not a secret
        told = thread(scene, number, present, rng)
        threads.append(told)
        for bought in scene.bought:
            at = told.turns[0].at - timedelta(days=rng.uniform(3, 24))
            purchases.setdefault(scene.person, []).append((bought, at))
    threads.sort(key=lambda told: (told.turns[0].at, told.source))
    happenings = shopping.history(present, people().values(), purchases)
    return Story(
        brand(), brand().agents, _customers_csv(present, happenings), _events_csv(happenings), tuple(threads)
    )


def _customers_csv(present: Present, happenings: Sequence[shopping.Happening]) -> str:
    points = {customer.key: shopping.opening_points(customer) for customer in people().values()}
    for event in happenings:
        sign = {"points_earned": 1, "points_burned": -1}.get(event.kind, 0)
        points[event.person.key] += sign * (event.points or 0)
    rows = []
    for customer in people().values():
        rng = Random(f"joined {customer.key}")  # noqa: S311 - a story, not a secret
        joined = present.now - timedelta(
            days=rng.randrange(shopping.MONTHS_DAYS, 2600), seconds=rng.randrange(86400)
        )
        rows.append(
            (
                customer.customer_id,
                customer.name,
                customer.email,
                f"chirp:@{customer.handle}" if customer.handle else "",
                customer.phone or "",
                customer.loyalty_number or "",
                customer.tier,
                points[customer.key] if customer.tier else "",
                customer.currency,
                customer.language,
                _stamp(joined),
            )
        )
    return _csv(CUSTOMER_COLUMNS, rows)


def _events_csv(happenings: Sequence[shopping.Happening]) -> str:
    rows = []
    for event in happenings:
        stamp = _stamp(event.at)
        rows.append(
            (
                digest_of("event", event.person.key, event.kind, stamp, event.amount, event.items)[:16],
                event.person.customer_id,
                event.kind,
                stamp,
                "" if event.amount is None else f"{event.amount:.2f}",
                "" if event.amount is None else event.person.currency,
                event.place,
                "; ".join(event.items),
                "" if event.points is None else event.points,
            )
        )
    return _csv(EVENT_COLUMNS, rows)


def _csv(fields: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows(rows)
    return out.getvalue()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
