"""The contract, for `mastodon`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors import connect
from connectors.base import Connector
from connectors.mastodon.connector import MastodonConnector
from tests.connectors.contract import ConnectorContract, Item, Vendor
from tests.connectors.mastodon.conftest import items_of, open_mastodon
from tests.connectors.mastodon.standin import TOKEN, StandIn
from tests.servers import free_port


class TestMastodonContract(ConnectorContract):
    name: ClassVar[str] = "mastodon"
    config: ClassVar[dict[str, Any]] = {
        "server": "https://toot.example",
        "access_token": TOKEN,
        "hashtags": ["acme"],
    }
    secrets: ClassVar[tuple[str, ...]] = (TOKEN,)

    there: StandIn
    connector: MastodonConnector

    @pytest.fixture(autouse=True)
    def _server(self, there: StandIn) -> Iterator[None]:
        self.there = there
        self.connector = open_mastodon(there)
        yield
        self.connector.close()

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        return self.read_bytes(b",".join(event.read_bytes() for event in events), folder)

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        self.there.page = b"[" + raw + b"]"
        return items_of(self.connector)

    def pulled(self, folder: Path) -> Connector | None:
        there = self.there
        for number in range(50):
            at = there.now - timedelta(days=1, minutes=-number)
            there.address(f"<p>words {number % 7}</p>", at=at)
            there.write(f"<p>overheard {number}</p>", at=at, tags=("acme",))
        connector = open_mastodon(there, hashtags=["acme"])
        # What is read for the first time is the little that is recent; the rest is read on from here.
        connector.fetch = lambda cursor, fetch=connector.fetch: fetch(cursor or _BEGINNING)  # type: ignore
        return connector

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        self.there.write("<p>Where is my parcel?</p>", status_id="post-5")
        yield Vendor(open_mastodon(self.there), lambda: list(self.there.keys))

    def absent_vendor(self, folder: Path) -> Connector:
        return connect(self.name, {"server": f"http://127.0.0.1:{free_port()}", "access_token": TOKEN})

    def without_a_way_out(self) -> Connector:
        return connect(self.name, {"server": "https://toot.example"})


_BEGINNING = {"mentions": "0", "tags": {"acme": "0"}, "recent": {}, "checked": 0}
