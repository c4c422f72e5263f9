"""What Zendesk pushes: signed, not old, and asked for whole."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import (
    Annotation,
    BadPayload,
    BadSignature,
    Deleted,
    Delivery,
    InboundMessage,
    Rejected,
)
from connectors.zendesk import parse
from connectors.zendesk.signature import SIGNATURE, TIMESTAMP, sign, verify
from tests.connectors.zendesk.standin import NOW, Standin
from tests.connectors.zendesk.test_contract import connector, load

SECRET = "signing-secret-of-the-tests"


def event(kind: str = "ticket.comment_added", ticket: object = "101", **more: Any) -> dict[str, Any]:
    """An event as its page shows it, as far as it is looked at."""
    return {
        "type": f"zen:event-type:{kind}",
        "account_id": 12,
        "id": "01JQ-EVENT",
        "time": "2026-03-02T11:59:58.2Z",
        "subject": f"zen:ticket:{ticket}",
        "detail": {"id": ticket, "status": "OPEN"},
        "event": {"comment": {"body": "Hello?", "author": {"id": "21", "name": "Mara Lind"}}},
        **more,
    }


def pushed(body: object, at: datetime = NOW, secret: str = SECRET) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {SIGNATURE.title(): sign(secret, stamp, raw), TIMESTAMP.title(): stamp}
    return Delivery(headers, raw, NOW)


def test_a_signature_is_that_of_its_page() -> None:
    """base64(HMACSHA256(TIMESTAMP + BODY)), counted by another program: `openssl dgst -sha256 -hmac`."""
    assert (
        sign("secret", "2026-03-02T12:00:00Z", b'{"say": "hi"}')
        == "+YytrX2clZA79gsPAt1m7N70O0n2n4SSMLvLQ79/db4="
    )


def test_what_is_signed_has_an_id_that_nobody_else_can_choose() -> None:
    found = verify(pushed(event()).headers, pushed(event()).body, SECRET, now=NOW)
    assert found == "01JQ-EVENT"
    plain = pushed({"ticket_id": 101})
    ids = {verify({**plain.headers, "x-id": name}, plain.body, SECRET, now=NOW) for name in "ab"}
    assert len(ids) == 1
    assert ids.pop().startswith("sha256:")
    later = pushed({"ticket_id": 101}, NOW + timedelta(seconds=1))
    assert verify(later.headers, later.body, SECRET, now=NOW) not in ids


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        (pushed(event(), secret="another"), "does not match"),
        (Delivery(pushed(event()).headers, b"{}", NOW), "does not match"),
        (pushed(event(), NOW - timedelta(minutes=6)), "too far"),
        (pushed(event(), NOW + timedelta(minutes=6)), "too far"),
        (Delivery({}, b"{}", NOW), "no signature"),
        (Delivery({SIGNATURE: "x", TIMESTAMP: "soon"}, b"{}", NOW), "cannot be read"),
        (Delivery({SIGNATURE: "x", TIMESTAMP: "2026-03-02T12:00:00"}, b"{}", NOW), "cannot be read"),
        (Delivery({SIGNATURE: "ä", TIMESTAMP: "2026-03-02T12:00:00Z"}, b"{}", NOW), "does not match"),
    ],
)
def test_what_is_not_from_zendesk_is_refused(delivery: Delivery, said: str) -> None:
    with pytest.raises(BadSignature, match=said):
        connector(webhook_secret=SECRET).verify(delivery)
    with pytest.raises(BadSignature, match="webhook_secret"):
        connector().verify(pushed(event()))


def test_a_push_brings_the_ticket_at_once_and_whole(standin: Standin) -> None:
    load(standin, "ticket_opened")
    standin.said(101, 21, "Hello?")
    zendesk = connector(standin, webhook_secret=SECRET)
    items = zendesk.receive(pushed(event())).items
    said = [item for item in items if isinstance(item, InboundMessage)]
    assert [item.text for item in said] == ["My parcel has not arrived. Grüße 🙂", "Hello?"]
    assert said[-1].author is not None
    assert said[-1].author.identities[0].value == "mara@mail.example"
    assert isinstance(items[-1], Annotation)
    # The export would not have it for another minute.
    assert [item for batch in zendesk.fetch(None) for item in batch.items if item == said[-1]] == []


def test_several_pushes_of_one_change_ask_once(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin, webhook_secret=SECRET)
    first = zendesk.receive(pushed(event())).items
    asked = len(standin.requests)
    assert first
    assert zendesk.receive(pushed(event("ticket.status_changed"))).items == ()
    assert len(standin.requests) == asked
    later = Delivery({}, pushed(event()).body, NOW + timedelta(seconds=1))
    assert zendesk.receive(later).items == first


def test_a_trigger_names_the_ticket_itself(standin: Standin) -> None:
    load(standin, "ticket_opened")
    for number in (101, "101"):
        assert len(connector(standin).receive(pushed({"ticket_id": number})).items) == 2


@pytest.mark.parametrize("kind", ["ticket.soft_deleted", "ticket.permanently_deleted"])
def test_a_deleted_ticket_is_gone(standin: Standin, kind: str) -> None:
    assert connector(standin).receive(pushed(event(kind))).items == (Deleted("ticket-101", thread_key="101"),)
    assert standin.requests == []


def test_what_cannot_be_had_now_is_left_to_the_export(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    assert zendesk.receive(pushed(event(ticket="999"))).items == ()
    for status in (401, 429, 500):
        standin.answers = [(status, {}, b"{}")]
        assert zendesk.receive(pushed(event())).items == ()
    standin.limit, standin.used = 100, 80
    assert zendesk.receive(pushed(event("ticket.tags_changed"))).items
    asked = len(standin.requests)
    load(standin, "agent_replied")
    assert zendesk.receive(pushed(event(ticket="102"))).items == ()
    assert len(standin.requests) == asked
    assert connector(subdomain="", email="", api_token=None).receive(pushed(event())).items == ()


def test_a_ticket_that_cannot_be_read_is_rejected(standin: Standin) -> None:
    load(standin, "ticket_opened")
    standin.raw_ticket = b'{"ticket": {"id": "many"}}'
    (bad,) = connector(standin).receive(pushed(event())).items
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.where) == ("bad_id", "ticket 101, pushed")


def test_events_of_other_things_say_nothing(standin: Standin) -> None:
    assert connector(standin).receive(pushed(event("user.created"))).items == ()
    assert standin.requests == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"ticket_id": true}', b'{"ticket_id": "1e9"}', b'{"ticket_id": -1}']
    + [json.dumps(event(ticket=ticket)).encode() for ticket in (None, "", "x", 10**20, [1])],
)
def test_what_names_no_ticket_is_told(body: bytes) -> None:
    with pytest.raises(BadPayload):
        parse.pushed(body)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_nothing_pushed_breaks_it(found: object) -> None:
    for body in (found, {"type": "zen:event-type:ticket.x", "detail": found}, {"ticket_id": found}):
        with suppress(BadPayload):
            parse.pushed(json.dumps(body).encode())
