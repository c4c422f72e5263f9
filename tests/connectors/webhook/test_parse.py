"""Pushed bodies to messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import BadPayload, Identity, InboundMessage, Rejected
from connectors.webhook.parse import messages

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parent / "fixtures"


def read(body: Any, delivery_id: str = "d-1") -> tuple[InboundMessage | Rejected, ...]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return messages(raw, delivery_id=delivery_id, network="shop", now=NOW, max_body_bytes=1_000)


def test_all_members() -> None:
    [found] = read((FIXTURES / "message.json").read_bytes())
    assert isinstance(found, InboundMessage)
    assert found.author is not None
    assert found.author.identities == (
        Identity("handle", "u-7", "shop"),
        Identity("email", "mara@example.com"),
        Identity("phone", "+491701234567"),
        Identity("loyalty", "LN-0042"),
    )
    assert (found.author.name, found.author.followers) == ("Mara", 12)
    assert (found.external_id, found.text, found.subject) == ("m-1", "Where is my parcel?", "Parcel")
    assert found.sent_at == datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    assert (found.thread_key, found.in_reply_to, found.meta) == ("order-1881", ("m-0",), {"language": "en"})


def test_without_an_id_a_repeated_delivery_is_the_same_and_another_is_not() -> None:
    body = {"messages": [{"text": "hi", "author": {"id": "u"}}] * 2}
    ids = [
        [item.external_id for item in read(body, key) if isinstance(item, InboundMessage)]
        for key in ("a", "a", "b")
    ]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 4


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b"7", b"[" * 99_999, {"messages": 7}, {"messages": {}}]
)
def test_a_body_that_is_no_message_is_told(body: Any) -> None:
    with pytest.raises(BadPayload):
        read(body)


def test_a_body_of_too_many_messages_is_told() -> None:
    with pytest.raises(BadPayload, match="1,000"):
        read({"messages": [{}] * 1_001})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": "x" * 1_001}, "body_too_large"),
        ({"text": "  "}, "missing_text"),
        ({"text": None}, "bad_text"),
        ({"author": {}}, "missing_author"),
        ({"author": {"name": "Jo"}}, "missing_author"),
        ({"author": "jo"}, "bad_author"),
        ({"author": {"id": "u", "followers": -1}}, "bad_author"),
        ({"author": {"id": "u", "followers": 10**12}}, "bad_author"),
        ({"author": {"phone": "0170"}}, "bad_author"),
        ({"author": {"id": "x" * 999}}, "bad_author"),
        ({"author": {"id": "a\x00b"}}, "nul_bytes"),
        ({"subject": "a\x00b"}, "nul_bytes"),
        ({"thread": "x" * 999}, "bad_thread"),
        ({"sent_at": [1]}, "bad_sent_at"),
        ({"sent_at": "1.1.26"}, "bad_date"),
    ],
)
def test_a_bad_message_is_rejected_alone(change: dict[str, Any], reason: str) -> None:
    good = {"text": "fine", "author": {"id": "u"}}
    first, bad, last = read({"messages": [good, {**good, **change}, good]})
    assert isinstance(first, InboundMessage)
    assert isinstance(last, InboundMessage)
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.where) == (reason, "delivery d-1, messages[1]")
    assert json.loads(bad.raw) == {**good, **change}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ["id", "text", "author", "sent_at", "thread", "subject", "in_reply_to", "direction", "language"]


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_any_json_is_a_message_or_a_reject(body: dict[str, Any]) -> None:
    [single] = read(json.dumps(body).encode())
    [several] = read(json.dumps({"messages": [body]}).encode())
    assert isinstance(single, InboundMessage | Rejected)
    assert type(single) is type(several)
