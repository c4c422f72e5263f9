"""What no table can hold is told from what it can, without a database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.base import Attachment, Author, Identity
from hub.inbox.storable import unstorable
from tests.factories import NOW, inbound

DAY = timedelta(days=1)
LONE = "\ud800"
HANDLE = Identity("handle", "ann")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"text": "a\0b"}, "nul_bytes", id="nul in the text"),
        pytest.param({"text": "a", "external_id": "1\0"}, "nul_bytes", id="nul in the id"),
        pytest.param({"text": "a", "subject": "\0"}, "nul_bytes", id="nul in the subject"),
        pytest.param({"text": "a", "html": "\0"}, "nul_bytes", id="nul in the html"),
        pytest.param({"text": "a", "thread_key": "\0"}, "nul_bytes", id="nul in the thread"),
        pytest.param({"text": "a", "in_reply_to": ("\0",)}, "nul_bytes", id="nul in a reference"),
        pytest.param({"text": "a", "meta": {"a": ["\0"]}}, "nul_bytes", id="nul in the meta"),
        pytest.param(
            {"text": "a", "attachments": (Attachment("\0", "", 1),)}, "nul_bytes", id="nul in an attachment"
        ),
        pytest.param(
            {"text": "a", "author": Author((HANDLE,), name="\0")}, "nul_bytes", id="nul in the name"
        ),
        pytest.param(
            {"text": "a", "author": Author((Identity("handle", "\0"),))}, "nul_bytes", id="nul in a handle"
        ),
        pytest.param(
            {"text": "a", "author": Author((Identity("handle", "a", "\0"),))},
            "nul_bytes",
            id="nul in a network",
        ),
        pytest.param({"text": LONE}, "bad_encoding", id="half a character in the text"),
        pytest.param({"text": "a", "external_id": LONE}, "bad_encoding", id="half a character in the id"),
        pytest.param({"text": "a", "meta": {LONE: 1}}, "bad_encoding", id="half a character in the meta"),
        pytest.param({"text": "a", "in_reply_to": (LONE,)}, "bad_encoding", id="half a reference"),
        pytest.param({"text": "a", "external_id": "i" * 999}, "too_long", id="a long id"),
        pytest.param({"text": "a", "external_id": "\N{PARTY POPPER}" * 400}, "too_long", id="a wide id"),
        pytest.param({"text": "a", "thread_key": "t" * 401}, "too_long", id="a long thread"),
        pytest.param(
            {"text": "a", "author": Author((Identity("email", "x" * 401),))}, "too_long", id="a long address"
        ),
        pytest.param(
            {"text": "a", "author": Author((Identity("handle", "x", "p" * 101),))},
            "too_long",
            id="a long network",
        ),
        pytest.param({"text": "a", "sent_at": NOW + 2 * DAY}, "future_date", id="from the future"),
        pytest.param({"text": "a", "meta": {"x": float("nan")}}, "bad_meta", id="no number in the meta"),
        pytest.param({"text": "a", "meta": {"x": object()}}, "bad_meta", id="no JSON in the meta"),
    ],
)
def test_what_cannot_be_stored(fields: dict[str, Any], reason: str) -> None:
    rejected = unstorable(inbound(**{"external_id": "bad", **fields}), NOW)
    assert rejected is not None
    assert rejected.reason == reason
    assert rejected.raw.startswith(b"InboundMessage(")


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": "\\0 and \\u0000 as words", "meta": {"a": "\\u0000", "b\\": ["\\\\u0000"]}},
        {"external_id": "i" * 998},
        {"external_id": "\N{PARTY POPPER}" * 249},
        {"thread_key": "t" * 400},
        {"sent_at": NOW + DAY},
        {"sent_at": NOW.replace(year=1)},
        {"author": None},
    ],
)
def test_what_can(fields: dict[str, Any]) -> None:
    assert unstorable(inbound(**fields), NOW) is None
