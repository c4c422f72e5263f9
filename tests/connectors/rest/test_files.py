"""Files of messages and of replies, and who is asked for them with credentials."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import Attachment, InboundMessage, Refused, Rejected, RetryLater
from connectors.rest.description import DescriptionError, read_description
from connectors.testing import reply
from tests.connectors.rest.standin import Freshdesk, Homemade, Intercom, Json, Told, Tracker, running
from tests.connectors.rest.test_contract import NOW, items_of, without
from tests.connectors.rest.test_examples import (
    fd_note,
    fd_ticket,
    ic_conversation,
    open_freshdesk,
    open_intercom,
    outgoing,
)
from tests.connectors.rest.test_requests import open_home

PICTURE = Attachment("label ü.png", "image/png", 3, b"\x89PN", description="the label")
LETTER = Attachment("letter.txt", "text/plain", 5, b"hello")


class Elsewhere(Tracker):
    """A server that only has files."""

    def answer(self, asked: Any) -> Told:
        return Told(404)


@pytest.fixture
def home() -> Iterator[Homemade]:
    with running(Homemade()) as tracker:
        yield tracker


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with running(Elsewhere(kept={"/a.txt": b"from elsewhere"})) as tracker:
        yield tracker


def with_files(tracker: Homemade, *files: Json, written_at: str = "2026-03-02T11:59:00Z") -> None:
    entry = {
        "id": "e-1",
        "text": "See",
        "from": {"kind": "customer", "email": "mara@example.com"},
        "written_at": written_at,
        "files": list(files),
    }
    tracker.tickets = [
        {"number": 1, "title": "Parcel", "changed_at": "2026-03-02T11:59:00Z", "messages": [entry]}
    ]


def attachments(tracker: Homemade, **settings: Any) -> tuple[Attachment, ...]:
    [message] = items_of(open_home(tracker, **settings))
    assert isinstance(message, InboundMessage), message
    return message.attachments


def test_a_file_on_the_vendors_own_server_is_fetched_with_the_credentials(home: Homemade) -> None:
    home.kept["/files/label.png"] = b"\x89PN"
    at = home.url.removesuffix("/api") + "/files/label.png"
    with_files(home, {"name": "label.png", "type": "image/png", "bytes": 3, "href": at, "alt": "a label"})
    assert attachments(home) == (Attachment("label.png", "image/png", 3, b"\x89PN", None, at, "a label"),)
    assert home.asked[-1].path == "/files/label.png"
    assert "x-api-key" in home.asked[-1].headers


def test_a_file_elsewhere_is_fetched_where_the_description_says_so_and_without(
    home: Homemade, elsewhere: Elsewhere
) -> None:
    at = elsewhere.url + "/a.txt"
    with_files(home, {"name": "a.txt", "href": at})
    assert [each.content for each in attachments(home)] == [None]
    assert elsewhere.asked == []
    source = described(file_hosts=["127.0.0.1"])
    assert [each.content for each in attachments(home, source=source)] == [b"from elsewhere"]
    assert "x-api-key" not in elsewhere.asked[-1].headers


@pytest.mark.parametrize(
    "told", [Told(404), Told(302, headers={"location": "/a.txt"}), Told(500), Told(200, raw=b"x" * 99)]
)
def test_what_cannot_be_had_elsewhere_stays_an_address(
    home: Homemade, elsewhere: Elsewhere, told: Told
) -> None:
    with_files(home, {"name": "a.txt", "href": elsewhere.url + "/a.txt"})
    elsewhere.instead = [told]
    source = described(file_hosts=["127.0.0.1"])
    [named] = attachments(home, source=source, max_attachment_bytes=20)
    assert (named.content, named.url) == (None, elsewhere.url + "/a.txt")


def test_a_vendor_that_is_away_is_asked_again(home: Homemade) -> None:
    with_files(home, {"name": "a.txt", "href": home.url + "/a.txt"})
    steps = open_home(home).fetch(None)
    home.instead = [Told(200, {"tickets": home.tickets, "next": None}), Told(503)]
    with pytest.raises(RetryLater):
        list(steps)
    home.kept["/api/a.txt"] = b"here"
    assert [each.content for each in attachments(home)] == [b"here"]


def test_what_is_in_the_answer_is_taken_as_it_is(home: Homemade) -> None:
    with_files(home, {"name": "a.txt", "data": b64encode(b"hello").decode()}, {"name": "b", "data": None})
    assert [(each.content, each.size_bytes) for each in attachments(home)] == [(b"hello", 5), (None, 0)]
    [large, _] = attachments(home, max_attachment_bytes=4)
    assert (large.content, large.size_bytes) == (None, 5)
    with_files(home, {"name": "a.txt", "data": "?"})
    [bad] = items_of(open_home(home))
    assert isinstance(bad, Rejected)
    assert bad.reason == "bad_attachments"


def test_files_of_an_earlier_run_are_not_fetched_again(home: Homemade) -> None:
    home.kept["/api/a.txt"] = b"here"
    with_files(home, {"name": "a.txt", "href": home.url + "/a.txt"}, written_at="2026-03-02T11:30:00Z")
    connector = open_home(home)
    [*_, last] = connector.fetch(None)
    asked = len(home.asked)
    [again] = [item for batch in connector.fetch(last.cursor) for item in batch.items]
    assert isinstance(again, InboundMessage)
    assert again.attachments[0].content is None
    assert [each.path for each in home.asked[asked:]] == ["/api/tickets"]
    history = connector.backfill(NOW - timedelta(days=9), None)
    [old] = [item for batch in history for item in batch.items]
    assert isinstance(old, InboundMessage)
    assert old.attachments[0].content == b"here"


def test_files_go_with_a_reply_in_json(home: Homemade) -> None:
    connector = open_home(home)
    assert connector.sends_files
    connector.send(replace(reply(), attachments=(PICTURE, LETTER)))
    assert home.asked[-1].body["files"] == [
        {"name": "label ü.png", "type": "image/png", "bytes": 3, "alt": "the label", "data": "iVBO"},
        {"name": "letter.txt", "type": "text/plain", "bytes": 5, "data": "aGVsbG8="},
    ]
    connector.send(reply("reply-2"))
    assert "files" not in home.asked[-1].body


def test_what_does_not_fit_is_refused_before_anybody_is_asked(home: Homemade) -> None:
    asked = replace(reply(), attachments=(PICTURE, LETTER))
    for files in ({"most": 1}, {"max_bytes": 7}, None):
        rule = {"member": "files", "item": "{content}", **files} if files else None
        connector = open_home(home, source=described(reply_files=rule))
        assert connector.sends_files == (files is not None)
        with pytest.raises(Refused):
            connector.send(asked)
    with pytest.raises(Refused, match="not here"):
        open_home(home).send(replace(reply(), attachments=(replace(LETTER, content=None),)))
    assert home.asked == []


def test_freshdesk_files_both_ways(elsewhere: Elsewhere) -> None:
    with running(Freshdesk()) as freshdesk:
        freshdesk.kept["/label.png"] = b"\x89PN"
        at = freshdesk.url.removesuffix("/api/v2") + "/label.png"
        file = {"name": "label.png", "content_type": "image/png", "size": 3, "attachment_url": at}
        away = {**file, "attachment_url": elsewhere.url + "/a.txt"}
        freshdesk.tickets = [{**fd_ticket(5, "2026-03-02T09:00:00Z"), "attachments": [file]}]
        freshdesk.conversations[5] = [
            fd_note(6, "And", incoming=True, created_at="2026-03-02T09:00:00Z", attachments=[away])
        ]
        connector = open_freshdesk(freshdesk)
        history = connector.backfill(NOW - timedelta(days=9), None)
        first, second = (item for batch in history for item in batch.items)
        assert isinstance(first, InboundMessage)
        assert isinstance(second, InboundMessage)
        assert [each.content for each in first.attachments] == [b"\x89PN"]
        assert [(each.content, each.url) for each in second.attachments] == [(None, elsewhere.url + "/a.txt")]
        assert elsewhere.asked == []
        connector.send(replace(outgoing("5"), attachments=(PICTURE, LETTER)))
        posted = freshdesk.asked[-1]
        assert posted.body == {"body": "It left this morning.<br>\nAna &amp; Ben"}
        assert posted.files == [
            ("attachments[]", "label ü.png", "image/png", b"\x89PN"),
            ("attachments[]", "letter.txt", "text/plain", b"hello"),
        ]


def test_intercom_files_both_ways() -> None:
    with running(Intercom()) as intercom:
        intercom.kept["/label.png"] = b"\x89PN"
        file = {"type": "upload", "name": "label.png", "url": intercom.url + "/label.png", "filesize": 3}
        conversation = ic_conversation(7, 1772449200)
        conversation["source"]["attachments"] = [{**file, "content_type": "image/png"}]
        intercom.tickets = [conversation]
        connector = open_intercom(intercom)
        history = connector.backfill(NOW - timedelta(days=9), None)
        first = next(item for batch in history for item in batch.items)
        assert isinstance(first, InboundMessage)
        assert [(each.name, each.content) for each in first.attachments] == [("label.png", b"\x89PN")]
        connector.send(replace(outgoing("7"), attachments=(LETTER,)))
        assert intercom.asked[-1].body["attachment_files"] == [
            {"name": "letter.txt", "content_type": "text/plain", "data": "aGVsbG8="}
        ]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "needs multipart, or member and item"),
        ({"multipart": "a", "member": "b", "item": "c"}, "needs multipart, or member and item"),
        ({"member": "b"}, "needs multipart, or member and item"),
        ({"member": "b", "item": "{contents}"}, "did you mean content?"),
        ({"multipart": "a"}, "a form has no room"),
    ],
)
def test_a_mistake_in_files_is_told(files: dict[str, Any], told: str) -> None:
    source = described(reply_files=files)
    source["reply"]["body"]["nested"] = {"a": "b"}
    with pytest.raises(DescriptionError) as error:
        read_description(source)
    assert told in str(error.value)


def described(reply_files: Json = None, **more: Any) -> dict[str, Any]:
    """The home-made tracker's description, as a mapping, with other files of replies."""
    source: dict[str, Any] = without("push")
    source["reply"].pop("files")
    if reply_files is not None:
        source["reply"]["files"] = reply_files
    return {**source, **more}
