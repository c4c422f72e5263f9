"""What the demo's customers bought, returned and earned in the last fourteen months: drawn, always the same.

Spending has a heavy tail: a customer's yearly spend is log-normal around the median of their tier, so that
top spenders tend to be platinum, with exceptions both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from hub.demo.people import Person, Product, brand
from hub.demo.timing import Present, rhythmic_seconds

MONTHS_DAYS = 425

# Median euros a year, and how widely people of the tier differ (sigma of the logarithm).
_SPEND = {
    "platinum": (3600, 0.45),
    "gold": (1250, 0.45),
    "silver": (520, 0.5),
    "bronze": (190, 0.6),
    "": (95, 0.9),
}
# Platinum from better days, and people who spend much and never joined.
_EXCEPTIONS = {
    "p.vanhoorne": 140,
    "terence.bullimore": 0,
    "overpackedollie": 2900,
    "henrik.falkesgaard": 1850,
    "kaltfrontkai": 1400,
}
_BOUGHT_THIS_MORNING = {"mara_w": "skerry", "jaap_loopt": "cairn", "papa_mit_kraxe": "wren"}
_GBP = Decimal("0.88")


@dataclass(frozen=True, slots=True)
class Happening:
    """One row of the events file. `amount` is positive for returns too; the kind tells which way it goes."""

    person: Person
    kind: str
    at: datetime
    amount: Decimal | None = None
    place: str = ""
    items: tuple[str, ...] = ()
    points: int | None = None


def history(
    present: Present, customers: Iterable[Person], known: Mapping[str, list[tuple[str, datetime]]]
) -> list[Happening]:
    """Everything the customers did, oldest first.

    `known` are purchases the threads speak of: by customer key, `product` or `product@store`, and when.
    """
    found: list[Happening] = []
    for customer in customers:
        rng = Random(f"shopping {customer.key}")  # noqa: S311 - a story, not a secret
        found.extend(_of(customer, present, known.get(customer.key, []), rng))
    return sorted((h for h in found if h.at <= present.now), key=lambda h: (h.at, h.person.key, h.kind))


def opening_points(customer: Person) -> int:
    """The waymarks a customer had before the history begins."""
    if not customer.tier:
        return 0
    top = {"platinum": 4000, "gold": 1500, "silver": 600}.get(customer.tier, 150)
    return Random(f"points {customer.key}").randrange(top)  # noqa: S311 - a story, not a secret


def _of(
    customer: Person, present: Present, known: list[tuple[str, datetime]], rng: Random
) -> Iterable[Happening]:
    products = {product.key: product for product in brand().products}
    points = opening_points(customer)
    for at, basket, home in sorted(_baskets(customer, present, known, products, rng), key=lambda b: b[0]):
        store = next((s for s in brand().stores if s.key == home), None)
        place = store.name if store else "online"
        amount = sum((_price(product, customer) for product in basket), Decimal())
        if store:
            yield Happening(customer, "check_in", at - timedelta(minutes=rng.randrange(8, 45)), place=place)
        burned = 0
        if customer.tier and points > 600 and rng.random() < 0.2:
            burned = min(points // 100, int(amount) // 10) * 100
        if burned:
            points -= burned
            yield Happening(customer, "points_burned", at, place=place, points=burned)
        paid = amount - burned // 100 * 5
        yield Happening(customer, "purchase", at, paid, place, tuple(p.name for p in basket))
        if customer.tier and int(paid):
            points += int(paid)
            yield Happening(
                customer, "points_earned", at + timedelta(seconds=40), place=place, points=int(paid)
            )
        if rng.random() < 0.08:
            back = rng.choice(basket)
            later = at + timedelta(days=rng.randrange(3, 24), hours=rng.randrange(4))
            yield Happening(customer, "return", later, min(_price(back, customer), paid), place, (back.name,))
    if customer.home != "online":
        for _ in range(rng.randrange(4)):
            store_name = next(s.name for s in brand().stores if s.key == customer.home)
            yield Happening(customer, "visit", _some_day(present, rng), place=store_name)
    if rng.random() < 0.3:
        yield Happening(customer, "survey_answer", _some_day(present, rng), place="online")


def _baskets(
    customer: Person,
    present: Present,
    known: list[tuple[str, datetime]],
    products: Mapping[str, Product],
    rng: Random,
) -> Iterable[tuple[datetime, list[Product], str]]:
    for bought, at in known:
        key, _, store = bought.partition("@")
        yield at, [products[key]], store or "online"
    if key := _BOUGHT_THIS_MORNING.get(customer.key, ""):
        yield _this_morning(present, rng), [products[key], products["plod"]], customer.home
    median, sigma = _SPEND[customer.tier]
    budget = _EXCEPTIONS.get(customer.key, median * rng.lognormvariate(0, sigma)) * MONTHS_DAYS / 365
    shelf = list(products.values())
    while budget > 0:
        count = rng.choices((1, 2, 3, 4), (46, 30, 16, 8))[0]
        basket = rng.choices(shelf, [product.sells for product in shelf], k=count)
        if sum(product.price for product in basket) > budget * 1.6:
            basket = [rng.choice([product for product in shelf if product.price < 50])]
        budget -= float(sum(product.price for product in basket))
        in_store = customer.home != "online" and rng.random() < 0.55
        yield _some_day(present, rng), basket, customer.home if in_store else "online"


def _price(product: Product, customer: Person) -> Decimal:
    if customer.currency == "GBP":
        return (product.price * _GBP).quantize(Decimal(1))
    return product.price


def _some_day(present: Present, rng: Random) -> datetime:
    day = present.local.date() - timedelta(days=rng.randrange(2, MONTHS_DAYS))
    return _moment(day.isoformat(), max(rhythmic_seconds(rng), 9 * 3600), present.zone)


def _this_morning(present: Present, rng: Random) -> datetime:
    moment = _moment(present.local.date().isoformat(), 9 * 3600 + rng.randrange(5400), present.zone)
    return min(moment, present.now - timedelta(minutes=rng.randrange(40, 90)))


def _moment(day: str, seconds: int, zone: ZoneInfo) -> datetime:
    return (
        datetime.combine(datetime.fromisoformat(day), time(), zone) + timedelta(seconds=seconds)
    ).astimezone(UTC)
