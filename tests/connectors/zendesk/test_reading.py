"""What Zendesk says comes in once, whole and in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base import (
    Annotation,
    Budget,
    Cursor,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    RetryLater,
)
from tests.connectors.zendesk.reading import REPLY, fetched, messages
from tests.connectors.zendesk.standin import NOW, Standin
from tests.connectors.zendesk.test_contract import connector, load


def test_a_comment_tells_who_where_and_how_it_stands(standin: Standin) -> None:
    load(standin, "ticket_opened")
    items, _ = fetched(connector(standin))
    [message, kept] = items
    assert isinstance(message, InboundMessage)
    assert message.external_id == "ticket-101"
    assert message.thread_key == "101"
    assert message.text == "My parcel has not arrived. Grüße 🙂"
    assert message.subject == "Where is my parcel?"
    assert message.sent_at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert message.incoming
    assert message.addressed
    assert message.url == "https://acme.zendesk.com/agent/tickets/101"
    assert message.author is not None
    assert message.author.name == "Mara Lind"
    assert message.author.identities == (
        Identity("email", "mara@mail.example"),
        Identity("phone", "+491701234567"),
        Identity("external", "21"),
    )
    assert message.meta == {
        "ticket_id": 101,
        "status": "open",
        "priority": "high",
        "tags": ["parcel", "vip"],
        "via": "email",
        "public": True,
    }
    changed_at = datetime(2026, 3, 2, 8, 41, tzinfo=UTC)
    assert kept == Annotation("101", "open", ("parcel", "vip"), changed_at)


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("agent_replied", [("ticket-102", True, False), ("1012", False, False)]),
        ("private_note", [("ticket-103", True, False)]),
        ("written_by_trigger", [("ticket-105", True, False), ("1042", False, True)]),
        ("author_unknown", [("ticket-106", True, False)]),
    ],
)
def test_whose_words_they_are(standin: Standin, fixture: str, expected: list[tuple[str, bool, bool]]) -> None:
    load(standin, fixture)
    items, _ = fetched(connector(standin))
    found = [
        (each.external_id, each.incoming, each.automatic)
        for each in items
        if isinstance(each, InboundMessage)
    ]
    assert found == expected


def test_words_of_a_stranger_to_the_ticket_are_kept_although_not_public(standin: Standin) -> None:
    load(standin, "private_note")
    standin.users[23] = {"id": 23, "name": "Her brother", "email": "tom@mail.example", "role": "end-user"}
    standin.said(103, 23, "She is ill.", public=False)
    standin.now += timedelta(minutes=2)
    items, _ = fetched(connector(standin))
    last = items[-2]
    assert isinstance(last, InboundMessage)
    assert (last.text, last.incoming, last.meta["public"]) == ("She is ill.", True, False)


def test_an_agent_who_asks_is_a_customer(standin: Standin) -> None:
    found = load(standin, "agent_replied")
    found["ticket"]["requester_id"] = 10
    items, _ = fetched(connector(standin))
    assert messages(items)["1012"].incoming


def test_the_first_fetch_leaves_history_to_the_back_fill(standin: Standin) -> None:
    load(standin, "ticket_opened")
    standin.now = NOW + timedelta(days=40)
    zendesk = connector(standin)
    assert fetched(zendesk)[0] == []
    batches = list(zendesk.backfill(NOW - timedelta(days=1), None))
    assert [item.text for batch in batches for item in batch.items if isinstance(item, InboundMessage)] == [
        "My parcel has not arrived. Grüße 🙂"
    ]
    again = list(zendesk.backfill(NOW - timedelta(days=1), json.loads(json.dumps(batches[-1].cursor))))
    assert [item for batch in again for item in batch.items] == []


def test_the_most_recent_minute_comes_later_and_is_not_skipped(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    _, cursor = fetched(zendesk)
    said = standin.said(101, 21, "Hello?")
    items, cursor = fetched(zendesk, cursor)
    assert items == []
    standin.now += timedelta(seconds=61)
    items, _ = fetched(zendesk, cursor)
    assert list(messages(items)) == ["ticket-101", str(said["id"])]


def test_pages_of_comments_are_all_read(standin: Standin) -> None:
    load(standin, "ticket_opened")
    for number in range(230):
        standin.said(101, 21, f"Comment {number}")
    standin.now += timedelta(minutes=2)
    items, _ = fetched(connector(standin))
    assert len(messages(items)) == 231


def test_a_limit_in_the_middle_of_a_page_costs_little_and_skips_nothing(standin: Standin) -> None:
    for number in range(50):
        stamp = (NOW - timedelta(hours=1, seconds=-number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ticket = {"id": 500 + number, "status": "open", "tags": [], "updated_at": stamp}
        standin.add(ticket, [{"id": number + 1, "author_id": 21, "body": f"Words {number}"}], [])
    standin.limit = 30
    zendesk = connector(standin)
    seen: list[str] = []
    cursor: Cursor | None = None
    waits = 0
    while True:
        try:
            for batch in zendesk.fetch(cursor):
                seen += messages(list(batch.items))
                cursor = json.loads(json.dumps(batch.cursor))
            break
        except RetryLater as later:
            waits += 1
            standin.now += timedelta(seconds=later.after_seconds or 0)
            standin.used = 0
    # The tickets of a batch that was broken off are read again: 20 at most.
    assert waits == 2
    assert sorted(seen) == sorted(f"ticket-{500 + number}" for number in range(50))


def test_a_back_fill_leaves_some_of_the_limit_to_others(standin: Standin) -> None:
    load(standin, "ticket_opened")
    load(standin, "agent_replied")
    standin.limit, standin.used = 100, 69
    zendesk = connector(standin)
    with pytest.raises(RetryLater) as told:
        list(zendesk.backfill(NOW - timedelta(days=1), None))
    assert told.value.after_seconds == 41
    assert standin.used == 71  # the page, and the one ticket for which there was room
    standin.now += timedelta(seconds=42)
    assert len(messages(fetched(zendesk)[0])) == 3


def test_budgets_are_those_the_vendor_told(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    assert zendesk.budgets() == ()
    fetched(zendesk)
    assert zendesk.budgets() == (
        Budget("requests", 700, 698, NOW + timedelta(seconds=41)),
        Budget("incremental-exports-cursor", 10, 9, NOW + timedelta(seconds=60)),
    )


def test_nothing_is_asked_while_the_limit_is_used_up(standin: Standin) -> None:
    load(standin, "ticket_opened")
    standin.limit = 1
    zendesk = connector(standin)
    with pytest.raises(RetryLater):
        fetched(zendesk)
    asked = len(standin.requests)
    with pytest.raises(RetryLater):
        zendesk.send(REPLY)
    assert len(standin.requests) == asked


def test_a_deleted_ticket_takes_its_conversation_along(standin: Standin) -> None:
    found = load(standin, "ticket_opened")
    zendesk = connector(standin)
    _, cursor = fetched(zendesk)
    found["ticket"].update(status="deleted", updated_at="2026-03-02T11:00:00Z")
    items, _ = fetched(zendesk, cursor)
    assert items == [Deleted("ticket-101", thread_key="101")]


def test_a_ticket_deleted_while_it_was_read_is_deleted(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    page = b'{"tickets": [{"id": 999, "status": "open"}], "after_cursor": "c", "end_of_stream": true}'
    standin.raw_export = page
    assert fetched(zendesk)[0] == [Deleted("ticket-999", thread_key="999")]


def test_a_redacted_comment_is_covered_here_too(standin: Standin) -> None:
    load(standin, "ticket_opened")
    comment = standin.said(101, 21, "My card is 4111 1111.")
    standin.now += timedelta(minutes=2)
    zendesk = connector(standin)
    _, cursor = fetched(zendesk)
    comment.update(body="My card is ▇▇▇▇ ▇▇▇▇.", html_body="<p>My card is ▇▇▇▇ ▇▇▇▇.</p>")
    standin.tickets[101]["updated_at"] = "2026-03-02T12:00:30Z"
    items, _ = fetched(zendesk, cursor)
    edits = [item for item in items if isinstance(item, Edited)]
    assert edits == [Edited(str(comment["id"]), "My card is ▇▇▇▇ ▇▇▇▇.", "<p>My card is ▇▇▇▇ ▇▇▇▇.</p>")]


def _with_file(standin: Standin, **more: Any) -> None:
    found = load(standin, "file_attached")
    url = f"{standin.url}/attachments/label.png"
    found["comments"][0]["attachments"][0].update({"content_url": url, **more})
    standin.files["label.png"] = b"\x89PNG!"


def _content(items: list[Item]) -> bytes | None:
    [message] = messages(items).values()
    [attachment] = message.attachments
    assert attachment.name == "label.png"
    assert attachment.url
    return attachment.content


def test_a_file_is_fetched_with_the_credentials(standin: Standin) -> None:
    _with_file(standin)
    items, _ = fetched(connector(standin))
    assert _content(items) == b"\x89PNG!"


@pytest.mark.parametrize(
    "config_and_file",
    [
        ({"max_attachment_bytes": 4}, {}),
        ({"max_attachment_bytes": 4}, {"size": 1}),  # it is larger than it says
        ({}, {"content_url": "https://elsewhere.example/label.png"}),
        ({}, {"content_url": "/attachments/gone.png"}),
    ],
)
def test_a_file_that_cannot_be_had_is_only_told_of(
    standin: Standin, config_and_file: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    config, file = config_and_file
    if file.get("content_url", "").startswith("/"):
        file = {"content_url": standin.url + file["content_url"]}
    _with_file(standin, **file)
    items, _ = fetched(connector(standin, **config))
    assert _content(items) is None


def test_credentials_go_to_nobody_else(standin: Standin) -> None:
    # The same machine under another name is another host.
    port = standin.url.rpartition(":")[2]
    _with_file(standin, content_url=f"http://localhost:{port}/attachments/label.png")
    items, _ = fetched(connector(standin))
    assert _content(items) is None
    assert ("GET", "/attachments/label.png") not in standin.requests


def test_a_file_is_fetched_once(standin: Standin) -> None:
    _with_file(standin)
    zendesk = connector(standin)
    _, cursor = fetched(zendesk)
    standin.said(104, 21, "Did you see it?")
    standin.now += timedelta(minutes=2)
    items, _ = fetched(zendesk, cursor)
    assert len(messages(items)) == 2
    assert standin.requests.count(("GET", "/attachments/label.png")) == 1
