"""What the contract does not ask: places, edits, deletions, limits, errors, and saying a thing once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import connect
from connectors.base import (
    Attachment,
    AuthExpired,
    Author,
    BadPayload,
    Budget,
    ConnectorError,
    Cursor,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
)
from connectors.reddit.connector import RedditConnector
from tests.connectors.reddit.standin import (
    CLIENT_SECRET,
    ME,
    NOW,
    PASSWORD,
    REFRESH_TOKEN,
    Standin,
    Thing,
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


def fetched(reddit: RedditConnector, cursor: Cursor | None = None) -> tuple[list[Item], Cursor | None]:
    """All that is new, and the last cursor, as a database gives it back."""
    items: list[Item] = []
    for batch in reddit.fetch(cursor):
        items += batch.items
        cursor = json.loads(json.dumps(batch.cursor))
    return items, cursor


def messages(items: list[Item]) -> dict[str, InboundMessage]:
    return {item.external_id: item for item in items if isinstance(item, InboundMessage)}


def said(number: int, minutes_ago: float, **data: Any) -> Thing:
    """A comment of somebody, some minutes before `NOW`."""
    return {
        "kind": "t1",
        "data": {
            "name": f"t1_n{number}",
            "author": "Mara_L",
            "body": f"Words {number}",
            "created_utc": (NOW - timedelta(minutes=minutes_ago)).timestamp(),
            "link_id": "t3_s1",
            **data,
        },
    }


def test_a_reply_to_us_tells_who_where_and_what(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    standin.abouts["Mara_L"] = {"total_karma": 4711, "subreddit": {"subscribers": 12}}
    items, _ = fetched(connector(standin))
    [message] = items
    assert message == InboundMessage(
        external_id="t1_c1",
        text="Still nothing & no answer. Grüße 🙂",
        author=Author((Identity("handle", "Mara_L", "reddit"),), followers=12),
        sent_at=datetime(2026, 3, 2, 10, 1, tzinfo=UTC),
        subject="Where is my parcel?",
        html='<div class="md"><p>Still nothing & no answer. Grüße 🙂</p></div>',
        thread_key="t3_s1/mara_l",
        in_reply_to=("t1_our0",),
        url=f"{standin.url}/r/parcels/comments/s1/where_is_my_parcel/c1/?context=3",
        meta={
            "name": "t1_c1",
            "kind": "t1",
            "subreddit": "parcels",
            "score": 3,
            "karma": 4711,
            "type": "comment_reply",
        },
    )


@pytest.mark.parametrize(
    ("fixture", "thread_key", "automatic"),
    [
        ("username_mention", "t3_s1/mara_l", False),
        ("submission_text", "t3_s1/mara_l", False),
        ("private_message", "t4_m1", False),
        ("private_message_answered", "t4_m1", False),
        ("comment_by_robot", "t3_s1/automoderator", True),
    ],
)
def test_what_belongs_together(standin: Standin, fixture: str, thread_key: str, automatic: bool) -> None:
    standin.put("message/inbox", thing(fixture))
    [message] = fetched(connector(standin))[0]
    assert isinstance(message, InboundMessage)
    assert message.thread_key == thread_key
    assert message.automatic is automatic
    assert message.incoming
    assert message.addressed


def test_a_picture_is_told_of(standin: Standin) -> None:
    standin.put("message/inbox", thing("submission_picture"))
    [message] = fetched(connector(standin))[0]
    assert isinstance(message, InboundMessage)
    url = "https://i.redd.it/crushed.jpg?width=640"
    assert message.attachments == (Attachment("crushed.jpg", "image/*", 0, url=url),)


def test_searches_and_watched_subreddits_are_overheard(standin: Standin) -> None:
    standin.put("r/parcels+post/search", thing("submission_text"))
    standin.put("r/acme/new", thing("submission_picture"))
    standin.put("r/acme/comments", said(1, 5))
    reddit = connector(standin, searches=["parcel"], subreddits=["parcels", "post"], watched=["acme"])
    found = messages(fetched(reddit)[0])
    assert found.keys() == {"t3_s1", "t3_s2", "t1_n1"}
    assert not any(message.addressed for message in found.values())
    asked = next(query for _, path, query in standin.requests if path.endswith("search"))
    assert (asked["q"], asked["sort"], asked["restrict_sr"]) == ("parcel", "new", "true")
    assert not any(path.endswith("about") for path in standin.paths())


def test_our_own_words_are_ours_wherever_they_were_written(standin: Standin) -> None:
    standin.put(f"user/{ME}/comments", said(1, 5, author=ME.upper(), parent_id="t1_c1"))
    sent = {**thing("private_message_answered")}
    sent["data"]["author"] = ME
    standin.put("message/sent", sent)
    found = messages(fetched(connector(standin))[0])
    assert not any(message.incoming for message in found.values())
    assert found["t1_n1"].thread_key is None
    assert found["t1_n1"].in_reply_to == ("t1_c1",)
    assert found["t4_m3"].thread_key == "t4_m1"


def test_what_was_gone_before_we_came_is_left_out(standin: Standin) -> None:
    standin.put("message/inbox", said(1, 5, author="[deleted]", body="[deleted]"))
    standin.put("message/inbox", said(2, 5, body="[removed]"))
    assert fetched(connector(standin))[0] == []


def test_the_first_fetch_leaves_history_to_the_back_fill(standin: Standin) -> None:
    for number in range(250):
        standin.put("message/inbox", said(number, 60 * 25 + number))
    standin.put("message/inbox", said(999, 60 * 24 * 90))
    reddit = connector(standin)
    assert fetched(reddit)[0] == []
    since = NOW - timedelta(days=30)
    batches = list(reddit.backfill(since, None))
    whole = [item for batch in batches for item in batch.items]
    assert len(messages(whole)) == len(whole) == 250
    for number, batch in enumerate(batches):
        cursor = json.loads(json.dumps(batch.cursor))
        rest = [item for each in reddit.backfill(since, cursor) for item in each.items]
        assert rest == [item for each in batches[number + 1 :] for item in each.items]


def test_the_beginning_does_not_move_with_the_clock(standin: Standin) -> None:
    reddit = connector(standin)
    _, cursor = fetched(reddit)
    standin.now += timedelta(days=7)
    standin.put("message/inbox", said(1, -5))
    assert messages(fetched(reddit, cursor)[0]).keys() == {"t1_n1"}


def test_an_outage_loses_nothing_and_doubles_nothing(standin: Standin) -> None:
    reddit = connector(standin)
    for number in range(30):
        standin.put("message/inbox", said(number, 90 - number))
    items, cursor = fetched(reddit)
    for number in range(30, 480):
        standin.put("message/inbox", said(number, 59 - number / 10))
    seen = list(messages(items))
    # Broken off after every step, and gone on from what was stored.
    while True:
        batch = next(iter(reddit.fetch(cursor)), None)
        if batch is None or not batch.items:
            break
        seen += messages(list(batch.items))
        cursor = json.loads(json.dumps(batch.cursor))
    assert seen == [f"t1_n{number}" for number in range(480)]


def test_what_a_search_shows_late_is_not_lost(standin: Standin) -> None:
    reddit = connector(standin, searches=["parcel"])
    standin.put("r/all/search", said(1, 5))
    _, cursor = fetched(reddit)
    standin.put("r/all/search", said(2, 9))
    items, cursor = fetched(reddit, cursor)
    assert messages(items).keys() == {"t1_n2"}
    assert fetched(reddit, cursor)[0] == []


def test_the_newest_may_be_deleted_between_two_fetches(standin: Standin) -> None:
    reddit = connector(standin)
    standin.put("message/inbox", said(1, 5))
    _, cursor = fetched(reddit)
    standin.listings["message/inbox"].clear()
    standin.put("message/inbox", said(2, 3))
    assert messages(fetched(reddit, cursor)[0]).keys() == {"t1_n2"}


def test_edits_and_deletions_are_followed(standin: Standin) -> None:
    reddit = connector(standin)
    edited = standin.put("message/inbox", said(1, 9))
    removed = standin.put("message/inbox", said(2, 8))
    deleted = standin.put("message/inbox", said(3, 7))
    standin.put("message/inbox", said(4, 6))
    standin.put("message/inbox", thing("private_message"))
    _, cursor = fetched(reddit)
    edited["data"].update(body="Other words", edited=(NOW + timedelta(minutes=3)).timestamp())
    removed["data"]["body"] = "[removed]"
    deleted["data"].update(author="[deleted]", body="[deleted]")
    standin.now += timedelta(minutes=9)
    assert fetched(reddit, cursor)[0] == []  # it is not yet time to look
    standin.now += timedelta(minutes=2)
    items, cursor = fetched(reddit, cursor)
    assert items == [
        Edited("t1_n1", "Other words", edited_at=NOW + timedelta(minutes=3)),
        Deleted("t1_n2"),
        Deleted("t1_n3"),
    ]
    standin.now += timedelta(minutes=11)
    assert fetched(reddit, cursor)[0] == []
    asked = [query["id"] for _, path, query in standin.requests if path == "api/info"]
    assert asked == ["t1_n1,t1_n2,t1_n3,t1_n4", "t1_n1,t1_n4"]


def test_what_is_old_is_not_looked_at_again(standin: Standin) -> None:
    reddit = connector(standin, recheck_hours=1)
    standin.put("message/inbox", said(1, 30))
    _, cursor = fetched(reddit)
    standin.now += timedelta(minutes=31)
    fetched(reddit, cursor)
    assert "api/info" not in standin.paths()


def test_a_thing_that_is_not_found_again_is_not_taken_for_deleted(standin: Standin) -> None:
    reddit = connector(standin)
    standin.put("message/inbox", said(1, 5))
    _, cursor = fetched(reddit)
    standin.info.clear()
    standin.now += timedelta(minutes=11)
    assert fetched(reddit, cursor)[0] == []


def test_a_search_that_is_refused_stops_only_itself(standin: Standin) -> None:
    standin.put("r/acme/new", said(1, 5))
    standin.listings["r/acme/comments"] = []
    reddit = connector(standin, watched=["private", "acme"])
    seen: list[Item] = []
    batches = reddit.fetch(None)
    with pytest.raises(BadPayload, match="r/private/new"):
        seen.extend(item for batch in batches for item in batch.items)
    assert messages(seen).keys() == {"t1_n1"}


def test_profiles_are_asked_for_once_and_never_hold_anything_up(standin: Standin) -> None:
    for number in range(40):
        standin.put("message/inbox", said(number, 60 - number, author=f"person_{number // 2}"))
    reddit = connector(standin)
    assert len(messages(fetched(reddit)[0])) == 40
    assert sum(path.endswith("about") for path in standin.paths()) == 20
    quiet = connector(standin, profiles=False)
    asked = len(standin.requests)
    fetched(quiet)
    assert not any(path.endswith("about") for path in standin.paths()[asked:])


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
