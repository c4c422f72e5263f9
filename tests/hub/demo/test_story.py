"""The demo's story holds what the demo promises, whenever it is told."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from hub.customers.imports import import_customers, import_events
from hub.customers.models import EVENT_KINDS
from hub.database import Database
from hub.demo.people import brand, people
from hub.demo.script import parse, scenes
from hub.demo.story import Story, Thread, Turn, live, story
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY
from sentiment.types import INTENTS

NOW = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)
# Night, the change of the clocks, the first moments of a year: the story must hold at all of them.
MOMENTS = [
    NOW,
    datetime(2027, 1, 1, 0, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 23, 59, tzinfo=UTC),
]


@pytest.fixture(scope="module")
def told() -> Story:
    return story(NOW)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def customer_turns(told: Story) -> list[tuple[Thread, Turn]]:
    return [(thread, turn) for thread in told.threads for turn in thread.turns if turn.kind == "customer"]


def test_there_are_enough_customers_messages_and_channels(told: Story) -> None:
    turns = customer_turns(told)
    assert len(rows(told.customers_csv)) >= 150
    assert len(turns) >= 500
    by_channel = Counter(thread.channel for thread, _ in turns)
    assert by_channel.keys() == {channel.key for channel in brand().channels}
    assert min(by_channel.values()) >= 80


def test_four_languages_in_believable_shares(told: Story) -> None:
    turns = customer_turns(told)
    share = {code: n / len(turns) for code, n in Counter(thread.language for thread, _ in turns).items()}
    assert share.keys() == {"en", "de", "fr", "es"}
    assert 0.55 < share["en"] < 0.75
    assert min(share.values()) > 0.07


def test_every_intent_is_spoken_of_several_times(told: Story) -> None:
    themes = Counter(theme for thread in told.threads for theme in thread.themes)
    assert themes.keys() == set(INTENTS)
    assert min(themes.values()) >= 8


def test_a_part_is_answered_and_a_part_waits(told: Story) -> None:
    waiting = [thread for thread in told.threads if thread.waiting]
    assert 60 <= len(waiting) <= 100
    assert all(thread.turns[-1].kind == "customer" for thread in waiting)
    ages = [NOW - thread.turns[-1].at for thread in waiting]
    assert sum(age < timedelta(minutes=45) for age in ages) > len(ages) / 2
    assert sum(age > timedelta(hours=6) for age in ages) >= 5
    answered = sum(any(turn.kind == "agent" for turn in thread.turns) for thread in told.threads)
    assert 0.55 < answered / len(told.threads) < 0.75
    kinds = Counter(turn.kind for thread in told.threads for turn in thread.turns)
    assert kinds["note"] >= 10
    assert kinds["auto"] >= 2


def test_answers_follow_within_believable_times(told: Story) -> None:
    delays: dict[str, list[float]] = defaultdict(list)
    for thread in told.threads:
        first = next((turn for turn in thread.turns if turn.kind == "agent"), None)
        if first:
            delays[thread.channel].append((first.at - thread.turns[0].at).total_seconds())
    for channel, seconds in delays.items():
        seconds.sort()
        median = seconds[len(seconds) // 2]
        assert 300 < median < 4 * 3600, channel
        assert seconds[-1] > 3 * median, channel


def test_the_crisis_is_a_burst(told: Story) -> None:
    starts = sorted(thread.turns[0].at for thread in told.threads if thread.source.startswith("crisis_chirp"))
    first = starts[0]
    assert sum(at - first < timedelta(hours=3) for at in starts) >= 70
    assert timedelta(days=2) < NOW - first < timedelta(days=4)


def test_the_nights_are_quiet(told: Story) -> None:
    hours = [turn.at.astimezone(ZoneInfo(brand().timezone)).hour for _, turn in customer_turns(told)]
    assert sum(hour < 6 for hour in hours) < len(hours) * 0.04
    assert sum(hour in (10, 11, 12, 18, 19, 20, 21) for hour in hours) > len(hours) * 0.4


def test_mails_carry_quoted_history_in_several_languages(told: Story) -> None:
    quoted = [
        turn.text
        for thread, turn in customer_turns(told)
        if thread.channel == "mail" and ("\n> " in turn.text or "\n-----" in turn.text)
    ]
    assert len(quoted) >= 25
    for opener in ("wrote:", "schrieb", "a écrit :", "escribió:", "-----Original Message-----"):
        assert any(opener in text for text in quoted), opener
    assert sum(len(text) > 700 for text in quoted) >= 15


def test_the_same_people_write_on_two_channels(told: Story) -> None:
    channels: dict[str, set[str]] = defaultdict(set)
    for thread in told.threads:
        if thread.customer:
            channels[thread.customer].add(thread.channel)
    assert sum(len(found) > 1 for found in channels.values()) >= 12


def test_every_thread_finds_its_customer(told: Story) -> None:
    known = {row["customer_id"]: row for row in rows(told.customers_csv)}
    for thread in told.threads:
        if thread.customer is None:
            continue
        row = known[thread.customer]
        value = thread.author.identities[0].value
        assert value == row["email"] or f"chirp:@{value}" == row["handles"]


def test_nobody_says_the_same_twice(told: Story) -> None:
    texts = Counter(turn.text for _, turn in customer_turns(told))
    assert texts.most_common(1)[0][1] == 1
    ids = [turn.external_id for thread in told.threads for turn in thread.turns]
    assert len(ids) == len(set(ids))


def test_no_placeholder_is_left(told: Story) -> None:
    for thread in told.threads:
        for turn in thread.turns:
            assert not any(mark in turn.text for mark in ("{{", "}}", "[[", "]]", "@@")), turn.text


@pytest.mark.parametrize("now", MOMENTS, ids=str)
def test_times_are_ordered_and_never_after_the_present(now: datetime) -> None:
    told = story(now)
    for thread in told.threads:
        times = [turn.at for turn in thread.turns]
        assert times == sorted(times), thread.source
        assert now - timedelta(days=15) < times[0]
        assert times[-1] <= now
    assert all(datetime.fromisoformat(row["occurred_at"]) <= now for row in rows(told.events_csv))


def test_inbound_messages_are_what_a_connector_would_bring(told: Story) -> None:
    for thread in told.threads:
        keys = set()
        for turn in thread.turns:
            if turn.kind != "customer":
                assert turn.inbound is None
                continue
            message = turn.inbound
            assert message is not None
            assert (message.external_id, message.text, message.sent_at) == (
                turn.external_id,
                turn.text,
                turn.at,
            )
            assert message.author == thread.author
            keys.add(message.thread_key)
        assert len(keys) == 1
        assert (keys == {None}) == (thread.channel == "mail")


def test_a_mail_answers_to_what_came_before_it(told: Story) -> None:
    for thread in told.threads:
        if thread.channel != "mail":
            continue
        for number, turn in enumerate(thread.turns):
            if turn.inbound:
                before = [earlier.external_id for earlier in thread.turns[:number]]
                assert list(turn.inbound.in_reply_to) == before[::-1]


def test_customers_and_events_are_in_the_import_formats(told: Story) -> None:
    customers = rows(told.customers_csv)
    for field in ("customer_id", "email"):
        values = [row[field] for row in customers]
        assert len(values) == len(set(values))
        assert all(values)
    for field in ("handles", "phone", "loyalty_number"):
        values = [row[field] for row in customers if row[field]]
        assert len(values) == len(set(values))
    tiers = Counter(row["tier"] for row in customers)
    assert tiers.keys() == {"platinum", "gold", "silver", "bronze", ""}
    assert tiers["platinum"] < tiers["gold"] < tiers["silver"] < tiers["bronze"] + tiers[""]
    assert all(int(row["points"]) >= 0 for row in customers if row["tier"])
    events = rows(told.events_csv)
    ids = {row["customer_id"] for row in customers}
    assert len({row["event_id"] for row in events}) == len(events)
    assert {row["customer"] for row in events} <= ids
    assert {row["kind"] for row in events} == set(EVENT_KINDS)
    assert all(Decimal(row["amount"]) > 0 for row in events if row["kind"] == "return")


def test_the_importers_take_the_files(told: Story, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    try:
        with database.session() as session:
            policy = activate(session, DEFAULT_POLICY, NOW).policy
        customers = import_customers(database, io.StringIO(told.customers_csv), policy, NOW)
        header, *lines = told.events_csv.splitlines()
        sample = "\n".join([header, *lines[::10]])
        events = import_events(database, io.StringIO(sample), policy, NOW)
    finally:
        database.close()
    assert customers.errors == []
    assert events.errors == []


def test_spending_has_a_heavy_tail_led_by_platinum_with_exceptions(told: Story) -> None:
    tier = {row["customer_id"]: row["tier"] for row in rows(told.customers_csv)}
    spend: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows(told.events_csv):
        if row["kind"] == "purchase":
            spend[row["customer"]] += Decimal(row["amount"])
    ranked = sorted(spend, key=lambda customer: spend[customer], reverse=True)
    tenth = ranked[: len(ranked) // 10]
    assert sum(spend[customer] for customer in tenth) > sum(spend.values()) * Decimal("0.3")
    assert sum(tier[customer] == "platinum" for customer in ranked[:10]) >= 5
    assert any(tier[customer] == "" for customer in tenth)
    assert any(tier[customer] == "platinum" for customer in ranked[len(ranked) // 4 :])


def test_somebody_bought_this_morning(told: Story) -> None:
    today = [
        row
        for row in rows(told.events_csv)
        if row["kind"] == "purchase" and row["occurred_at"] >= "2026-11-18"
    ]
    assert 1 <= len(today) <= 5


def test_the_same_present_gives_the_same_story(told: Story) -> None:
    assert story(NOW) == told
    assert story(NOW, seed=8) != told


def test_the_live_feed_never_ends_and_never_repeats_an_id() -> None:
    feed = list(islice(live(NOW), 600))
    assert len({message.inbound.external_id for _, message in feed}) == 600
    texts = [message.inbound.text for _, message in feed[:150]]
    assert len(set(texts)) == 150
    assert {message.language for _, message in feed[:150]} == {"en", "de", "fr", "es"}
    assert {message.channel for _, message in feed[:150]} == {"chirp", "mail", "form"}
    assert all(message.inbound.sent_at is None for _, message in feed)
    gaps = [seconds for seconds, _ in feed]
    assert 9 < sum(gaps) / len(gaps) < 15
    assert min(gaps) < 2 < 30 < max(gaps)


@pytest.mark.parametrize("start", [1, 149, 200, 500])
def test_the_live_feed_goes_on_where_it_stopped(start: int) -> None:
    assert list(islice(live(NOW), start, start + 5)) == list(islice(live(NOW, start), 5))


def test_the_live_feed_goes_on_with_conversations_of_the_past(told: Story) -> None:
    threads = {turn.external_id: thread for thread in told.threads for turn in thread.turns}
    keys = {
        turn.inbound.thread_key: thread for thread in told.threads for turn in thread.turns if turn.inbound
    }
    followed = 0
    for _, message in islice(live(NOW), 200):
        inbound = message.inbound
        past = keys.get(inbound.thread_key) if inbound.thread_key else None
        if inbound.in_reply_to:
            past = threads.get(inbound.in_reply_to[0])
        if past is not None:
            followed += 1
            assert past.author == inbound.author
            assert past.channel == message.channel
    assert followed >= 30


def test_all_names_and_addresses_are_invented(told: Story) -> None:
    for row in rows(told.customers_csv):
        assert row["email"].endswith(".example")
    assert all(agent.email.endswith("@larkfell.example") for agent in told.agents)
    assert {agent.role for agent in told.agents} == {"agent", "social", "manager"}


def test_every_person_of_the_scripts_exists_or_is_a_stranger() -> None:
    for scene in (*scenes("threads"), *scenes("live")):
        assert scene.person.startswith("?") or scene.person in people(), scene.source


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("@@ chirp mara_w someday\nHello", "unknown word 'someday'"),
        ("@@ chirp mara_w d1\n", "no words after"),
        ("Hello\n@@ chirp mara_w d1\nHello", "words before the first scene"),
        ("@@ chirp mara_w ago-5x\nHello", "unknown word 'ago-5x'"),
    ],
)
def test_a_script_that_cannot_be_read_says_where_and_why(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        list(parse(text, "some.txt"))
    assert "some.txt" in str(caught.value)
