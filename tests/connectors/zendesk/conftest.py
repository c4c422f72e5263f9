"""No test of this folder can reach a real Zendesk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.zendesk.standin import Standin, running_standin
from tests.servers import free_port


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENPY_FORCE_NETLOC", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("ZENPY_FORCE_SCHEME", "http")


@pytest.fixture
def standin() -> Iterator[Standin]:
    with running_standin() as standin:
        yield standin
