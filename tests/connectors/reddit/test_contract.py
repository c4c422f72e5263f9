"""The contract, for `reddit`, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.base import Connector, OutboundMessage, Sent
from connectors.reddit.connector import RedditConfig, RedditConnector
from tests.connectors.contract import ConnectorContract, Item, Vendor
from tests.connectors.reddit.standin import (
    CLIENT_ID,
    CLIENT_SECRET,
    ME,
    NOW,
    PASSWORD,
    Standin,
    Thing,
    running_standin,
)
from tests.servers import free_port

CONFIG = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "username": ME, "password": PASSWORD}


def settings(url: str, **config: Any) -> RedditConfig:
    """Those of an account of the Reddit at `url`."""
    addresses = {"reddit_url": url, "oauth_url": url, "short_url": url}
    return RedditConfig.model_validate({**CONFIG, **addresses, "timeout_seconds": 5, **config})


def connector(standin: Standin, **config: Any) -> RedditConnector:
    """One that lives in the stand-in's time."""
    return RedditConnector(settings(standin.url, **config), lambda: standin.now)


def thing(name: str) -> Thing:
    """One of the fixtures."""
    found: Thing = json.loads((Path(__file__).parent / "fixtures" / f"{name}.json").read_bytes())
    return found


class _BelowTheComment(RedditConnector):
    """Takes the contract's replies to be for one comment. Reddit knows a reply by its text alone, so that
    another reply has another."""

    def send(self, message: OutboundMessage) -> Sent:
        return super().send(_below(message))

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        return super().find_sent(_below(message))


def _below(message: OutboundMessage) -> OutboundMessage:
    text = f"{message.text}\n\n{message.idempotency_key}"
    return replace(message, in_reply_to="t1_c1", text=text)


class TestRedditContract(ConnectorContract):
    name: ClassVar[str] = "reddit"
    config: ClassVar[dict[str, Any]] = CONFIG
    secrets: ClassVar[tuple[str, ...]] = (CLIENT_SECRET, PASSWORD)

    @pytest.fixture(autouse=True)
    def reddit(self, standin: Standin) -> None:
        self.standin = standin

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        self.standin.listings.clear()
        for event in events:
            self.standin.put("message/inbox", json.loads(event.read_bytes()))
        return self._fetched()

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        listing = b'{"kind": "Listing", "data": {"after": null, "children": [' + raw + b"]}}"
        self.standin.raw["message/inbox"] = listing
        return self._fetched()

    def _fetched(self) -> list[Item]:
        self.standin.used = 0
        return [item for batch in connector(self.standin).fetch(None) for item in batch.items]

    def pulled(self, folder: Path) -> Connector | None:
        for number, event in enumerate(self.accepted_events()):
            where = ("message/inbox", "r/parcels/search", "r/parcels/new", "r/parcels/comments")[number % 4]
            self.standin.put(where, json.loads(event.read_bytes()))
        return connector(self.standin, searches=["parcel"], subreddits=["parcels"], watched=["parcels"])

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        with running_standin() as reddit:
            reddit.put("message/inbox", thing("comment_reply"))
            replying = _BelowTheComment(settings(reddit.url), lambda: reddit.now)
            yield Vendor(replying, lambda: [text.rpartition("\n")[2] for _, text in reddit.said])

    def absent_vendor(self, folder: Path) -> Connector:
        return _BelowTheComment(settings(f"http://127.0.0.1:{free_port()}"), lambda: NOW)
