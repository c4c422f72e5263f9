"""The stand-in for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.reddit.standin import Standin, running_standin


@pytest.fixture
def standin() -> Iterator[Standin]:
    with running_standin() as standin:
        yield standin
