"""What a Reddit connector brings, put so that a test can ask for it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from connectors.base import (
    Cursor,
    InboundMessage,
    Item,
)
from connectors.reddit.connector import RedditConnector
from tests.connectors.reddit.standin import (
    NOW,
    Thing,
)


def fetched(reddit: RedditConnector, cursor: Cursor | None = None) -> tuple[list[Item], Cursor | None]:
    """All that is new, and the last cursor, as a database gives it back."""
    items: list[Item] = []
    for batch in reddit.fetch(cursor):
        items += batch.items
        cursor = json.loads(json.dumps(batch.cursor))
    return items, cursor


def messages(items: list[Item]) -> dict[str, InboundMessage]:
    return {item.external_id: item for item in items if isinstance(item, InboundMessage)}


def said(number: int, minutes_ago: float, **data: Any) -> Thing:
    """A comment of somebody, some minutes before `NOW`."""
    return {
        "kind": "t1",
        "data": {
            "name": f"t1_n{number}",
            "author": "Mara_L",
            "body": f"Words {number}",
            "created_utc": (NOW - timedelta(minutes=minutes_ago)).timestamp(),
            "link_id": "t3_s1",
            **data,
        },
    }
