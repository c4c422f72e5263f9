"""A connector that asks the stand-in, at the stand-in's time."""

from __future__ import annotations

from typing import Any

from connectors.base import Connector, InboundMessage, Item
from connectors.x.connector import XConnector
from connectors.x.settings import XConfig
from tests.connectors.x.standin import BEARER, KEYS, StandIn


def connector(x: StandIn, **config: Any) -> XConnector:
    """With the account's keys and the app's token, unless told otherwise."""
    settings = {**KEYS, "bearer_token": BEARER, "base_url": x.url, "timeout_seconds": 5, **config}
    return XConnector(XConfig.model_validate(settings), clock=lambda: x.now)


def fetched(connector: Connector, cursor: Any = None) -> tuple[list[Item], Any]:
    """All that a fetch brings, and the cursor after it."""
    items: list[Item] = []
    for batch in connector.fetch(cursor):
        items += batch.items
        cursor = batch.cursor
    return items, cursor


def texts(items: list[Item]) -> list[str]:
    """What the messages among them say."""
    return [item.text for item in items if isinstance(item, InboundMessage)]
