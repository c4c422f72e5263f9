"""Fetching: nothing skipped, nothing paid for twice without need, and the plan's quota kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import (
    AuthExpired,
    BadPayload,
    Batch,
    ConnectorError,
    Deleted,
    Edited,
    InboundMessage,
    Item,
    Rejected,
    RetryLater,
)
from connectors.x.connector import XConnector
from connectors.x.reading import id_at, time_of
from connectors.x.settings import XConfig
from tests.connectors.x.answers import Answer, error
from tests.connectors.x.standin import BEARER, KEYS, NOW, StandIn, user
from tests.connectors.x.world import connector, fetched, texts

PROBLEMS = "https://api.twitter.com/2/problems/"
MARA, TOM = user(77, "mara", "Mara", 412), user(78, "tom", "Tom", 18)


def mention(x: StandIn, count: int, *, minutes_ago: float = 10) -> list[str]:
    """So many mentions, a second apart; their ids, oldest first."""
    return [x.post(MARA, f"@acmeparcels number {n}", minutes_ago=minutes_ago - n / 60) for n in range(count)]


def until_error(batches: Iterator[Batch]) -> tuple[list[Item], ConnectorError | None]:
    """What came, and the error with which it ended."""
    items: list[Item] = []
    try:
        for batch in batches:
            items += batch.items
    except ConnectorError as error:
        return items, error
    return items, None


def test_an_id_holds_its_time() -> None:
    assert abs(time_of(str(id_at(NOW))) - NOW) < timedelta(milliseconds=2)


def test_the_first_time_brings_little_and_later_everything_that_is_new(x: StandIn) -> None:
    mention(x, 30, minutes_ago=60)
    reader = connector(x)
    items, cursor = fetched(reader)
    assert len(items) == 10
    new = mention(x, 5, minutes_ago=5)
    items, cursor = fetched(reader, cursor)
    assert [item.external_id for item in items if isinstance(item, InboundMessage)] == new
    assert fetched(reader, cursor)[0] == []


def test_what_nobody_wrote_before_the_first_fetch_is_new_after_it(x: StandIn) -> None:
    _, cursor = fetched(connector(x, searches=["parcels"]))
    new = mention(x, 25, minutes_ago=5)
    items, _ = fetched(connector(x, searches=["parcels"]), cursor)
    # Each comes twice: it mentions the account, and the search finds it.
    assert Counter(item.external_id for item in items if isinstance(item, InboundMessage)) == Counter(new * 2)


def test_a_walk_that_is_cut_off_anywhere_loses_and_repeats_nothing(x: StandIn) -> None:
    x.page_size = 10
    x.check = False
    mention(x, 1, minutes_ago=90)
    _, start = fetched(connector(x))
    written = mention(x, 47, minutes_ago=60)
    for stop_after in (1, 2, 4):
        seen: Counter[str] = Counter()
        cursor: Any = start
        # Each time the process dies after so many batches, and somebody writes meanwhile.
        for attempt in range(8 // stop_after + 2):
            for place, batch in enumerate(connector(x).fetch(cursor), start=1):
                seen.update(item.external_id for item in batch.items if isinstance(item, InboundMessage))
                cursor = json.loads(json.dumps(batch.cursor))
                if place == stop_after:
                    break
            if attempt == 0:
                written.append(x.post(TOM, "@acmeparcels meanwhile", minutes_ago=4 - stop_after / 10))
        assert set(seen) == set(written), stop_after
        assert set(seen.values()) == {1}


def test_a_post_that_x_shows_late_is_not_skipped(x: StandIn) -> None:
    _, cursor = fetched(connector(x))
    quick = x.post(MARA, "@acmeparcels quick", minutes_ago=2 / 60)
    _, cursor = fetched(connector(x), cursor)
    late = x.post(TOM, "@acmeparcels shown late", minutes_ago=5 / 60)
    assert int(late) < int(quick)
    items, _ = fetched(connector(x), cursor)
    assert "@acmeparcels shown late" in texts(items)


def test_direct_messages_are_read_to_the_last_known(x: StandIn) -> None:
    x.write(MARA, "first", minutes_ago=50)
    reader = connector(x, direct_messages=True)
    items, cursor = fetched(reader)
    assert texts(items) == ["first"]
    x.page_size = 4
    for number in range(9):
        x.write(MARA, f"more {number}", minutes_ago=20 - number)
    items, cursor = fetched(reader, cursor)
    assert sorted(texts(items)) == sorted(f"more {number}" for number in range(9))
    # The walk ended at the page on which the last known one stood.
    assert len(x.asked("/2/dm_events")) == 1 + 3
    assert fetched(reader, cursor)[0] == []


def test_a_search_that_slept_longer_than_x_remembers_begins_where_x_can(x: StandIn) -> None:
    x.post(TOM, "acme vans", minutes_ago=60 * 24 * 3)
    reader = connector(x, searches=["vans"], mentions=False)
    _, cursor = fetched(reader)
    x.now += timedelta(days=9)
    x.post(TOM, "vans again", minutes_ago=60)
    items, cursor = fetched(reader, cursor)
    assert texts(items) == ["vans again"]
    assert "since_id" not in x.asked("search/recent")[-1].params
    items, _ = fetched(reader, cursor)
    assert items == []
    assert "since_id" in x.asked("search/recent")[-1].params


def test_reposts_are_left_out_of_a_search_unless_it_asks_for_them(x: StandIn) -> None:
    fetched(connector(x, searches=["vans OR trucks", "vans is:retweet"], mentions=False))
    asked = [request.params["query"] for request in x.asked("search/recent")]
    assert asked == ["(vans OR trucks) -is:retweet", "vans is:retweet"]


def test_one_bad_post_keeps_no_other_waiting(x: StandIn) -> None:
    x.check = False
    mention(x, 3)
    x.post(MARA, "@acmeparcels broken", lang=7)
    items, _ = fetched(connector(x))
    assert [item.reason for item in items if isinstance(item, Rejected)] == ["bad_lang"]
    assert len(texts(items)) == 3


def test_a_limit_of_one_list_keeps_no_other_waiting(x: StandIn) -> None:
    mention(x, 1)
    x.post(TOM, "slow vans")
    x.remaining["GET /2/users/N/mentions"] = 0
    reader = connector(x, searches=["vans"])
    items, told = until_error(reader.fetch(None))
    assert texts(items) == ["slow vans"]
    assert isinstance(told, RetryLater)
    assert told.after_seconds == 600


def test_a_limit_that_x_told_is_kept_without_asking(x: StandIn) -> None:
    x.remaining["GET /2/users/N/mentions"] = 1
    reader = connector(x)
    _, cursor = fetched(reader)
    with pytest.raises(RetryLater, match="mentions"):
        list(reader.fetch(cursor))
    assert len(x.asked("/mentions")) == 1
    x.now += timedelta(seconds=601)
    x.remaining.clear()
    fetched(reader, cursor)
    [budget] = [each for each in reader.budgets() if each.name == "mentions"]
    assert (budget.limit, budget.remaining) == (300, 299)


def test_a_search_that_x_does_not_understand_is_told_after_the_rest(x: StandIn) -> None:
    x.post(TOM, "slow vans")
    items, told = until_error(connector(x, searches=["vans (", "vans"]).fetch(None))
    assert texts(items) == ["slow vans"]
    assert isinstance(told, BadPayload)
    assert "missing ')'" in str(told)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(401, "about:blank", "Unauthorized", "Unauthorized"), AuthExpired),
        (
            error(403, f"{PROBLEMS}oauth1-permissions", "No", "Read-only app."),
            AuthExpired,
        ),
        (
            error(
                403,
                f"{PROBLEMS}client-forbidden",
                "No",
                "Enrol.",
                reason="client-not-enrolled",
            ),
            AuthExpired,
        ),
        (error(403, "about:blank", "Forbidden", "Not on this plan."), BadPayload),
        (error(404, "about:blank", "Not Found", "No such user."), BadPayload),
        (error(402, "about:blank", "Payment Required", "Credits depleted."), RetryLater),
        (
            error(
                429,
                f"{PROBLEMS}usage-capped",
                "Capped",
                "Monthly cap.",
                period="Monthly",
                scope="Product",
            ),
            RetryLater,
        ),
        (error(503, "about:blank", "Over capacity", "Over capacity."), RetryLater),
        (error(500, "about:blank", "Oh", "Internal."), RetryLater),
        (Answer(403, {"code": 326, "message": "This account is temporarily locked."}), AuthExpired),
        (Answer(200, b"<html>"), RetryLater),
        (Answer(200, b"[]"), RetryLater),
        (Answer(200, b'{"data": ', {"content-length": "4000"}), RetryLater),
        (Answer(302, b"", {"location": "/2/users/me"}), BadPayload),
        (
            Answer(200, {"errors": [{"title": "Oh", "type": "about:blank", "detail": "Try again."}]}),
            RetryLater,
        ),
        (Answer(cut="before"), RetryLater),
    ],
)
def test_an_answer_says_what_to_do(x: StandIn, answer: Answer, expected: type[Exception]) -> None:
    x.next_answer("/mentions", answer)
    with pytest.raises(expected) as told:
        list(connector(x, timeout_seconds=0.5).fetch(None))
    assert str(told.value)
    for secret in (*KEYS.values(), BEARER):
        assert secret not in str(told.value)


def test_looking_again_finds_what_was_deleted_hidden_or_changed(x: StandIn) -> None:
    ids = mention(x, 6, minutes_ago=20)
    reader = connector(x, recheck_hours=1)
    _, cursor = fetched(reader)
    x.gone[ids[0]] = "resource-not-found"
    x.gone[ids[1]] = "not-authorized-for-resource"
    x.posts[ids[2]]["withheld"] = {"copyright": True, "country_codes": ["XY"], "scope": "tweet"}
    x.now += timedelta(minutes=61)
    x.edit(ids[3], "found it, sorry", minutes_ago=70)
    items, cursor = fetched(reader, cursor)
    assert {item.external_id for item in items if isinstance(item, Deleted)} == set(ids[:3])
    assert [item for item in items if isinstance(item, Edited)] == [
        Edited(ids[3], "found it, sorry", edited_at=NOW - timedelta(minutes=9))
    ]
    asked = len(x.asked("GET /2/tweets"))
    assert fetched(reader, cursor)[0] == []
    assert len(x.asked("GET /2/tweets")) == asked
    x.now += timedelta(minutes=61)
    assert fetched(reader, cursor)[0] == []
    assert set(x.asked("GET /2/tweets")[-1].params["ids"].split(",")).isdisjoint(ids[:3])


def test_how_many_are_looked_at_again_is_a_setting(x: StandIn) -> None:
    ids = mention(x, 8, minutes_ago=20)
    _, cursor = fetched(connector(x, recheck_posts=3))
    assert list(cursor["known"]) == ids[-3:]
    _, cursor = fetched(connector(x, plan="free"))
    assert cursor["known"] == {}


def test_reads_are_counted_and_shown_and_end_at_the_quota(x: StandIn) -> None:
    mention(x, 5)
    for number in range(20):
        x.post(TOM, f"slow vans {number}", minutes_ago=30)
    reader = connector(x, searches=["vans"], posts_read_a_month=25, overheard_share=0.5, recheck_posts=0)
    _, cursor = fetched(reader)
    assert cursor["spent"]["read"] == 15
    shown = {each.name: (each.limit, each.remaining) for each in reader.budgets()}
    assert shown["posts read this month"] == (25, 10)
    mention(x, 10, minutes_ago=5)
    with pytest.raises(RetryLater, match="25 of 25") as told:
        list(reader.fetch(cursor))
    assert told.value.after_seconds == timedelta(days=30, hours=-12).total_seconds()
    asked = len(x.requests)
    with pytest.raises(RetryLater):
        list(reader.fetch({**cursor, "spent": {**cursor["spent"], "read": 25}}))
    assert len(x.requests) == asked
    x.now += timedelta(days=31)
    items, cursor = fetched(reader, cursor)
    assert items
    assert cursor["spent"]["since"] == "2026-04-01T00:00:00+00:00"


def test_xs_own_count_goes_before_ours(x: StandIn) -> None:
    x.usage = {"project_usage": 480, "project_cap": 1000, "cap_reset_day": 1, "project_id": "12"}
    reader = connector(x, posts_read_a_month=1000)
    mention(x, 2)
    _, cursor = fetched(reader)
    assert cursor["spent"]["read"] == 482
    assert [each.remaining for each in reader.budgets() if each.name == "posts read this month"] == [518]


def test_what_was_written_is_told_from_the_accounts_number_of_posts(x: StandIn) -> None:
    reader = connector(x, plan="basic")
    _, cursor = fetched(reader)
    x.users["900"]["public_metrics"] = {**x.users["900"]["public_metrics"], "tweet_count": 47}
    fetched(reader, cursor)
    x.now += timedelta(hours=2)
    fetched(reader, cursor)
    [budget] = [each for each in reader.budgets() if each.name == "posts written this month"]
    assert (budget.limit, budget.remaining) == (50_000, 49_993)


def test_whose_account_it_is_is_asked_once_an_hour(x: StandIn) -> None:
    reader = connector(x)
    cursor = None
    for _ in range(3):
        _, cursor = fetched(reader, cursor)
    assert len(x.asked("/2/users/me")) == 1


def test_with_the_app_alone_one_can_listen(x: StandIn) -> None:
    x.post(TOM, "slow vans")
    settings = {"bearer_token": BEARER, "searches": ["vans"], "base_url": x.url}
    reader = XConnector(XConfig.model_validate(settings), clock=lambda: x.now)
    items, _ = fetched(reader)
    assert texts(items) == ["slow vans"]
    assert not any(request.user for request in x.requests)
    assert not reader.replies
    assert reader.check().startswith("searches for 1 queries")


def test_with_nothing_to_read_it_is_said(x: StandIn) -> None:
    for settings in ({}, {"bearer_token": BEARER}, {**KEYS, "mentions": False}):
        reader = XConnector(XConfig.model_validate(settings), clock=lambda: x.now)
        assert not reader.fetches
        with pytest.raises(BadPayload, match="keys"):
            list(reader.fetch(None))
        with pytest.raises(BadPayload, match="keys"):
            reader.check()


def test_check_says_as_whom_we_are_known(x: StandIn) -> None:
    x.usage = {"project_usage": 480, "project_cap": 1000, "cap_reset_day": 1, "project_id": "12"}
    told = connector(x, searches=["vans"]).check()
    assert "written to @acmeparcels" in told
    assert "replies as @acmeparcels" in told
    assert "480 posts read this month" in told
    with pytest.raises(AuthExpired):
        connector(x, access_token_secret="an old one").check()


def test_history_comes_back_to_its_beginning_and_goes_on_where_it_was(x: StandIn) -> None:
    x.page_size = 10
    old = x.post(MARA, "@acmeparcels long ago", minutes_ago=60 * 24 * 20)
    written = mention(x, 35, minutes_ago=60 * 24 * 3)
    vans = [x.post(TOM, f"slow vans {number}", minutes_ago=600 - number) for number in range(15)]
    x.write(MARA, "hello", minutes_ago=60)
    since = NOW - timedelta(days=10)
    seen: Counter[str] = Counter()
    cursor: Any = None
    for _ in range(20):
        for batch in connector(x, searches=["vans"], direct_messages=True).backfill(since, cursor):
            seen.update(item.external_id for item in batch.items if isinstance(item, InboundMessage))
            cursor = json.loads(json.dumps(batch.cursor))
            break
    assert old not in seen
    assert {*written, *vans} < set(seen)
    assert len(seen) == len(written) + len(vans) + 1
    assert set(seen.values()) == {1}
    assert list(connector(x, searches=["vans"], direct_messages=True).backfill(since, cursor)) == []


def test_history_of_the_whole_archive(x: StandIn) -> None:
    x.post(TOM, "slow vans", minutes_ago=60 * 24 * 200)
    reader = connector(x, searches=["vans"], whole_archive=True)
    found = [item for batch in reader.backfill(NOW - timedelta(days=365), None) for item in batch.items]
    assert len(found) == 1
    assert x.asked("/2/tweets/search/all")


def test_history_leaves_room_for_mentions(x: StandIn) -> None:
    mention(x, 30)
    x.page_size = 10
    reader = connector(x, posts_read_a_month=40, overheard_share=0.5)
    taken, told = until_error(reader.backfill(NOW - timedelta(days=5), None))
    assert isinstance(told, RetryLater)
    assert len(taken) == 20
