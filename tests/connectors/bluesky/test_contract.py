"""The contract, for `bluesky`, against the peer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.base import Connector, OutboundMessage
from connectors.bluesky.outgoing import record_key
from tests.connectors.bluesky.conftest import connected
from tests.connectors.bluesky.peer import HANDLE, NOW, PASSWORD, Peer, mention, post, running_peer
from tests.connectors.contract import ConnectorContract, Item, Vendor, reply
from tests.servers import free_port

KEYS = ("reply-1", "reply/../2")


class TestBlueskyContract(ConnectorContract):
    name: ClassVar[str] = "bluesky"
    config: ClassVar[dict[str, Any]] = {"handle": HANDLE, "app_password": PASSWORD, "terms": ["acme tea"]}
    secrets: ClassVar[tuple[str, ...]] = (PASSWORD,)

    @pytest.fixture(autouse=True)
    def bluesky(self, peer: Peer) -> None:
        self.peer = peer
        self.connector = connected(peer, overlap_minutes=60 * 48)

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        self.peer.notifications = [json.loads(event.read_bytes()) for event in events]
        return self._fetched()

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        body = b'{"notifications": [' + raw + b"]}"
        self.peer.failures["listNotifications"] = [(200, {}, body)]
        return self._fetched()

    def _fetched(self) -> list[Item]:
        # As if it had been fetched yesterday: the events are older than what a first time brings.
        cursor = {"low": {"notifications": NOW.isoformat()}}
        return [item for batch in self.connector.fetch(cursor) for item in batch.items]

    def pulled(self, folder: Path) -> Connector | None:
        times = [NOW - timedelta(minutes=5 * number) for number in range(250)]
        self.peer.notifications = [
            post(f"3ma2{number:09}", f"Number {number}", at=at, **mention())
            for number, at in enumerate(times)
        ]
        return connected(self.peer)

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        with running_peer() as peer:
            names = {record_key(self.reply(key)): key for key in KEYS}
            yield Vendor(connected(peer), lambda: [names[key] for key in peer.records])

    def absent_vendor(self, folder: Path) -> Connector:
        return connected(self.peer, service_url=f"http://127.0.0.1:{free_port()}")

    def reply(self, key: str = "reply-1") -> OutboundMessage:
        answered = {"uri": "at://did:plc:mara/app.bsky.feed.post/3ma2", "cid": "cid-of-3ma2"}
        return replace(reply(key), in_reply_to=answered["uri"], answered=answered)
