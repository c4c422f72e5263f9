"""Fetching, history, and what the account's server says when it does not simply answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.base import AuthExpired, BadPayload, Batch, Deleted, InboundMessage, RetryLater
from connectors.bluesky.connector import BlueskyConfig, BlueskyConnector
from tests.connectors.bluesky.conftest import connected
from tests.connectors.bluesky.peer import HANDLE, ME, NOW, PASSWORD, Peer, mention, post

LATER = NOW + timedelta(minutes=10)


def keys(batches: list[Batch]) -> list[str]:
    """The record keys of the messages in some batches."""
    items = [item for batch in batches for item in batch.items]
    return [item.external_id.rpartition("/")[2] for item in items if isinstance(item, InboundMessage)]


def many(count: int, text: str = "acme tea") -> list[dict[str, Any]]:
    """Posts, newest first, five minutes apart."""
    times = [NOW - timedelta(minutes=5 * number) for number in range(count)]
    return [post(f"k{count - number:03}", text, at=at) for number, at in enumerate(times)]


def test_notifications_and_searches_have_a_place_each(peer: Peer, connector: BlueskyConnector) -> None:
    peer.notifications = [post("n2", "Hello", **mention()), post("n1", "Hi", **mention())]
    peer.posts = [post("s1", "I like acme tea"), post("s0", "nothing of it")]
    batches = list(connector.fetch(None))
    assert keys(batches) == ["n1", "n2", "s1"]
    items = [item for batch in batches for item in batch.items if isinstance(item, InboundMessage)]
    assert [item.addressed for item in items] == [True, True, False]
    cursor = batches[-1].cursor
    assert cursor is not None
    assert cursor["low"] == {"notifications": NOW.isoformat(), "search acme tea": NOW.isoformat()}
    searched = next(params for method, params in peer.asked if method.endswith("searchPosts"))
    assert searched["q"] == ['"acme tea"']
    assert searched["sort"] == ["latest"]


def test_a_first_fetch_brings_a_day_and_the_next_goes_on_from_there(peer: Peer) -> None:
    peer.notifications = many(500)
    first = list(connected(peer).fetch(None))
    assert keys(first) == [f"k{number:03}" for number in range(212, 501)]
    peer.notifications.insert(0, post("k501", "One more", at=NOW))
    peer.asked.clear()
    assert keys(list(connected(peer).fetch(first[-1].cursor))) == ["k498", "k499", "k500", "k501"]
    assert peer.methods().count("listNotifications") == 1


def test_more_than_memory_should_hold_is_asked_for_again(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.bluesky.connector._MOST_PAGES", 2)
    peer.notifications = many(450)
    cursor = {"low": {"notifications": (NOW - timedelta(days=9)).isoformat()}}
    batches = list(connected(peer, overlap_minutes=0).fetch(cursor))
    found = keys(batches)
    assert list(dict.fromkeys(found)) == [f"k{number:03}" for number in range(1, 451)]
    # Each of them once, but for those at the seams.
    assert len(found) < 460


def test_an_interrupted_fetch_skips_nothing(peer: Peer) -> None:
    peer.notifications = many(250)
    stored: set[str] = set()
    cursor = None
    for _ in range(10):
        reading = connected(peer).fetch(cursor)
        for _ in range(2):  # killed after two batches
            if (batch := next(reading, None)) is not None:
                cursor = batch.cursor
                stored.update(keys([batch]))
    assert stored == {f"k{number:03}" for number in range(1, 251)}


def test_profiles_are_asked_for_together(peer: Peer) -> None:
    people = [f"did:plc:p{number}" for number in range(30)]
    peer.profiles = {did: {"did": did, "handle": f"{did[8:]}.example", "followersCount": 7} for did in people}
    peer.notifications = [post(f"k{did[8:]}", "Hello", did=did) for did in people]
    batches = list(connected(peer).fetch(None))
    authors = [item.author for batch in batches for item in batch.items if isinstance(item, InboundMessage)]
    assert {author.followers for author in authors if author} == {7}
    assert peer.methods().count("getProfiles") == 2


def test_what_is_not_shown_any_more_was_deleted(peer: Peer) -> None:
    peer.notifications = many(3)
    cursor = dict(list(connected(peer).fetch(None))[-1].cursor or {})
    gone = peer.notifications.pop(1)["uri"]
    peer.gone.add(gone)
    # Within five minutes nobody looks.
    assert next(connected(peer).fetch(cursor)).items == ()
    cursor["rechecked_at"] = (NOW - timedelta(minutes=6)).isoformat()
    first = next(connected(peer).fetch(cursor))
    assert first.items == (Deleted(gone, NOW),)
    assert first.cursor is not None
    assert gone not in first.cursor["recent"]


def test_history_goes_on_where_it_was_interrupted(peer: Peer) -> None:
    peer.notifications, peer.posts = many(230), many(120)
    since = NOW - timedelta(minutes=5 * 210)
    whole = keys(list(connected(peer, terms=["acme tea"]).backfill(since, None)))
    found: list[str] = []
    cursor = None
    while True:
        batch = next(connected(peer, terms=["acme tea"]).backfill(since, cursor), None)
        if batch is None:
            break
        cursor = batch.cursor
        found += keys([batch])
    assert found == whole
    assert len(found) == 211 + 120


def test_check_says_as_whom(peer: Peer, connector: BlueskyConnector) -> None:
    peer.profiles[ME] = {"did": ME, "handle": HANDLE, "followersCount": 1234}
    told = connector.check()
    assert told == "reads what is written to @brand.example (1,234 followers), listens for acme tea"


def test_a_session_serves_until_it_ends(peer: Peer) -> None:
    for _ in range(3):
        list(connected(peer).fetch(None))
    assert peer.methods().count("createSession") == 1
    expired = {"error": "ExpiredToken", "message": "Token has expired"}
    peer.failures["listNotifications"] = [(400, {}, expired)]
    list(connected(peer).fetch(None))
    assert peer.methods().count("createSession") == 2


def test_an_old_token_is_refreshed_before_it_is_used(peer: Peer) -> None:
    peer.token_seconds = 60
    list(connected(peer).fetch(None))
    assert "refreshSession" in peer.methods()
    assert peer.methods().count("createSession") == 1


def test_a_password_that_was_taken_back_is_told(peer: Peer) -> None:
    list(connected(peer).fetch(None))
    peer.password = "another"
    revoked = {"error": "ExpiredToken", "message": "Token has been revoked"}
    peer.failures["listNotifications"] = [(401, {}, revoked)]
    with pytest.raises(AuthExpired, match="App passwords") as told:
        list(connected(peer).fetch(None))
    assert PASSWORD not in str(told.value)


def test_without_an_account_the_settings_say_what_is_missing() -> None:
    bare = BlueskyConnector(BlueskyConfig())
    assert [bare.fetches, bare.streams, bare.replies, bare.backfills] == [False] * 4
    with pytest.raises(BadPayload, match="app_password"):
        list(bare.fetch(None))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, {}, {"error": "InternalServerError"}), RetryLater),
        ((502, {}, b"<html>"), RetryLater),
        ((0, {}, None), RetryLater),
        ((200, {}, b"{"), RetryLater),
        ((200, {}, ["a list"]), RetryLater),
        ((200, {}, {"something": "else"}), BadPayload),
        ((400, {}, {"error": "InvalidRequest", "message": "Bad cursor"}), BadPayload),
        ((404, {}, {"error": "NotFound"}), BadPayload),
        ((429, {}, {"error": "RateLimitExceeded"}), RetryLater),
    ],
)
def test_what_fetching_raises(peer: Peer, answer: Any, error: type[Exception]) -> None:
    peer.failures["listNotifications"] = [answer]
    with pytest.raises(error):
        list(connected(peer).fetch(None))


def test_limits_are_kept_and_obeyed(peer: Peer) -> None:
    resets = str(int(LATER.timestamp()))
    peer.headers = {"ratelimit-limit": "3000", "ratelimit-remaining": "2999", "ratelimit-reset": resets}
    found = connected(peer)
    list(found.fetch(None))
    budgets = {budget.name: budget for budget in found.budgets()}
    assert (budgets["reading"].limit, budgets["reading"].remaining) == (3000, 2999)
    assert budgets["reading"].resets_at == LATER
    assert "sign-in" in budgets
    peer.headers["ratelimit-remaining"] = "0"
    found = connected(peer)
    with pytest.raises(RetryLater) as told:
        list(found.fetch({"recent": ["at://did:plc:mara/app.bsky.feed.post/k1"]}))
    assert told.value.after_seconds == 600
    assert peer.methods().count("getPosts") == 1


def test_a_429_says_when_to_come_back(peer: Peer) -> None:
    resets = str(int(LATER.timestamp()))
    peer.failures["listNotifications"] = [(429, {"ratelimit-reset": resets}, {"error": "RateLimitExceeded"})]
    with pytest.raises(RetryLater) as told:
        list(connected(peer).fetch(None))
    assert told.value.after_seconds == 600
