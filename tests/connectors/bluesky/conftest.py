"""The peer, new for each test, and connectors that live in its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from connectors.bluesky.connector import BlueskyConfig, BlueskyConnector
from tests.connectors.bluesky.peer import HANDLE, NOW, PASSWORD, Peer, running_peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A Bluesky with nothing in it."""
    with running_peer() as found:
        yield found


@pytest.fixture
def connector(peer: Peer) -> BlueskyConnector:
    """The account's connector, with a term."""
    return connected(peer, terms=["acme tea"])


def connected(peer: Peer, clock: Callable[[], datetime] = lambda: NOW, **settings: Any) -> BlueskyConnector:
    """A connector of the peer's account."""
    config = {
        "handle": HANDLE,
        "app_password": PASSWORD,
        "service_url": peer.url,
        "stream_format": "jetstream-v1",
        "stream_url": peer.stream_url,
        "timeout_seconds": 2,
        **settings,
    }
    return BlueskyConnector(BlueskyConfig.model_validate(config), clock)
