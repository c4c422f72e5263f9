"""Replies to Reddit, its errors and limits, and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import connect
from connectors.base import (
    Attachment,
    AuthExpired,
    BadPayload,
    Budget,
    ConnectorError,
    Cursor,
    Identity,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
)
from tests.connectors.reddit.reading import fetched, messages, said
from tests.connectors.reddit.standin import (
    CLIENT_SECRET,
    ME,
    NOW,
    PASSWORD,
    REFRESH_TOKEN,
    Standin,
)
from tests.connectors.reddit.test_contract import connector, thing

REPLY = OutboundMessage(
    idempotency_key="key-1",
    text="It left *this* morning.\r\nAna ",
    author_name="Ana",
    recipient=Identity("handle", "Mara_L", "reddit"),
    in_reply_to="t1_c1",
    created_at=NOW,
)


def test_a_reply_goes_below_what_it_answers_and_is_known_when_it_comes_back(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    reddit = connector(standin)
    _, cursor = fetched(reddit)
    sent = reddit.send(REPLY)
    assert sent.external_id == "t1_our1"
    assert standin.said == [("t1_c1", REPLY.text)]
    items, _ = fetched(reddit, cursor)
    [back] = messages(items).values()
    assert (back.external_id, back.incoming, back.in_reply_to) == ("t1_our1", False, ("t1_c1",))


def test_a_private_message_is_answered_in_private(standin: Standin) -> None:
    standin.put("message/inbox", thing("private_message"))
    reddit = connector(standin)
    private = replace(REPLY, in_reply_to="not ours", answered={"name": "t4_m1"})
    assert reddit.find_sent(private) is None
    sent = reddit.send(private)
    assert standin.said == [("t4_m1", REPLY.text)]
    assert reddit.find_sent(private) == replace(sent, detail="found by its text and place")


def test_a_connection_cut_after_the_comment_says_nothing_twice(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    standin.cut_after_comment = True
    reddit = connector(standin)
    with pytest.raises(OutcomeUnknown):
        reddit.send(REPLY)
    standin.cut_after_comment = False
    found = reddit.find_sent(REPLY)
    assert found is not None
    assert found.external_id == "t1_our1"
    assert reddit.send(REPLY).external_id == "t1_our1"
    assert len(standin.said) == 1


def test_the_same_words_elsewhere_or_long_ago_are_another_reply(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    text = {"author": ME, "body": "It left *this* morning.\nAna"}
    standin.put(f"user/{ME}/comments", said(1, 5, parent_id="t1_other", **text))
    standin.put(f"user/{ME}/comments", said(2, 5, parent_id="t1_c1", **{**text, "body": "Hello"}))
    standin.put(f"user/{ME}/comments", said(3, 60 * 24, parent_id="t1_c1", **text))
    assert connector(standin).find_sent(REPLY) is None


def test_more_than_reddit_shows_leaves_the_outcome_open(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    for number in range(1001):
        standin.put(f"user/{ME}/comments", said(number, 1, author=ME, parent_id="t1_c1"))
    with pytest.raises(OutcomeUnknown):
        connector(standin).find_sent(REPLY)
    with pytest.raises(RetryLater):
        connector(standin).send(REPLY)
    assert standin.said == []


@pytest.mark.parametrize(
    "change",
    [
        {"in_reply_to": None},
        {"in_reply_to": "thread-9"},
        {"in_reply_to": "t2_person"},
        {"in_reply_to": "t1_gone"},
        {"text": "x" * 10_001},
        {"attachments": (Attachment("x.png", "image/png", 1, b"x"),)},
    ],
)
def test_what_can_never_be_sent_is_refused(standin: Standin, change: Mapping[str, Any]) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    with pytest.raises(Refused):
        connector(standin).send(replace(REPLY, **change))
    assert standin.said == []


@pytest.mark.parametrize(
    ("refusal", "error", "after_seconds"),
    [
        ({"errors": [["THREAD_LOCKED", "Comments are locked.", "parent"]]}, Refused, None),
        ({"errors": [["TOO_OLD", None, "parent"]]}, Refused, None),
        ({"errors": ["odd"]}, Refused, None),
        (
            {"errors": [["RATELIMIT", "Take a break for 5 minutes.", "x"]], "ratelimit": 290.5},
            RetryLater,
            290.5,
        ),
        ({"errors": [["RATELIMIT", "Take a break for 5 minutes.", "x"]]}, RetryLater, 301),
        ({"errors": [["RATELIMIT", "Take a break.", "x"]]}, RetryLater, None),
        ({"errors": [["USER_REQUIRED", "Please log in.", None]]}, AuthExpired, None),
        ({"errors": []}, OutcomeUnknown, None),
        ({"errors": [], "data": {"things": ["odd"]}}, OutcomeUnknown, None),
    ],
)
def test_what_reddit_says_of_a_comment(
    standin: Standin, refusal: dict[str, Any], error: type[ConnectorError], after_seconds: float | None
) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    standin.refusal = refusal
    with pytest.raises(error) as told:
        connector(standin).send(REPLY)
    assert getattr(told.value, "after_seconds", None) == after_seconds


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "after_seconds"),
    [
        (429, {"retry-after": "93"}, b"", RetryLater, 93),
        (429, {"retry-after": "Mon, 02 Mar 2026 12:00:30 GMT"}, b"", RetryLater, 30),
        (429, {"x-ratelimit-reset": "7.5"}, b"", RetryLater, 7.5),
        (500, {}, b"", OutcomeUnknown, None),
        (503, {}, b"", OutcomeUnknown, None),
        (200, {}, b"<html>", OutcomeUnknown, None),
        (200, {}, b"[]", OutcomeUnknown, None),
        (400, {}, b'{"message": "Bad Request", "error": 400}', Refused, None),
        (400, {}, b'{"reason": "BAD", "explanation": "no", "fields": ["text"]}', Refused, None),
        (403, {}, b'{"message": "Forbidden", "error": 403}', Refused, None),
        (404, {}, b"", Refused, None),
        (302, {"location": "https://elsewhere.example/"}, b"", Refused, None),
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
    standin.put("message/inbox", thing("comment_reply"))
    reddit = connector(standin)
    reddit.check()
    nothing_said = b'{"data": {"children": [], "after": null}}'
    standin.answers += [(200, {}, nothing_said), (status, headers, body)]
    asked = len(standin.requests)
    with pytest.raises(error) as told:
        reddit.send(REPLY)
    assert getattr(told.value, "after_seconds", None) == after_seconds
    # It is said once, whatever the answer was.
    assert [method for method, _, _ in standin.requests[asked:]] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, b"", AuthExpired),
        (404, b"", BadPayload),
        (429, b"", RetryLater),
        (500, b"", RetryLater),
        (200, b"<html>", BadPayload),
        (200, b"[]", BadPayload),
        (200, b"{}", BadPayload),
    ],
)
def test_a_fetch_says_what_to_do(
    standin: Standin, status: int, body: bytes, error: type[ConnectorError]
) -> None:
    reddit = connector(standin)
    reddit.check()
    standin.answers.append((status, {}, body))
    with pytest.raises(error):
        fetched(reddit)


def test_an_expired_token_is_renewed_and_a_lost_password_told(standin: Standin) -> None:
    reddit = connector(standin)
    reddit.check()
    standin.tokens[:] = ["another"]
    standin.put("message/inbox", said(1, 5))
    assert len(fetched(reddit)[0]) == 1
    for wrong in ({"password": "wrong"}, {"client_secret": "wrong"}, {"username": "other"}):
        with pytest.raises(AuthExpired) as told:
            connector(standin, **wrong).check()
        assert PASSWORD not in str(told.value)
        assert CLIENT_SECRET not in str(told.value)


def test_check_says_who_we_are(standin: Standin) -> None:
    assert connector(standin).check() == f"reads and answers as u/{ME}"
    web_app = connector(standin, username="", password=None, refresh_token=REFRESH_TOKEN)
    assert web_app.check() == f"reads and answers as u/{ME}"
    with pytest.raises(BadPayload, match="Set client_id"):
        connect("reddit", {}).check()


def test_the_limit_is_shown_and_kept_to(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    standin.limit = 3
    reddit = connector(standin, profiles=False)
    assert reddit.budgets() == ()
    with pytest.raises(RetryLater) as told:
        fetched(reddit)
    assert told.value.after_seconds == 300
    assert reddit.budgets() == (Budget("requests", 3, 0, NOW + timedelta(minutes=5)),)
    assert standin.used == 3
    with pytest.raises(RetryLater):
        reddit.send(REPLY)
    assert standin.used == 3
    standin.now += timedelta(minutes=5)
    standin.used = 0
    assert reddit.send(REPLY).external_id == "t1_our1"


def test_a_back_fill_leaves_some_of_the_limit_to_others(standin: Standin) -> None:
    for number in range(900):
        standin.put("message/inbox", said(number, number))
    standin.limit = 10
    reddit = connector(standin, profiles=False)
    with pytest.raises(RetryLater):
        list(reddit.backfill(NOW - timedelta(days=30), None))
    assert standin.used == 8


@pytest.mark.parametrize(
    "config",
    [
        {"subreddits": ["a/../b"]},
        {"watched": ["no spaces"]},
        {"searches": [" "]},
        {"oauth_url": "ftp://reddit.example"},
        {"user_agent": "short"},
    ],
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connect("reddit", config)


@pytest.mark.parametrize("cursor", [{"uid": 7}, {"places": {"inbox": 5}, "recent": {}}, {"places": {}}])
def test_a_cursor_of_something_else_is_told(standin: Standin, cursor: Cursor) -> None:
    with pytest.raises(BadPayload, match="cursor"):
        fetched(connector(standin), cursor)
    if "uid" in cursor:
        return
    with pytest.raises(BadPayload, match="cursor"):
        list(connector(standin).backfill(NOW, {"source": "x"}))
