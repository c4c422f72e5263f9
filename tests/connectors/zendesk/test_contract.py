"""The contract, for `zendesk`, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.base import Connector, OutboundMessage, Sent
from connectors.zendesk.connector import ZendeskConfig, ZendeskConnector
from tests.connectors.contract import ConnectorContract, Item, Vendor
from tests.connectors.zendesk.standin import API_TOKEN, EMAIL, NOW, Standin, running_standin
from tests.servers import free_port

CONFIG = {"subdomain": "acme", "email": EMAIL, "api_token": API_TOKEN}


def connector(standin: Standin | None = None, **config: Any) -> ZendeskConnector:
    """One that lives in the stand-in's time."""
    clock = (lambda: standin.now) if standin else (lambda: NOW)
    return ZendeskConnector(ZendeskConfig.model_validate({**CONFIG, "timeout_seconds": 5, **config}), clock)


def load(standin: Standin, name: str) -> dict[str, Any]:
    """Put one fixture into the account."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures" / f"{name}.json").read_bytes())
    standin.add(found["ticket"], found["comments"], found["users"])
    return found


class _InTicket(ZendeskConnector):
    """Takes the replies of the contract to be for ticket 101."""

    def send(self, message: OutboundMessage) -> Sent:
        return super().send(replace(message, thread_key="101"))

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        return super().find_sent(replace(message, thread_key="101"))


class TestZendeskContract(ConnectorContract):
    name: ClassVar[str] = "zendesk"
    config: ClassVar[dict[str, Any]] = CONFIG
    secrets: ClassVar[tuple[str, ...]] = (API_TOKEN,)

    @pytest.fixture(autouse=True)
    def account(self, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
        self.standin = standin
        self.environment = monkeypatch

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        self.standin.tickets.clear()
        for event in events:
            found = json.loads(event.read_bytes())
            self.standin.add(found["ticket"], found["comments"], found["users"])
        return self._fetched(self.standin)

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        load(self.standin, "ticket_opened")
        self.standin.raw_comments = raw
        return self._fetched(self.standin)

    def _fetched(self, standin: Standin) -> list[Item]:
        standin.used = 0
        return [item for batch in connector(standin).fetch(None) for item in batch.items]

    def pulled(self, folder: Path) -> Connector | None:
        for event in self.accepted_events():
            load(self.standin, event.stem)
        return connector(self.standin, page_size=2)

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        with running_standin() as account:
            load(account, "ticket_opened")
            replying = _InTicket(ZendeskConfig.model_validate(CONFIG), lambda: account.now)
            yield Vendor(replying, account.marks)

    def absent_vendor(self, folder: Path) -> Connector:
        self.environment.setenv("ZENPY_FORCE_NETLOC", f"127.0.0.1:{free_port()}")
        return _InTicket(ZendeskConfig.model_validate(CONFIG), lambda: NOW)
