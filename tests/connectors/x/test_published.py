"""The check against X's published contract: that it is made, and that it would find something."""

from __future__ import annotations

import pytest

from tests.connectors.x.published import Published, document
from tests.connectors.x.standin import StandIn
from tests.connectors.x.world import connector, fetched

needs_document = pytest.mark.skipif(
    document() is None,
    reason="X's OpenAPI document is not here (CEM_SPECS): the stand-in is not checked against it",
)


@needs_document
def test_what_is_not_as_published_is_found() -> None:
    path = document()
    assert path is not None
    contract = Published(path)
    me = b'{"data": {"id": "900", "name": "Acme", "username": "acmeparcels"}}'
    assert contract.wrong("GET", "/2/users/me", b"", 200, me, "application/json") == []
    for method, target, body, status, answer in (
        ("GET", "/2/users/me", b"", 200, me.replace(b"900", b"x")),
        ("GET", "/2/users/me?user.fields=shoe_size", b"", 200, me),
        ("POST", "/2/tweets", b'{"words": "a"}', 201, b'{"data": {"id": "1", "text": "a"}}'),
        ("GET", "/2/tweets/search/recent?query=a&max_results=3", b"", 200, b"{}"),
        ("GET", "/2/surely/not", b"", 200, b"{}"),
    ):
        assert contract.wrong(method, target, body, status, answer, "application/json"), target
    assert contract.wrong("GET", "/2/users/me", b"", 403, b'{"detail": "no"}', "application/problem+json")


@needs_document
def test_every_exchange_is_checked(x: StandIn) -> None:
    fetched(connector(x, searches=["vans"]))
    assert x.exchanges == len(x.requests) == 4
