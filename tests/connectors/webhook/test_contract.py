"""The contract, for `webhook`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from connectors import connect
from connectors.base import Connector, Delivery
from connectors.webhook.signature import sign
from tests.connectors.contract import ConnectorContract, Item, Vendor
from tests.connectors.webhook.peer import OTHER_SECRET, SECRET, free_port, running_peer

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def delivery(
    body: bytes, *, delivery_id: str = "d-1", secret: str = SECRET, stamp: int | None = None
) -> Delivery:
    """A signed request that came at `NOW`."""
    stamp = int(NOW.timestamp()) if stamp is None else stamp
    headers = {
        "Webhook-Id": delivery_id,
        "Webhook-Timestamp": str(stamp),
        "Webhook-Signature": sign(secret, delivery_id, stamp, body.decode("utf-8", "replace")),
    }
    return Delivery(headers, body, NOW)


class TestWebhookContract(ConnectorContract):
    name: ClassVar[str] = "webhook"
    config: ClassVar[dict[str, Any]] = {
        "secrets": [SECRET, OTHER_SECRET],
        "reply_url": "https://brand.example/replies",
        "reply_secret": SECRET,
    }
    secrets: ClassVar[tuple[str, ...]] = (SECRET, OTHER_SECRET)

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        if len(events) == 1:
            return self.read_bytes(events[0].read_bytes(), folder)
        bodies = [json.loads(event.read_bytes()) for event in events]
        together = [message for body in bodies for message in body.get("messages", [body])]
        return self.read_bytes(json.dumps({"messages": together}).encode(), folder)

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        connector = connect(self.name, self.config)
        pushed = delivery(raw)
        connector.verify(pushed)
        return list(connector.receive(pushed).items)

    def pulled(self, folder: Path) -> Connector | None:
        return None

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        with running_peer() as peer:
            config = {
                "reply_url": f"{peer.url}/replies",
                "reply_secret": SECRET,
                "status_url": f"{peer.url}/replies/{{key}}",
            }
            yield Vendor(connect(self.name, config), lambda: list(peer.taken))

    def absent_vendor(self, folder: Path) -> Connector:
        return connect(self.name, {"reply_url": f"http://127.0.0.1:{free_port()}/", "reply_secret": SECRET})
