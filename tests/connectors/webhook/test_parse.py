"""Pushed bodies to messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import (
    Annotation,
    Attachment,
    BadPayload,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    Rejected,
)
from connectors.webhook.parse import items_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parent / "fixtures"


def read(body: Any, delivery_id: str = "d-1") -> tuple[Item, ...]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return items_of(
        raw,
        delivery_id=delivery_id,
        network="shop",
        now=NOW,
        max_body_bytes=1_000,
        max_attachment_bytes=10,
    )


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


@pytest.mark.parametrize(
    ("said", "automatic", "nature"),
    [
        ({}, False, None),
        ({"automatic": True}, True, None),
        ({"nature": "auto_reply"}, True, "auto_reply"),
        ({"nature": "bounce", "automatic": False}, True, "bounce"),
    ],
)
def test_what_no_person_wrote_is_marked(said: dict[str, Any], automatic: bool, nature: str | None) -> None:
    [found] = read({"text": "I am away", "author": {"id": "u"}, **said})
    assert isinstance(found, InboundMessage)
    assert (found.automatic, found.nature) == (automatic, nature)


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
        ({"automatic": "perhaps"}, "bad_automatic"),
        ({"nature": "loop"}, "bad_nature"),
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
MEMBERS += ["automatic", "nature"]


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_any_json_is_a_message_or_a_reject(body: dict[str, Any]) -> None:
    [single] = read(json.dumps(body).encode())
    [several] = read(json.dumps({"messages": [body]}).encode())
    assert isinstance(single, InboundMessage | Rejected)
    assert type(single) is type(several)


def test_files_come_as_content_or_as_an_address() -> None:
    given = [
        {"name": "a.txt", "content_type": "text/plain", "content": "aGVsbG8="},
        {"name": "big.bin", "content": "aGVsbG8gd29ybGQh", "description": "too much"},
        {"name": "film.mp4", "size": 48_000_000, "url": "https://shop.example/film.mp4"},
    ]
    [found] = read({"attachments": given, "author": {"id": "u"}})
    assert isinstance(found, InboundMessage)
    assert found.text == ""
    assert found.attachments == (
        Attachment("a.txt", "text/plain", 5, b"hello"),
        Attachment("big.bin", "application/octet-stream", 12, description="too much"),
        Attachment("film.mp4", "application/octet-stream", 48_000_000, url="https://shop.example/film.mp4"),
    )


def test_what_speaks_of_earlier_messages_and_of_threads() -> None:
    at = "2026-03-01T09:00:00+01:00"
    moment = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    body = {
        "messages": [
            {"event": "message", "id": "m-1", "text": "Hi", "author": {"id": "u"}},
            {"event": "edited", "id": "m-1", "text": "Hello", "edited_at": at},
            {"event": "deleted", "id": 7, "thread": "t", "deleted_at": at},
            {"event": "deleted", "thread": "t"},
            {"event": "changed", "thread": "t", "status": "on_hold", "tags": ["vip"], "changed_at": at},
            {"event": "changed", "thread": "t", "tags": []},
        ]
    }
    assert list(read(body))[1:] == [
        Edited("m-1", "Hello", edited_at=moment),
        Deleted("7", moment),
        Deleted("t", thread_key="t"),
        Annotation("t", "on_hold", ("vip",), moment),
        Annotation("t", None, ()),
    ]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"event": "moved"}, "bad_event"),
        ({"event": ["edited"]}, "bad_event"),
        ({"event": "edited", "text": "x"}, "missing_id"),
        ({"event": "edited", "id": " ", "text": "x"}, "missing_id"),
        ({"event": "edited", "id": "m"}, "missing_text"),
        ({"event": "edited", "id": "m", "text": "x", "edited_at": "soon"}, "bad_date"),
        ({"event": "deleted"}, "missing_id"),
        ({"event": "deleted", "id": "", "thread": " "}, "missing_id"),
        ({"event": "changed", "status": "open"}, "missing_thread"),
        ({"event": "changed", "thread": " "}, "bad_thread"),
        ({"event": "changed", "thread": "t", "status": "snoozed"}, "bad_status"),
        ({"event": "changed", "thread": "t", "tags": "vip"}, "bad_tags"),
        ({"event": "changed", "thread": "t", "tags": ["a\0"]}, "nul_bytes"),
        ({"attachments": [{"name": "a", "content": "?"}], "author": {"id": "u"}}, "bad_attachments"),
        ({"attachments": [{}], "author": {"id": "u"}}, "bad_attachments"),
        ({"attachments": [], "author": {"id": "u"}}, "missing_text"),
    ],
)
def test_what_cannot_be_followed_is_rejected_alone(found: dict[str, Any], reason: str) -> None:
    good = {"id": "m-1", "text": "Hi", "author": {"id": "u"}}
    bad, rest = read({"messages": [found, good]})
    assert isinstance(bad, Rejected)
    assert bad.reason == reason
    assert isinstance(rest, InboundMessage)
