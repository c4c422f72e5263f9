"""What a Zendesk connector brings, put so that a test can ask for it."""

from __future__ import annotations

import json

from connectors.base import (
    Cursor,
    Identity,
    InboundMessage,
    Item,
    OutboundMessage,
)
from connectors.zendesk.connector import ZendeskConnector
from tests.connectors.zendesk.standin import NOW

REPLY = OutboundMessage(
    idempotency_key="key-1",
    text="It left this morning.",
    author_name="Ana",
    recipient=Identity("external", "21"),
    thread_key="101",
    created_at=NOW,
)


def fetched(zendesk: ZendeskConnector, cursor: Cursor | None = None) -> tuple[list[Item], Cursor]:
    """All that is new, and the last cursor, as a database gives it back."""
    items: list[Item] = []
    for batch in zendesk.fetch(cursor):
        items += batch.items
        cursor = batch.cursor
    assert cursor is not None
    return items, json.loads(json.dumps(cursor))


def messages(items: list[Item]) -> dict[str, InboundMessage]:
    return {item.external_id: item for item in items if isinstance(item, InboundMessage)}
