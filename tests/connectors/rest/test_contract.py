"""The contract, for `rest`, by the description of a tracker made at home."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from connectors.base import Connector
from connectors.rest.connector import RestConfig, RestConnector
from connectors.testing import ConnectorContract, Vendor
from tests.connectors.contract import Item
from tests.connectors.rest.standin import HOME_KEY, Homemade, Told, running
from tests.servers import free_port

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def open_rest(source: Any, **config: Any) -> RestConnector:
    """A connector whose clock stands at `NOW`."""
    return RestConnector(RestConfig.model_validate({"source": source, **config}), clock=lambda: NOW)


def items_of(connector: Connector, cursor: Any = None) -> list[Item]:
    return [item for batch in connector.fetch(cursor) for item in batch.items]


def without(part: str) -> dict[str, Any]:
    """The description of the tracker made at home, less a part."""
    text = files("connectors.rest").joinpath("examples", "homemade.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    return {name: value for name, value in found.items() if name not in (part, "find")}


class TestRestContract(ConnectorContract):
    name: ClassVar[str] = "rest"
    config: ClassVar[dict[str, Any]] = {
        "source": "homemade",
        "token": HOME_KEY,
        "username": "s3cret-user",
        "password": "s3cret-word",
        "webhook_secret": "s3cret-hook",
    }
    secrets: ClassVar[tuple[str, ...]] = (HOME_KEY, "s3cret-user", "s3cret-word", "s3cret-hook")

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with running(Homemade()) as self.tracker:
            self.connector = open_rest("homemade", base_url=self.tracker.url, token=HOME_KEY)
            yield
            self.connector.close()

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        return self.read_bytes(b",".join(event.read_bytes() for event in events), folder)

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        self.tracker.instead = [Told(200, raw=b'{"tickets": [' + raw + b"]}")]
        return items_of(self.connector)

    def pulled(self, folder: Path) -> Connector | None:
        self.tracker.tickets = [
            {
                "number": number,
                "changed_at": f"2026-03-02T{number:02}:00:00Z",
                "messages": [
                    {"id": f"{number}-{each}", "text": "words", "from": {"kind": "customer", "nick": "mara"}}
                    for each in range(3)
                ],
            }
            for number in range(1, 8)
        ]
        return open_rest("homemade", base_url=self.tracker.url, token=HOME_KEY)

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        yield Vendor(self.connector, lambda: list(self.tracker.taken))

    def absent_vendor(self, folder: Path) -> Connector:
        return open_rest("homemade", base_url=f"http://127.0.0.1:{free_port()}", token=HOME_KEY)

    def without_a_way_out(self) -> Connector:
        return open_rest(without("reply"), token=HOME_KEY)
