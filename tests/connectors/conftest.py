"""One test per fixture of a connector, where a test of the contract asks for `accepted` or `rejected`."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.connectors.contract")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in ("accepted", "rejected"):
        if metafunc.cls is not None and kind in metafunc.fixturenames:
            events = getattr(metafunc.cls, f"{kind}_events")()
            metafunc.parametrize(kind, events, ids=[event.name for event in events])
