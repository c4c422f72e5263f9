"""Requests and answers of the stand-in are checked by Mastodon's description, and that check can fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.mastodon.agreement import FILE, Agreement, specification

FIXTURES = sorted(
    path
    for path in (Path(__file__).parent / "fixtures").glob("*.json")
    if not path.name.startswith("rejected_")
)


@pytest.fixture
def agreement() -> Agreement:
    path = specification()
    if path is None:
        pytest.skip(f"{FILE} is not here (CEM_SPECS): what is said is not checked by Mastodon's description")
    return Agreement(path)


def test_it_notices_what_is_wrong(agreement: Agreement) -> None:
    agreement.request("GET", "/api/v1/notifications", {"limit": ["40"], "types[]": ["mention"]}, None)
    agreement.request("POST", "/api/v1/statuses", {}, {"status": "words", "visibility": "direct"})
    agreement.answer("GET", "/api/v1/statuses/7/source", 200, {"id": "7", "text": "x", "spoiler_text": ""})
    assert agreement.broken == []
    wrong: list[tuple[Any, ...]] = [
        ("GET", "/api/v1/notifications", {"limit": ["many"]}, None),
        ("GET", "/api/v1/notifications", {"types[]": ["shout"]}, None),
        ("GET", "/api/v1/notifications", {"colour": ["blue"]}, None),
        ("GET", "/api/v1/streaming/hashtag", {}, None),
        ("GET", "/api/v1/nowhere", {}, None),
        ("POST", "/api/v1/statuses", {}, {"status": "words", "visibility": "everybody"}),
        ("POST", "/api/v1/statuses", {}, {"spoiler_text": "no words"}),
    ]
    for request in wrong:
        agreement.broken.clear()
        agreement.request(*request)
        assert agreement.broken, request
    for status, body in ((200, {"id": 7}), (299, {})):
        agreement.broken.clear()
        agreement.answer("GET", "/api/v1/statuses/7/source", status, body)
        assert agreement.broken


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_fixtures_are_what_a_server_would_say(agreement: Agreement, path: Path) -> None:
    agreement.entity("Notification", json.loads(path.read_bytes()))
    assert agreement.broken == []
    assert agreement.checked
