"""The demo's customers, products, stores and agents, as the files under `brand/` list them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from random import Random
from typing import Literal

import yaml

from connectors.base import Author, ChannelKind, Identity

NETWORK = "chirp"

# Numbers that regulators keep free for fiction.
_PHONES = {"GB": "+447700900{:03d}", "DE": "+493023125{:03d}", "FR": "+3363998{:04d}"}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the brand; `key` is what threads call it."""

    key: str
    name: str
    kind: ChannelKind


@dataclass(frozen=True, slots=True)
class Store:
    """A store of the brand."""

    key: str
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class Product:
    """`price` is in euros; `sells` is how often it is bought compared with the others."""

    key: str
    name: str
    price: Decimal
    sells: int


@dataclass(frozen=True, slots=True)
class Agent:
    """One of the brand's service people."""

    key: str
    name: str
    email: str
    role: Literal["agent", "social", "manager"]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Brand:
    """Larkfell itself. `timezone` is an IANA name."""

    name: str
    timezone: str
    currency: str
    address: str
    handle: str
    loyalty: str
    channels: tuple[Channel, ...]
    stores: tuple[Store, ...]
    products: tuple[Product, ...]
    agents: tuple[Agent, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes or buys. `tier` is empty outside the programme, `home` a store or `online`."""

    key: str
    customer_id: str | None
    name: str
    email: str | None
    handle: str | None
    phone: str | None
    loyalty_number: str | None
    tier: str
    language: str
    country: str
    home: str
    followers: int

    @property
    def currency(self) -> str:
        return "GBP" if self.country == "GB" else "EUR"

    def author(self, channel: str) -> Author:
        """The person as a channel shows them. Raises: ValueError where they cannot be met there."""
        if channel == NETWORK:
            if self.handle is None:
                raise ValueError(f"{self.key} has no handle")
            return Author((Identity("handle", self.handle, NETWORK),), self.name, self.followers)
        if self.email is None:
            raise ValueError(f"{self.key} has no address")
        identities = [Identity("email", self.email)]
        if channel == "form" and self.loyalty_number:
            identities.append(Identity("loyalty", self.loyalty_number))
        return Author(tuple(identities), self.name)


@cache
def brand() -> Brand:
    """The brand as `brand/brand.yaml` describes it."""
    raw = yaml.safe_load(files("hub.demo").joinpath("brand", "brand.yaml").read_text(encoding="utf-8"))
    return Brand(
        name=raw["name"],
        timezone=raw["timezone"],
        currency=raw["currency"],
        address=raw["address"],
        handle=raw["handle"],
        loyalty=raw["loyalty"],
        channels=tuple(Channel(**row) for row in raw["channels"]),
        stores=tuple(Store(**row) for row in raw["stores"]),
        products=tuple(Product(**{**row, "price": Decimal(row["price"])}) for row in raw["products"]),
        agents=tuple(Agent(**{**row, "languages": tuple(row["languages"])}) for row in raw["agents"]),
    )


@cache
def people() -> Mapping[str, Person]:
    """The customers of `brand/customers.csv` by key; what the file leaves open is drawn, always the same."""
    text = files("hub.demo").joinpath("brand", "customers.csv").read_text(encoding="utf-8")
    found: dict[str, Person] = {}
    for number, row in enumerate(csv.DictReader(text.splitlines()), start=1):
        key = row["handle"] or row["email"].partition("@")[0]
        rng = Random(f"person {key}")  # noqa: S311 - a story, not a secret
        phone = _PHONES.get(row["country"])
        found[key] = Person(
            key=key,
            customer_id=f"LF-{10000 + number * 37}",
            name=row["name"],
            email=row["email"],
            handle=row["handle"] or None,
            phone=phone.format(number) if phone and rng.random() < 0.6 else None,
            loyalty_number=f"WM{40_000_000 + number * 104_729}" if row["tier"] else None,
            tier=row["tier"],
            language=row["language"],
            country=row["country"],
            home=row["home"],
            followers=int(row["followers"] or min(4000, rng.lognormvariate(5.2, 1.1))),
        )
    return found


def person(key: str, language: str | None = None) -> Person:
    """A customer by key, or the stranger that `?handle/Name_Surname` or `?address/Name_Surname` describes.

    Raises: KeyError where no customer has that key.
    """
    if not key.startswith("?"):
        return people()[key]
    place, _, name = key[1:].partition("/")
    mail = "@" in place
    rng = Random(f"stranger {place}")  # noqa: S311 - a story, not a secret
    return Person(
        key=key,
        customer_id=None,
        name=name.replace("_", " "),
        email=place if mail else None,
        handle=None if mail else place,
        phone=None,
        loyalty_number=None,
        tier="",
        language=language or "en",
        country="",
        home="online",
        followers=int(min(9000, rng.lognormvariate(5.0, 1.4))),
    )
