"""A server that stands in for Mastodon, and a connector of its account."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from connectors.base import Cursor, Item
from connectors.mastodon.connector import MastodonConfig, MastodonConnector
from tests.connectors.mastodon.standin import TOKEN, StandIn, standing_in


@pytest.fixture
def there() -> Iterator[StandIn]:
    with standing_in() as standin:
        yield standin


def open_mastodon(there: StandIn, **config: Any) -> MastodonConnector:
    """A connector of the account, which goes by the server's clock and waits for nothing."""

    def clock() -> datetime:
        return there.now

    settings = {"server": there.url, "access_token": TOKEN, "timeout_seconds": 5, **config}
    return MastodonConnector(MastodonConfig.model_validate(settings), clock=clock, pause=lambda _: None)


def items_of(connector: MastodonConnector, cursor: Cursor | None = None) -> list[Item]:
    return [item for batch in connector.fetch(cursor) for item in batch.items]
