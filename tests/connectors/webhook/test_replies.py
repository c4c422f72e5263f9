"""Replies to a real server on this machine, and every way in which that can fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import connect
from connectors.base import Attachment, AuthExpired, ConnectorError, OutcomeUnknown, Refused, RetryLater
from connectors.webhook.connector import WebhookConfig, WebhookConnector
from tests.connectors.contract import reply
from tests.connectors.webhook.peer import SECRET, Peer, running_peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with running_peer() as peer:
        yield peer


def connector(peer: Peer, **config: Any) -> WebhookConnector:
    settings = {"reply_url": f"{peer.url}/replies", "reply_secret": SECRET, "timeout_seconds": 5, **config}
    return WebhookConnector(WebhookConfig.model_validate(settings))


def test_a_reply_arrives_signed(peer: Peer) -> None:
    sent = connector(peer).send(reply())
    assert sent.external_id == "at-peer-reply-1"
    assert peer.taken["reply-1"] == {
        "type": "message.reply",
        "timestamp": "2026-03-01T09:30:00+00:00",
        "data": {
            "id": "reply-1",
            "text": "Your parcel left this morning. Grüße, Ana 🙂",
            "author_name": "Ana",
            "recipient": {"kind": "handle", "value": "mara", "place": "social"},
            "thread": "thread-9",
            "in_reply_to": "post-5",
            "subject": "Re: Where is my parcel?",
            "automatic": False,
        },
    }


def test_what_no_person_wrote_says_so(peer: Peer) -> None:
    connector(peer).send(replace(reply(), automatic=True))
    assert peer.taken["reply-1"]["data"]["automatic"] is True


@pytest.mark.parametrize(
    ("body", "external_id"),
    [
        (b'{"id": "r-1"}', "r-1"),
        (b'{"id": 7}', "7"),
        (b'{"id": ""}', None),
        (b'{"id": ["r"]}', None),
        (b"[]", None),
        (b"", None),
        (b"\xff\x00", None),
        (b"[" * 60_000, None),
        (b" " * 1_000_000 + b'{"id": "too far"}', None),
    ],
)
def test_any_answer_of_success_is_success(peer: Peer, body: bytes, external_id: str | None) -> None:
    peer.status, peer.body = 202, body
    assert connector(peer).send(reply()).external_id == external_id


@pytest.mark.parametrize(
    ("status", "headers", "error", "after_seconds"),
    [
        (429, {"retry-after": "7"}, RetryLater, 7),
        (503, {"retry-after": "120"}, RetryLater, 120),
        (429, {}, RetryLater, None),
        (429, {"retry-after": "in a while"}, RetryLater, None),
        (408, {}, RetryLater, None),
        (500, {}, RetryLater, None),
        (502, {}, RetryLater, None),
        (401, {}, AuthExpired, None),
        (403, {}, AuthExpired, None),
        (400, {}, Refused, None),
        (404, {}, Refused, None),
        (409, {}, Refused, None),
        (413, {}, Refused, None),
    ],
)
def test_an_answer_says_what_to_do(
    peer: Peer, status: int, headers: dict[str, str], error: type[ConnectorError], after_seconds: float | None
) -> None:
    peer.status, peer.headers = status, headers
    with pytest.raises(error, match=str(status)) as told:
        connector(peer).send(reply())
    assert getattr(told.value, "after_seconds", None) == after_seconds
    assert peer.taken == {}


def test_retry_after_may_be_a_date(peer: Peer) -> None:
    now = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    peer.status = 503
    settings = {"reply_url": peer.url, "reply_secret": SECRET}
    for ahead, expected in ((90, 90), (-90, 0)):
        peer.headers = {"retry-after": format_datetime(now + timedelta(seconds=ahead), usegmt=True)}
        with pytest.raises(RetryLater) as told:
            WebhookConnector(WebhookConfig.model_validate(settings), clock=_at_first(now)).send(reply())
        assert told.value.after_seconds == expected


def _at_first(now: datetime) -> Any:
    """A clock right for the signature, which the peer checks, and then at `now`."""
    times = iter([datetime.now(UTC)])
    return lambda: next(times, now)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(peer: Peer, status: int) -> None:
    peer.status, peer.headers = status, {"location": f"{peer.url}/elsewhere"}
    with pytest.raises(Refused):
        connector(peer).send(reply())
    assert peer.requests == [("POST", "/replies")]


def test_a_connection_cut_after_the_request_leaves_the_outcome_open(peer: Peer) -> None:
    peer.cut = True
    with pytest.raises(OutcomeUnknown):
        connector(peer).send(reply())


def test_silence_after_the_request_leaves_the_outcome_open(peer: Peer) -> None:
    peer.silent = True
    with pytest.raises(OutcomeUnknown):
        connector(peer, timeout_seconds=0.05).send(reply())


def test_an_answer_cut_in_its_body_is_still_an_answer(peer: Peer) -> None:
    peer.headers = {"content-length": "99999"}
    assert connector(peer, timeout_seconds=0.2).send(reply()).external_id is None


def test_a_name_that_leads_nowhere_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(RetryLater, match="No connection"):
        connect("webhook", {"reply_url": "https://brand.example/", "reply_secret": SECRET}).send(reply())


def test_a_key_that_no_header_can_hold_is_refused(peer: Peer) -> None:
    for key in ("a\r\nx-injected: 1", "schlüssel", "half \ud83d"):
        with pytest.raises(Refused):
            connector(peer).send(reply(key))
        with pytest.raises(OutcomeUnknown):
            connector(peer, status_url=f"{peer.url}/{{key}}").find_sent(reply(key))
    assert peer.requests == []


def test_the_status_is_asked_by_key(peer: Peer) -> None:
    asking = connector(peer, status_url=f"{peer.url}/replies/{{key}}")
    assert asking.find_sent(reply("a/b ?")) is None
    assert peer.requests == [("GET", "/replies/a%2Fb%20%3F")]
    asking.send(reply())
    found = asking.find_sent(reply())
    assert found is not None
    assert found.external_id == "at-peer-reply-1"


@pytest.mark.parametrize("trouble", [{"status": 500}, {"status": 401}, {"status": 302}])
def test_a_status_that_does_not_say_leaves_the_outcome_open(peer: Peer, trouble: dict[str, Any]) -> None:
    vars(peer).update(trouble)
    with pytest.raises(OutcomeUnknown):
        connector(peer, status_url=f"{peer.url}/replies/{{key}}").find_sent(reply())


def test_without_a_way_to_ask_the_outcome_stays_open(peer: Peer) -> None:
    with pytest.raises(OutcomeUnknown):
        connector(peer).find_sent(reply())


@pytest.mark.parametrize(
    "config",
    [
        {"reply_url": "ftp://brand.example", "reply_secret": SECRET},
        {"reply_url": "file:///etc/passwd", "reply_secret": SECRET},
        {"reply_url": "https://brand.example"},
        {"status_url": "https://brand.example/{key}"},
        {"status_url": "https://brand.example/no-place-for-it", "reply_secret": SECRET},
        {"status_url": "file:///{key}", "reply_secret": SECRET},
        {"timeout_seconds": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connect("webhook", config)


def test_files_go_with_a_reply_where_they_are_looked_for(peer: Peer) -> None:
    picture = Attachment("label.png", "image/png", 3, b"\x89PN")
    with_files = connector(peer, reply_files=True)
    assert with_files.sends_files
    assert not connector(peer).sends_files
    with_files.send(replace(reply(), attachments=(picture,)))
    assert peer.taken["reply-1"]["data"]["attachments"] == [
        {"name": "label.png", "content_type": "image/png", "size": 3, "content": "iVBO"}
    ]
    with pytest.raises(Refused, match="not here"):
        with_files.send(replace(reply(), attachments=(replace(picture, content=None),)))


def test_statuses_and_tags_are_pushed_where_they_are_wanted(peer: Peer) -> None:
    told = connector(peer, push_changes=True)
    assert told.annotates
    for _ in range(2):
        assert told.annotate("order-1881", status="solved", add_tags=("late",)) is None
    # Each is one of its own: what changes back and forth is not the same again.
    assert len(peer.taken) == 2
    for pushed in peer.taken.values():
        assert pushed["type"] == "thread.changed"
        assert pushed["data"] == {
            "thread": "order-1881",
            "status": "solved",
            "add_tags": ["late"],
            "remove_tags": [],
        }
    silent = connector(peer)
    assert not silent.annotates
    with pytest.raises(Refused):
        silent.annotate("order-1881", status="solved")
    with pytest.raises(ValidationError, match="reply_url"):
        WebhookConfig.model_validate({"push_changes": True})
