"""The descriptions that come with the hub, against stand-ins in the shapes that their vendors document."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base import (
    AuthExpired,
    BadSignature,
    Batch,
    Delivery,
    Edited,
    Identity,
    InboundMessage,
    OutboundMessage,
    OutcomeUnknown,
)
from connectors.rest.connector import RestConnector
from tests.connectors.contract import Item
from tests.connectors.rest.standin import API_KEY, TOKEN, Freshdesk, Intercom, running
from tests.connectors.rest.test_contract import NOW, open_rest

MARA = {"id": 77, "name": "Mara", "email": "mara@example.com", "phone": None, "mobile": None}


def fd_ticket(number: int, changed: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "subject": "Parcel",
        "description": f"<div>Where is parcel {number}?</div>",
        "description_text": f"Where is parcel {number}?",
        "requester_id": 77,
        "requester": MARA,
        "spam": False,
        "created_at": "2026-03-01T08:00:00Z",
        "updated_at": changed,
        **more,
    }


def fd_note(number: int, text: str, *, incoming: bool = False, private: bool = False, **more: Any) -> Any:
    return {
        "id": number,
        "body": f"<div>{text}</div>",
        "body_text": text,
        "incoming": incoming,
        "private": private,
        "user_id": 77 if incoming else 1,
        "created_at": "2026-03-01T09:00:00Z",
        "last_edited_at": None,
        "attachments": [],
        **more,
    }


def ic_conversation(number: int, changed: int, *parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "conversation",
        "id": str(number),
        "created_at": 1772355600,
        "updated_at": changed,
        "source": {
            "type": "conversation",
            "id": f"s-{number}",
            "subject": "",
            "body": "<p>Where is my parcel?</p>",
            "author": {"type": "user", "id": "u-1", "name": "Mara", "email": "mara@example.com"},
            "url": None,
        },
        "conversation_parts": {"type": "conversation_part.list", "conversation_parts": list(parts)},
    }


def ic_part(name: str, body: str | None, kind: str = "user", part_type: str = "comment") -> dict[str, Any]:
    author = {"type": kind, "id": f"{kind}-1", "name": "Somebody", "email": f"{kind}@example.com"}
    return {
        "type": "conversation_part",
        "id": name,
        "part_type": part_type,
        "body": body,
        "created_at": 1772359200,
        "author": author,
        "attachments": [],
        "redacted": False,
    }


@pytest.fixture
def freshdesk() -> Iterator[Freshdesk]:
    with running(Freshdesk()) as tracker:
        yield tracker


@pytest.fixture
def intercom() -> Iterator[Intercom]:
    with running(Intercom()) as tracker:
        yield tracker


def open_freshdesk(tracker: Freshdesk, key: str = API_KEY) -> RestConnector:
    return open_rest(
        "freshdesk", variables={"domain": "acme"}, username=key, password="X", base_url=tracker.url
    )


def open_intercom(tracker: Intercom, token: str = TOKEN) -> RestConnector:
    return open_rest(
        "intercom",
        variables={"admin_id": "814860"},
        token=token,
        webhook_secret="client-secret",
        base_url=tracker.url,
    )


def items(batches: Iterator[Batch]) -> list[Item]:
    return [item for batch in batches for item in batch.items]


def ids(batches: Iterator[Batch]) -> list[str]:
    found = items(batches)
    assert all(isinstance(item, InboundMessage) for item in found), found
    return [item.external_id for item in found if isinstance(item, InboundMessage)]


def outgoing(thread: str, text: str = "It left this morning.\nAna & Ben") -> OutboundMessage:
    return OutboundMessage(
        idempotency_key="hub-1",
        text=text,
        author_name="Ana",
        recipient=Identity("email", "mara@example.com"),
        thread_key=thread,
        created_at=NOW,
    )


def test_freshdesk_tickets_become_conversations(freshdesk: Freshdesk) -> None:
    freshdesk.tickets = [fd_ticket(5, "2026-03-02T09:00:00Z")]
    freshdesk.conversations[5] = [
        fd_note(5, "It is late", incoming=True),
        fd_note(6, "Call her", private=True),
        fd_note(7, "On its way", last_edited_at="2026-03-01T09:30:00Z"),
    ]
    first, comment, answer, edit = items(open_freshdesk(freshdesk).fetch(None))
    assert isinstance(first, InboundMessage)
    assert (first.external_id, first.thread_key, first.subject) == ("ticket:5", "5", "Parcel")
    assert (first.text, first.html) == ("Where is parcel 5?", "<div>Where is parcel 5?</div>")
    assert first.author is not None
    assert first.author.identities == (
        Identity("email", "mara@example.com"),
        Identity("external", "77", "freshdesk"),
    )
    assert isinstance(comment, InboundMessage)
    assert (comment.external_id, comment.thread_key, comment.incoming) == ("5", "5", True)
    assert comment.author == first.author
    assert isinstance(answer, InboundMessage)
    assert (answer.external_id, answer.incoming) == ("7", False)
    assert edit == Edited("7", "On its way", answer.html, datetime(2026, 3, 1, 9, 30, tzinfo=UTC))


def test_freshdesk_brings_each_ticket_of_many_pages_and_goes_on_from_the_last(freshdesk: Freshdesk) -> None:
    began = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    moments = [began + timedelta(seconds=30 * number) for number in range(250)]
    freshdesk.tickets = [
        fd_ticket(number, f"{each:%Y-%m-%dT%H:%M:%SZ}") for number, each in enumerate(moments, 1)
    ]
    batches = list(open_freshdesk(freshdesk).fetch(None))
    assert set(ids(iter(batches))) == {f"ticket:{number}" for number in range(1, 251)}
    freshdesk.tickets.append(fd_ticket(251, "2026-03-02T11:00:00Z"))
    again = ids(open_freshdesk(freshdesk).fetch(batches[-1].cursor))
    # Inclusive, and a minute of overlap: the last three come again.
    assert again == ["ticket:248", "ticket:249", "ticket:250", "ticket:251"]


def test_freshdesk_changes_in_the_middle_of_reading_skip_nothing(freshdesk: Freshdesk) -> None:
    """Counting pages, ticket 101 would move to the place of ticket 100, and be stepped over."""
    freshdesk.tickets = [fd_ticket(n, f"2026-03-02T{n // 60:02}:{n % 60:02}:00Z") for n in range(1, 151)]
    batches = open_freshdesk(freshdesk).fetch(None)
    found = ids(iter([next(batches) for _ in range(50)]))
    freshdesk.tickets[4]["updated_at"] = "2026-03-02T11:00:00Z"
    found += ids(batches)
    assert set(found) == {f"ticket:{number}" for number in range(1, 151)}


def test_freshdesk_history_begins_where_it_is_asked_to(freshdesk: Freshdesk) -> None:
    freshdesk.tickets = [fd_ticket(1, "2025-11-01T09:00:00Z"), fd_ticket(2, "2026-01-01T09:00:00Z")]
    connector = open_freshdesk(freshdesk)
    assert ids(connector.fetch(None)) == []
    assert ids(connector.backfill(datetime(2025, 12, 1, tzinfo=UTC), None)) == ["ticket:2"]
    batches = list(connector.backfill(datetime(2025, 10, 1, tzinfo=UTC), None))
    assert ids(iter(batches)) == ["ticket:1", "ticket:2"]
    assert ids(connector.backfill(datetime(2025, 10, 1, tzinfo=UTC), batches[0].cursor)) == [
        "ticket:1",
        "ticket:2",
    ]
    assert ids(connector.backfill(datetime(2025, 10, 1, tzinfo=UTC), batches[1].cursor)) == ["ticket:2"]


def test_freshdesk_replies_and_finds_them_by_their_words(freshdesk: Freshdesk) -> None:
    freshdesk.tickets = [fd_ticket(5, "2026-03-02T09:00:00Z")]
    freshdesk.conversations[5] = [fd_note(8, "It left this morning. Ana & Ben")]
    connector = open_freshdesk(freshdesk)
    # The same words, but long before this reply was written.
    assert connector.find_sent(outgoing("5")) is None
    sent = connector.send(outgoing("5"))
    assert freshdesk.asked[-1].body == {"body": "It left this morning.<br>\nAna &amp; Ben"}
    found = connector.find_sent(outgoing("5"))
    assert found is not None
    assert found.external_id == sent.external_id == "9001"
    assert connector.find_sent(outgoing("5", "Something else")) is None
    assert sent.external_id in ids(connector.fetch(None))


def test_freshdesk_words_among_others_are_left_to_a_person(freshdesk: Freshdesk) -> None:
    freshdesk.tickets = [fd_ticket(5, "2026-03-02T09:00:00Z")]
    signed = fd_note(8, "Hello Mara. It left this morning. Ana & Ben", created_at="2026-03-02T12:00:01Z")
    freshdesk.conversations[5] = [signed]
    with pytest.raises(OutcomeUnknown, match="among others"):
        open_freshdesk(freshdesk).find_sent(outgoing("5"))


def test_freshdesk_says_who_we_are_and_when_the_key_no_longer_serves(freshdesk: Freshdesk) -> None:
    assert open_freshdesk(freshdesk).check() == "known at 127.0.0.1 as ana@brand.example"
    expired = open_freshdesk(freshdesk, "old-key")
    for failing in (expired.check, lambda: list(expired.fetch(None)), lambda: expired.send(outgoing("5"))):
        with pytest.raises(AuthExpired, match="401"):
            failing()


def test_intercom_conversations_with_their_parts(intercom: Intercom) -> None:
    intercom.tickets = [
        ic_conversation(
            1,
            1772440000,
            ic_part("p-1", "<p>Still nothing</p>"),
            ic_part("p-2", None, "admin", "assignment"),
            ic_part("p-3", "<p>Do not tell</p>", "admin", "note"),
            ic_part("p-4", "<p>On its way</p>", "admin"),
            ic_part("p-5", "<p>Anything else?</p>", "bot"),
        )
    ]
    found = items(open_intercom(intercom).fetch(None))
    messages = [item for item in found if isinstance(item, InboundMessage)]
    assert len(messages) == len(found)
    assert [(each.external_id, each.text, each.incoming) for each in messages] == [
        ("ticket:s-1", "Where is my parcel?", True),
        ("p-1", "Still nothing", True),
        ("p-4", "On its way", False),
        ("p-5", "Anything else?", False),
    ]
    assert {each.thread_key for each in messages} == {"1"}


def test_intercom_brings_every_page_and_is_resumed_anywhere(intercom: Intercom) -> None:
    intercom.tickets = [ic_conversation(number, 1772440000 + 100 * number) for number in range(7)]
    connector = open_intercom(intercom)
    batches = list(connector.fetch(None))
    every = ids(iter(batches))
    assert every == [f"ticket:s-{number}" for number in range(7)]
    for number, batch in enumerate(batches, 1):
        rest = ids(connector.fetch(json.loads(json.dumps(batch.cursor))))
        assert rest == every[number:] or number == len(batches)
    # Intercom answers with what came after a second, and the last one comes again all the same.
    assert ids(connector.fetch(batches[-1].cursor)) == ["ticket:s-6"]


def test_intercom_replies_and_finds_them(intercom: Intercom) -> None:
    intercom.tickets = [ic_conversation(1, 1772440000)]
    connector = open_intercom(intercom)
    assert connector.find_sent(outgoing("1")) is None
    sent = connector.send(outgoing("1"))
    assert sent.external_id == "p-1-1"
    found = connector.find_sent(outgoing("1"))
    assert found is not None
    assert found.external_id == sent.external_id
    assert connector.check() == "known at 127.0.0.1 as ana@brand.example"


def test_intercom_pushes_signed_conversations(intercom: Intercom) -> None:
    connector = open_intercom(intercom)
    item = ic_conversation(1, 1772440000, ic_part("p-1", "<p>Still nothing</p>"))
    body = json.dumps(
        {
            "type": "notification_event",
            "topic": "conversation.user.replied",
            "id": "notif_1",
            "data": {"type": "notification_event_data", "item": item},
        }
    ).encode()
    digest = hmac.new(b"client-secret", body, hashlib.sha1).hexdigest()
    delivery = Delivery({"X-Hub-Signature": f"sha1={digest}"}, body, NOW)
    assert connector.verify(delivery) == "notif_1"
    assert ids(iter([connector.receive(delivery)])) == ["ticket:s-1", "p-1"]
    with pytest.raises(BadSignature):
        connector.verify(Delivery(delivery.headers, body + b" ", NOW))
    ping = Delivery({}, json.dumps({"data": {"item": {"type": "ping"}}}).encode(), NOW)
    assert connector.receive(ping).items == ()
