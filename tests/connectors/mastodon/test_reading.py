"""What comes in, once and in order, and what became of it."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import connect
from connectors.base import (
    AuthExpired,
    BadPayload,
    ConnectorError,
    Cursor,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    Rejected,
    RetryLater,
)
from tests.connectors.mastodon.conftest import items_of, open_mastodon
from tests.connectors.mastodon.entities import account
from tests.connectors.mastodon.standin import Misbehaviour, StandIn
from tests.servers import free_port

MINUTE = timedelta(minutes=1)


def messages(items: list[Item]) -> list[InboundMessage]:
    return [item for item in items if isinstance(item, InboundMessage)]


def fetched(there: StandIn, cursor: Cursor | None, **config: Any) -> tuple[list[Item], Cursor]:
    batches = list(open_mastodon(there, **config).fetch(cursor))
    cursor = batches[-1].cursor
    assert cursor is not None
    return [item for batch in batches for item in batch.items], json.loads(json.dumps(cursor))


def test_a_mention_says_who_wrote_what_to_whom(there: StandIn) -> None:
    begun = there.write("<p>New: a fridge</p>", author=there.own, at=there.now - 9 * MINUTE)
    middle = there.write(
        "<p>nice</p>", author=account("7", "tom"), answers=begun["id"], at=there.now - 8 * MINUTE
    )
    made = there.address(
        "<p>It leaks &amp; hums</p>",
        answers=middle["id"],
        at=there.now - 7 * MINUTE,
        visibility="unlisted",
        spoiler_text="ranting",
        language="en",
    )
    [message] = messages(items_of(open_mastodon(there)))
    assert message.external_id == made["id"]
    assert message.text == "It leaks & hums"
    assert message.subject == "ranting"
    assert message.author is not None
    assert message.author.identities == (Identity("handle", "mara@garden.example", "mastodon"),)
    assert (message.author.name, message.author.followers) == ("Mara", 1_234)
    assert message.sent_at == there.now - 7 * MINUTE
    assert message.thread_key == begun["id"]
    assert message.in_reply_to == (middle["id"], begun["id"])
    assert message.addressed
    assert not message.automatic
    assert message.url == made["url"]
    assert message.meta == {
        "visibility": "unlisted",
        "spoiler_text": "ranting",
        "language": "en",
        "edited_at": None,
    }


def test_people_of_the_same_server_have_its_name_in_their_handle(there: StandIn) -> None:
    there.address("<p>hello</p>", author=account("7", "Tom", followers=0), at=there.now - 9 * MINUTE)
    [message] = messages(items_of(open_mastodon(there)))
    assert message.author is not None
    assert message.author.identities[0].value == "tom@toot.example"


def test_the_first_time_brings_the_recent_and_then_nothing_is_skipped(there: StandIn) -> None:
    for number in range(30):
        there.address(f"<p>{number}</p>", at=there.now - timedelta(hours=1, minutes=-number))
    items, cursor = fetched(there, None)
    assert [m.text for m in messages(items)] == [str(number) for number in range(10, 30)]
    for number in range(30, 130):
        there.address(f"<p>{number}</p>", at=there.now - timedelta(minutes=10, seconds=-number))
    items, cursor = fetched(there, cursor)
    assert [m.text for m in messages(items)] == [str(number) for number in range(30, 130)]
    items, _ = fetched(there, cursor)
    assert items == []


def test_an_account_without_mentions_begins_with_the_very_first(there: StandIn) -> None:
    items, cursor = fetched(there, None)
    assert items == []
    for number in range(60):
        there.address(f"<p>{number}</p>", at=there.now + timedelta(seconds=number))
    there.now += timedelta(hours=1)
    items, _ = fetched(there, cursor)
    assert len(messages(items)) == 60


def test_what_is_newest_is_asked_for_again(there: StandIn) -> None:
    """A notification may be stored a moment after one with a higher id."""
    there.address("<p>early</p>", at=there.now - 5 * MINUTE)
    there.address("<p>late</p>", at=there.now - timedelta(seconds=10))
    _, cursor = fetched(there, None)
    items, _ = fetched(there, cursor)
    assert [m.text for m in messages(items)] == ["late"]


def test_a_post_that_comes_late_from_another_server_is_not_skipped(there: StandIn) -> None:
    for minutes in (30, 5):
        there.write(f"<p>{minutes}</p>", at=there.now - minutes * MINUTE, tags=("acme",))
    items, cursor = fetched(there, None, hashtags=["#Acme"], mentions=False)
    assert [m.text for m in messages(items)] == ["30", "5"]
    there.write("<p>late</p>", at=there.now - 8 * MINUTE, tags=("acme",))
    items, _ = fetched(there, cursor, hashtags=["acme"], mentions=False)
    assert [m.text for m in messages(items)] == ["late", "5"]


def test_a_hashtag_is_overheard_and_what_names_us_is_not(there: StandIn) -> None:
    ours = there.write("<p>ours</p>", author=there.own, tags=("acme",), at=there.now - 60 * MINUTE)
    there.write("<p>to nobody</p>", tags=("acme",), at=there.now - 50 * MINUTE)
    there.write("<p>to us</p>", tags=("acme",), at=there.now - 40 * MINUTE, names_us=True)
    there.write("<p>an answer</p>", tags=("acme",), at=there.now - 30 * MINUTE, answers=ours["id"])
    found = messages(items_of(open_mastodon(there, hashtags=["acme"], mentions=False)))
    assert [(m.text, m.addressed) for m in found] == [
        ("to nobody", False),
        ("to us", True),
        ("an answer", True),
    ]


def test_without_an_account_one_may_still_listen(there: StandIn) -> None:
    there.write("<p>overheard</p>", tags=("acme",), at=there.now - 50 * MINUTE)
    listening = open_mastodon(there, access_token=None, hashtags=["acme"])
    assert [m.text for m in messages(items_of(listening))] == ["overheard"]
    assert not listening.replies
    assert not listening.streams
    assert listening.check() == "listens to #acme on toot.example (Mastodon 4.5.2), as nobody"


def test_private_messages_that_the_server_sets_aside_are_asked_for(there: StandIn) -> None:
    items_of(open_mastodon(there))
    [asked] = [request for request in there.requests if "/notifications" in request]
    assert "include_filtered=true" in asked


def test_an_edit_and_a_deletion_are_found_by_looking_again(there: StandIn) -> None:
    kept, edited, gone = (
        there.address(f"<p>{word}</p>", at=there.now - 9 * MINUTE) for word in ("a", "b", "c")
    )
    _, cursor = fetched(there, None)
    there.now += 2 * MINUTE
    there.change(edited["id"], "<p>b, better</p>")
    there.delete(gone["id"])
    items, cursor = fetched(there, cursor)
    assert items == []  # it looks every five minutes
    there.now += 4 * MINUTE
    items, cursor = fetched(there, cursor)
    assert items == [
        Edited(edited["id"], "b, better", edited_at=there.now - 4 * MINUTE),
        Deleted(gone["id"]),
    ]
    there.now += 6 * MINUTE
    items, cursor = fetched(there, cursor)
    assert items == []
    assert kept["id"] in cursor["recent"]
    there.now += timedelta(days=2)
    _, cursor = fetched(there, cursor)
    assert cursor["recent"] == {}


def test_what_is_missing_among_many_is_looked_for_alone(there: StandIn) -> None:
    """A server that leaves one out of a list, or knows no such list, has not deleted it."""
    there.address("<p>a</p>", at=there.now - 9 * MINUTE)
    _, cursor = fetched(there, None)
    there.now += 6 * MINUTE
    for wrong in (
        Misbehaviour("GET /api/v1/statuses?", 404),
        Misbehaviour("GET /api/v1/statuses?", 200, body=b"[]"),
    ):
        there.wrong = [wrong]
        items, _ = fetched(there, cursor)
        assert items == []


def test_what_was_edited_before_it_came_says_so(there: StandIn) -> None:
    """A stream may have brought it as it was before."""
    made = there.address("<p>a</p>", at=there.now - 9 * MINUTE)
    there.change(made["id"], "<p>b</p>")
    message, edit = items_of(open_mastodon(there))
    assert isinstance(message, InboundMessage)
    assert edit == Edited(made["id"], "b", edited_at=there.now)


def test_looking_again_leaves_the_last_requests_to_others(there: StandIn) -> None:
    there.address("<p>a</p>", at=there.now - 9 * MINUTE)
    _, cursor = fetched(there, None)
    there.now += 6 * MINUTE
    there.rate = (300, 20)
    there.requests.clear()
    fetched(there, cursor)
    assert not any("/api/v1/statuses" in request for request in there.requests)


def test_threads_are_looked_up_a_bounded_number_of_times(there: StandIn) -> None:
    for number in range(70):
        begun = there.write("<p>begun</p>", author=there.own, at=there.now - 60 * MINUTE)
        there.address(f"<p>{number}</p>", answers=begun["id"], at=there.now - 50 * MINUTE)
    found = messages(fetched(there, {"mentions": "0", "tags": {}, "recent": {}, "checked": 0})[0])
    assert len(found) == 70
    assert sum("/context" in request for request in there.requests) == 60
    assert all(m.thread_key == m.in_reply_to[-1] for m in found[:60])
    assert all(m.thread_key is None and len(m.in_reply_to) == 1 for m in found[60:])


def test_a_thread_is_looked_up_once(there: StandIn) -> None:
    begun = there.write("<p>begun</p>", author=there.own, at=there.now - 60 * MINUTE)
    last = begun
    for number in range(5):
        last = there.address(f"<p>{number}</p>", answers=last["id"], at=there.now - (50 - number) * MINUTE)
    found = messages(items_of(open_mastodon(there)))
    assert {m.thread_key for m in found} == {begun["id"]}
    assert sum("/context" in request for request in there.requests) == 1


def test_a_thread_whose_beginning_is_gone_begins_with_what_is_answered(there: StandIn) -> None:
    begun = there.write("<p>begun</p>", author=there.own, at=there.now - 60 * MINUTE)
    there.address("<p>why?</p>", answers=begun["id"], at=there.now - 50 * MINUTE)
    there.delete(begun["id"])
    [message] = messages(items_of(open_mastodon(there)))
    assert message.thread_key == begun["id"]


def test_history_comes_newest_first_and_goes_on_where_it_was_interrupted(there: StandIn) -> None:
    for number in range(70):
        there.address(f"<p>{number}</p>", at=there.now - timedelta(hours=70 - number))
        there.write(f"<p>#{number}</p>", at=there.now - timedelta(hours=70 - number), tags=("acme",))
    since = there.now - timedelta(hours=60)
    config = {"hashtags": ["acme"]}
    batches = list(open_mastodon(there, **config).backfill(since, None))
    texts = [m.text for batch in batches for m in messages(list(batch.items))]
    assert sorted(texts) == sorted(
        [f"{number}" for number in range(10, 70)] + [f"#{number}" for number in range(10, 70)]
    )
    assert len(batches) == 4
    for place, batch in enumerate(batches):
        cursor = json.loads(json.dumps(batch.cursor))
        rest = [
            m.text
            for b in open_mastodon(there, **config).backfill(since, cursor)
            for m in messages(list(b.items))
        ]
        assert rest == [m.text for b in batches[place + 1 :] for m in messages(list(b.items))]


def test_the_servers_limits_are_shown_and_kept(there: StandIn) -> None:
    connector = open_mastodon(there)
    assert connector.budgets() == ()
    there.rate = (300, 0)
    assert connector.limit({}) == 500
    [budget] = connector.budgets()
    assert (budget.name, budget.limit, budget.remaining) == ("requests", 300, 0)
    assert budget.resets_at == there.now + timedelta(seconds=90)
    asked = len(there.requests)
    with pytest.raises(RetryLater) as told:
        items_of(connector)
    assert told.value.after_seconds == 90
    assert len(there.requests) == asked
    there.now += timedelta(seconds=91)
    there.rate = (300, 300)
    assert items_of(connector) == []


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "after_seconds"),
    [
        (401, {}, b'{"error": "The access token was revoked"}', AuthExpired, None),
        (403, {}, b'{"error": "This action is outside the authorized scopes"}', AuthExpired, None),
        (403, {}, b'{"error": "Your login is currently disabled"}', AuthExpired, None),
        (404, {}, b'{"error": "Not Found"}', BadPayload, None),
        (410, {}, b"", BadPayload, None),
        (422, {}, b'{"error": "Unprocessable"}', BadPayload, None),
        (429, {}, b'{"error": "Too many requests"}', RetryLater, 90),
        (429, {"Retry-After": "7"}, b"", RetryLater, 7),
        (500, {}, b"<html>", RetryLater, None),
        (503, {"Retry-After": "120"}, b"", RetryLater, 120),
        (302, {"Location": "https://elsewhere.example/"}, b"", BadPayload, None),
        (200, {}, b"<html>a page</html>", BadPayload, None),
        (200, {}, b'{"not": "a list"}', BadPayload, None),
        (200, {}, b"[" * 100_000, BadPayload, None),
    ],
)
def test_an_answer_says_what_to_do(
    there: StandIn,
    status: int,
    headers: dict[str, str],
    body: bytes,
    error: type[ConnectorError],
    after_seconds: float | None,
) -> None:
    there.wrong = [Misbehaviour("GET /api/v1/notifications", status, headers, body)]
    with pytest.raises(error) as told:
        items_of(open_mastodon(there))
    assert type(told.value) is error
    assert getattr(told.value, "after_seconds", None) == after_seconds


def test_a_token_that_no_longer_serves_is_told_as_that(there: StandIn) -> None:
    with pytest.raises(AuthExpired, match="invalid"):
        open_mastodon(there, access_token="some other token").check()


def test_a_server_that_is_away_is_asked_later(there: StandIn) -> None:
    away = open_mastodon(there, server=f"http://127.0.0.1:{free_port()}")
    for ask in (away.check, lambda: items_of(away)):
        with pytest.raises(RetryLater):
            ask()


def test_a_silent_server_is_asked_later(there: StandIn) -> None:
    there.wrong = [Misbehaviour("GET /api/v1/notifications", silent=True)]
    with pytest.raises(RetryLater):
        items_of(open_mastodon(there, timeout_seconds=0.2))


def test_says_as_whom_it_reads(there: StandIn) -> None:
    assert (
        open_mastodon(there, hashtags=["acme"]).check()
        == "reads what is written to @acme@toot.example, and #acme (Mastodon 4.5.2, 500 characters a post)"
    )
    with pytest.raises(BadPayload, match="nothing to read"):
        open_mastodon(there, access_token=None).check()


def test_a_cursor_of_something_else_is_told_as_that(there: StandIn) -> None:
    strange: list[Cursor] = [{"uid": 7}, {"mentions": None, "tags": [], "recent": {}, "checked": 0}]
    for cursor in strange:
        with pytest.raises(BadPayload, match="cursor"):
            items_of(open_mastodon(there), cursor)


def test_one_bad_record_stops_nothing(there: StandIn) -> None:
    there.page = json.dumps(
        [
            {"id": "9", "type": "mention", "status": {"id": "../../etc", "content": "x"}},
            7,
            None,
            {"id": "8", "type": "mention", "status": "words"},
        ]
    ).encode()
    items = items_of(open_mastodon(there))
    assert [item.reason for item in items if isinstance(item, Rejected)] == [
        "not_an_object",
        "not_an_object",
        "not_an_object",
        "missing_id",
    ]
    assert isinstance(items[-1], Rejected)
    assert items[-1].where == "mentions: 9"


def test_a_strange_post_takes_no_long_time(there: StandIn) -> None:
    nested = "<b>" * 3_000 + "<a href='https://x.example'>" * 3_000
    there.address(f"<p>{nested}words</p>", at=there.now - 9 * MINUTE)
    begun = time.process_time()
    [message] = messages(items_of(open_mastodon(there)))
    assert "words" in message.text
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"server": "http://toot.example"},
        {"server": "ftp://toot.example"},
        {"server": "https://toot.example", "hashtags": ["two words"]},
        {"server": "https://toot.example", "hashtags": ["a/../b"]},
        {"server": "https://toot.example", "visibility": "everybody"},
        {"server": "https://toot.example", "timeout_seconds": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connect("mastodon", config)
