"""The contract, for `x`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors import connect
from connectors.base import Connector, OutboundMessage
from connectors.x import parse
from connectors.x.parse import Account, View
from tests.connectors.contract import ConnectorContract, Item, Vendor, reply
from tests.connectors.x.served import running
from tests.connectors.x.standin import BEARER, KEYS, NOW, StandIn, user
from tests.connectors.x.world import connector
from tests.servers import free_port

VIEW = View(Account("900", "acmeparcels"), NOW, "DE", 100_000)


class TestXContract(ConnectorContract):
    name: ClassVar[str] = "x"
    config: ClassVar[dict[str, Any]] = {**KEYS, "bearer_token": BEARER, "searches": ["acme parcels"]}
    secrets: ClassVar[tuple[str, ...]] = (*KEYS.values(), BEARER)

    @pytest.fixture(autouse=True)
    def _x(self) -> Iterator[None]:
        with running() as self.x:
            yield

    x: StandIn

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        found = [json.loads(event.read_bytes()) for event in events]
        return [
            *_page([each for each in found if not _private(each)], parse.posts, "stream"),
            *_page([each for each in found if _private(each)], parse.direct_messages),
        ]

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        return list(parse.event(raw, VIEW))

    def pulled(self, folder: Path) -> Connector | None:
        for number in range(5):
            self.x.post(
                user(70 + number, f"writer{number}"), f"@acmeparcels where? {number}", minutes_ago=9 + number
            )
            self.x.post(user(80, "talker"), f"those vans, number {number}", minutes_ago=30 + number)
            self.x.post(user(80, "talker"), f"slow depot, number {number}", minutes_ago=50 + number)
            self.x.write(user(90, "friend"), f"hello {number}", minutes_ago=3 + number)
        return connector(self.x, searches=["vans", "depot"], direct_messages=True)

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        self.asked = self.x.post(user(77, "mara"), "@acmeparcels where is it?")
        yield Vendor(connector(self.x), lambda: [post["written"].split("#")[1] for post in self.x.by_brand()])

    def absent_vendor(self, folder: Path) -> Connector:
        return connect(self.name, {**KEYS, "base_url": f"http://127.0.0.1:{free_port()}"})

    def reply(self, key: str = "reply-1") -> OutboundMessage:
        # X knows no keys: two replies with the same words to the same post are one to it.
        said = reply(key)
        asked = getattr(self, "asked", "2028400000000000001")
        return replace(said, text=f"{said.text} #{key}", in_reply_to=asked, thread_key=asked, created_at=NOW)


def _private(found: Any) -> bool:
    return isinstance(found.get("data"), dict) and "event_type" in found["data"]


def _page(found: Sequence[Any], read: Any, *where: str) -> list[Item]:
    includes: dict[str, list[Any]] = {}
    for each in found:
        for name, values in each.get("includes", {}).items():
            includes[name] = includes.get(name, []) + values
    return list(read({"data": [each["data"] for each in found], "includes": includes}, VIEW, *where))
