"""The stand-in for X, one for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.x.served import running
from tests.connectors.x.standin import StandIn


@pytest.fixture
def x() -> Iterator[StandIn]:
    with running() as standin:
        yield standin
