"""Replies to Zendesk, its errors and limits, and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import connect
from connectors.base import (
    Annotation,
    Attachment,
    AuthExpired,
    BadPayload,
    ConnectorError,
    Cursor,
    OutcomeUnknown,
    Refused,
    Rejected,
    RetryLater,
)
from tests.connectors.zendesk.reading import REPLY, fetched, messages
from tests.connectors.zendesk.standin import API_TOKEN, EMAIL, NOW, OAUTH_TOKEN, Standin
from tests.connectors.zendesk.test_contract import connector, load


def test_a_reply_is_a_public_comment_and_is_known_when_it_comes_back(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    _, cursor = fetched(zendesk)
    sent = zendesk.send(REPLY)
    assert standin.comments[101][-1]["body"] == "It left this morning."
    assert standin.comments[101][-1]["public"] is True
    standin.now += timedelta(minutes=2)
    items, _ = fetched(zendesk, cursor)
    assert sent.external_id is not None
    back = messages(items)[sent.external_id]
    assert not back.incoming
    assert back.meta["key"] == "key-1"
    assert len(messages(items)) == 2


def test_files_go_along(standin: Standin) -> None:
    load(standin, "ticket_opened")
    label = Attachment("label & more.pdf", "application/pdf", 4, b"%PDF")
    connector(standin).send(replace(REPLY, attachments=(label,)))
    assert standin.comments[101][-1]["attachments"] == [
        {"file_name": "label & more.pdf", "content_type": "application/pdf", "size": 4}
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"thread_key": None},
        {"thread_key": "thread-9"},
        {"thread_key": "٣"},
        {"thread_key": "404"},
        {"text": "ü" * 32_768},
        {"attachments": (Attachment("x.pdf", "application/pdf", 4, None),)},
    ],
)
def test_what_can_never_be_sent_is_refused(standin: Standin, change: Mapping[str, Any]) -> None:
    load(standin, "ticket_opened")
    with pytest.raises(Refused):
        connector(standin).send(replace(REPLY, **change))
    assert standin.marks() == []


def test_a_closed_ticket_takes_no_reply_and_says_so(standin: Standin) -> None:
    load(standin, "ticket_opened")["ticket"]["status"] = "closed"
    with pytest.raises(Refused, match="closed prevents ticket update"):
        connector(standin).send(REPLY)


def test_a_connection_cut_after_the_update_is_looked_into(standin: Standin) -> None:
    load(standin, "ticket_opened")
    standin.cut_after = "PUT"
    zendesk = connector(standin)
    with pytest.raises(OutcomeUnknown):
        zendesk.send(REPLY)
    standin.cut_after = ""
    found = zendesk.find_sent(REPLY)
    assert found is not None
    assert found.external_id == str(standin.comments[101][-1]["id"])
    assert zendesk.send(REPLY).external_id == found.external_id
    assert standin.marks() == ["key-1"]


def _change(made_at: datetime) -> dict[str, Any]:
    """The audit of a change that brought no comment."""
    return {
        "id": int(made_at.timestamp()),
        "created_at": made_at.isoformat(),
        "events": [{"type": "Change", "field_name": "status"}],
        "metadata": {"custom": {}, "system": {}},
    }


def test_a_reply_is_found_behind_many_later_changes(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    sent = zendesk.send(REPLY)
    standin.audits[101] += [_change(NOW + timedelta(seconds=number)) for number in range(250)]
    found = zendesk.find_sent(REPLY)
    assert found is not None
    assert found.external_id == sent.external_id


@pytest.mark.parametrize(("sorts", "pages"), [(True, 1), (False, 4)])
def test_a_reply_is_surely_not_there_only_where_all_was_seen(
    standin: Standin, sorts: bool, pages: int
) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    standin.audits[101] += [_change(NOW - timedelta(days=30, seconds=-number)) for number in range(300)]
    sent = zendesk.send(REPLY)
    standin.sorts = sorts
    found = zendesk.find_sent(REPLY)
    assert found is not None
    assert found.external_id == sent.external_id
    asked = len(standin.requests)
    assert zendesk.find_sent(replace(REPLY, idempotency_key="key-2")) is None
    assert len(standin.requests) - asked == pages


def test_what_cannot_be_looked_through_stays_open(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    for status, body in ((500, b""), (401, b""), (404, b"{}"), (200, b"no json")):
        standin.answers.append((status, {}, body))
        with pytest.raises(OutcomeUnknown):
            zendesk.find_sent(REPLY)


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "after_seconds"),
    [
        (429, {"retry-after": "93"}, b"", RetryLater, 93),
        (429, {"retry-after": "Mon, 02 Mar 2026 12:00:30 GMT"}, b"", RetryLater, 30),
        (503, {"retry-after": "5"}, b"", RetryLater, 5),
        (409, {}, b'{"error": "UpdateConflict"}', RetryLater, None),
        (500, {}, b"<html>", OutcomeUnknown, None),
        (502, {}, b"", OutcomeUnknown, None),
        (503, {}, b"", OutcomeUnknown, None),
        (200, {}, b"<html>", OutcomeUnknown, None),
        (200, {}, b'{"ticket": {}}', OutcomeUnknown, None),
        (401, {}, b'{"error": {"title": "No", "message": "Who?"}}', AuthExpired, None),
        (403, {}, b'{"error": {"title": "Forbidden"}}', Refused, None),
        (404, {}, b'{"error": "RecordNotFound"}', Refused, None),
        (422, {}, b'{"error": "RecordInvalid", "details": {"base": [1]}}', Refused, None),
        (301, {"location": "https://elsewhere.example/"}, b"", Refused, None),
    ],
)
def test_an_answer_says_what_to_do(
    standin: Standin,
    status: int,
    headers: dict[str, str],
    body: bytes,
    error: type[ConnectorError],
    after_seconds: float | None,
) -> None:
    load(standin, "ticket_opened")
    nothing_there = b'{"audits": [], "meta": {"has_more": false}}'
    standin.answers += [(200, {}, nothing_there), (status, headers, body)]
    with pytest.raises(error) as told:
        connector(standin).send(REPLY)
    assert getattr(told.value, "after_seconds", None) == after_seconds
    assert API_TOKEN not in str(told.value)
    assert [method for method, _ in standin.requests] == ["GET", "PUT"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", AuthExpired),
        (403, b"", AuthExpired),
        (404, b"", BadPayload),
        (429, b"", RetryLater),
        (500, b"", RetryLater),
        (200, b"[]", BadPayload),
        (200, b"{}", BadPayload),
        (200, b'{"tickets": {}, "end_of_stream": true}', BadPayload),
    ],
)
def test_a_fetch_says_what_to_do(
    standin: Standin, status: int, body: bytes, error: type[ConnectorError]
) -> None:
    standin.answers.append((status, {}, body))
    with pytest.raises(error):
        fetched(connector(standin))


def test_a_damaged_ticket_stops_no_other(standin: Standin) -> None:
    load(standin, "ticket_opened")
    page = {
        "tickets": [7, {"id": "seven"}, {"id": 8, "tags": "no list"}, standin.tickets[101]],
        "after_cursor": "c",
        "end_of_stream": True,
    }
    standin.raw_export = json.dumps(page).encode()
    items, _ = fetched(connector(standin))
    assert [item.reason for item in items if isinstance(item, Rejected)] == [
        "not_an_object",
        "bad_id",
        "bad_tags",
    ]
    assert list(messages(items)) == ["ticket-101"]


def test_status_and_tags_go_out_without_a_message(standin: Standin) -> None:
    load(standin, "ticket_opened")
    zendesk = connector(standin)
    items, cursor = fetched(zendesk)
    kept = zendesk.annotate("101", status="on_hold", add_tags=("urgent",), remove_tags=("parcel",))
    assert kept == Annotation("101", "on_hold", ("vip", "urgent"), standin.now)
    assert standin.tickets[101]["status"] == "hold"
    assert standin.tickets[101]["tags"] == ["vip", "urgent"]
    standin.now += timedelta(minutes=2)
    again, _ = fetched(zendesk, cursor)
    assert kept is not None
    assert messages(again).keys() == messages(items).keys()
    assert messages(again)["ticket-101"].meta["status"] == "on_hold"
    assert again[-1] == kept
    with pytest.raises(Refused):
        zendesk.annotate("101", status="new")
    assert zendesk.annotate("101", add_tags=("urgent",)) == replace(kept, changed_at=standin.now)
    standin.raw_ticket = b'{"ticket": {"id": "many"}}'
    with pytest.raises(OutcomeUnknown):
        zendesk.annotate("101", add_tags=("urgent",))


def test_check_says_who_we_are(standin: Standin) -> None:
    assert connector(standin).check() == "reads the tickets of acme.zendesk.com as Ana Admin"
    oauth = connector(standin, email="", api_token=None, oauth_token=OAUTH_TOKEN)
    assert oauth.check() == "reads the tickets of acme.zendesk.com as Ana Admin"
    assert standin.authorizations[-1] == f"Bearer {OAUTH_TOKEN}"


def test_check_says_what_is_wrong(standin: Standin) -> None:
    with pytest.raises(AuthExpired):
        connector(standin, api_token="another").check()
    standin.me["role"] = "agent"
    with pytest.raises(BadPayload, match="only admins"):
        connector(standin).check()
    standin.me = {"id": None, "name": "Anonymous user", "role": "end-user"}
    with pytest.raises(AuthExpired):
        connector(standin).check()
    with pytest.raises(BadPayload, match="Set subdomain"):
        connect("zendesk", {}).check()


@pytest.mark.parametrize(
    "config",
    [
        {"subdomain": "acme.evil.example/"},
        {"subdomain": "acme", "api_token": "x"},
        {"subdomain": "acme", "email": EMAIL, "api_token": "x", "oauth_token": "y"},
        {"page_size": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connect("zendesk", config)


@pytest.mark.parametrize(
    "cursor", [{"uid": 7}, {"start": "2026-03-02T00:00:00+00:00"}, {"start": 1, "fresh": 2}]
)
def test_a_cursor_of_something_else_is_told(standin: Standin, cursor: Cursor) -> None:
    with pytest.raises(BadPayload, match="cursor"):
        fetched(connector(standin), cursor)
