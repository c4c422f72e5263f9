"""Open lines: held by one process, taken over when it dies, opened again when they are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import select

from connectors.base import AuthExpired, Batch
from hub.channels import streaming
from hub.channels.fetching import STREAMING_POLL_SECONDS, fetch, poll_seconds
from hub.channels.leases import claim
from hub.channels.models import Channel, Feed
from hub.channels.queries import list_channels
from hub.channels.service import find_channel, set_paused
from hub.channels.streaming import LEASE_SECONDS, Streams
from hub.clock import utcnow
from hub.conversations.models import Message
from hub.runtime import Hub
from tests.hub.channels.conftest import Feeds, scripted_channel
from tests.hub.channels.vendor import Vendor, message
from tests.hub.conftest import ON_SQLITE
from tests.servers import wait_until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(streaming, "RENEW_SECONDS", 0.1)


@pytest.fixture
def line(hub: Hub, vendor: Vendor) -> Channel:
    """A channel whose vendor tells at once."""
    with hub.database.session() as session:
        return scripted_channel(session, streams=True)


@pytest.fixture
def listening(hub: Hub) -> Iterator[Callable[[], Streams]]:
    """Start what holds the lines."""
    started: list[Streams] = []

    def start() -> Streams:
        streams = Streams()
        streams.start(hub)
        started.append(streams)
        return streams

    yield start
    for streams in started:
        streams.stop()


def stored(hub: Hub) -> set[str]:
    with hub.database.reading() as session:
        return set(session.scalars(select(Message.external_id)))


def test_what_the_vendor_tells_is_stored_at_once(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    vendor.live = [[message("a")], [message("b"), message("c")]]
    streams = listening()
    wait_until(lambda: stored(hub) == {"a", "b", "c"}, what="the messages")
    assert feed("stream").opened_at is not None
    streams.stop()
    assert (feed("stream").lease, feed("stream").opened_at) == (None, None)
    assert feed("stream").due_at <= utcnow()
    assert vendor.closed == 1


@ON_SQLITE
def test_an_open_line_has_the_channel_fetched_so_that_nothing_falls_between(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    vendor.post("before")
    fetch(hub)
    assert feed().due_at > utcnow()
    vendor.post("between")
    listening()
    wait_until(lambda: feed("stream").opened_at is not None, what="the line")
    assert feed().due_at <= utcnow()
    vendor.live = [[message("between"), message("after")]]
    wait_until(lambda: "after" in stored(hub), what="the message")
    fetch(hub)
    assert stored(hub) == {"before", "between", "after"}
    # It tells by itself now.
    assert feed().due_at > utcnow() + timedelta(seconds=200)


@ON_SQLITE
def test_a_line_that_moves_the_place_needs_no_fetching_beside_it(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    fetch(hub)
    due_at = feed().due_at
    vendor.live = [Batch((message("a"),), {"last": 0})]
    listening()
    wait_until(lambda: stored(hub) == {"a"}, what="the message")
    assert feed().due_at == due_at
    with hub.database.reading() as session:
        assert find_channel(session, "chirp").cursor == {"last": 0}


@ON_SQLITE
def test_without_its_line_a_channel_is_fetched_as_usual(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    listening()
    wait_until(lambda: feed("stream").opened_at is not None, what="the line")
    fetch(hub)
    assert feed().due_at > utcnow() + timedelta(seconds=200)
    vendor.live = [ConnectionResetError()]
    wait_until(lambda: feed("stream").trouble is not None, what="the loss")
    assert feed().due_at < utcnow() + timedelta(seconds=70)


def test_a_line_whose_holder_died_counts_as_open_no_more(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds
) -> None:
    with hub.database.session() as session:
        held = claim(session, select(Feed).where(Feed.mode == "stream"), utcnow(), LEASE_SECONDS)
        assert held is not None
        held.opened_at = utcnow()
        assert poll_seconds(session, line, utcnow()) == STREAMING_POLL_SECONDS
        session.flush()
        later = utcnow() + timedelta(seconds=LEASE_SECONDS)
        assert poll_seconds(session, line, later) == 60
        assert [each.streaming for each in list_channels(session, utcnow())] == [True]
        assert [each.streaming for each in list_channels(session, later)] == [False]


@ON_SQLITE
def test_a_lost_line_is_opened_again(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("hub.backoff.FIRST_SECONDS", 0.2)
    vendor.live = [[message("a")], ConnectionResetError(), [message("b")], lambda: vendor.told.set()]
    listening()
    wait_until(lambda: stored(hub) == {"a", "b"}, what="the second line")
    assert len(vendor.lines) == 2
    wait_until(lambda: feed("stream").trouble is None, what="health")


@ON_SQLITE
def test_expired_credentials_are_not_tried_again_soon(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    vendor.before = [AuthExpired("The token was revoked.")]
    listening()
    wait_until(lambda: feed("stream").trouble == "sign_in", what="the trouble")
    assert feed("stream").due_at > utcnow() + timedelta(hours=5)


def test_two_processes_hold_one_line_once(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    for _ in range(3):
        listening()
    vendor.live = [[message("a")]]
    wait_until(lambda: stored(hub) == {"a"}, what="the message")
    held = feed("stream").leased_until
    assert held is not None
    wait_until(lambda: (feed("stream").leased_until or held) > held, what="a renewed lease")
    assert len(vendor.lines) == 1


@ON_SQLITE
def test_a_dead_holder_is_followed_within_its_lease(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    # Somebody claimed it, and never said anything again.
    dead_at = utcnow() - timedelta(seconds=LEASE_SECONDS - 1)
    with hub.database.session() as session:
        session.scalars(select(Feed).where(Feed.mode == "stream")).one().due_at = dead_at
        session.flush()
        assert claim(session, select(Feed).where(Feed.mode == "stream"), dead_at, LEASE_SECONDS)
    listening()
    vendor.live = [[message("a")]]
    wait_until(lambda: stored(hub) == {"a"}, what="another holder")
    assert utcnow() >= dead_at + timedelta(seconds=LEASE_SECONDS)


@ON_SQLITE
def test_a_paused_channel_s_line_is_closed(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds
) -> None:
    listening()
    wait_until(lambda: feed("stream").opened_at is not None, what="the line")
    with hub.database.session() as session:
        set_paused(session, find_channel(session, "chirp"), True, utcnow())
    wait_until(lambda: vendor.closed == 1, what="its end")
    assert feed("stream").lease is None
    with hub.database.session() as session:
        set_paused(session, find_channel(session, "chirp"), False, utcnow())
    wait_until(lambda: len(vendor.lines) == 2, what="the second line")


@ON_SQLITE
def test_a_line_that_hangs_is_given_away_at_the_end(
    hub: Hub, line: Channel, vendor: Vendor, listening: Callable[[], Streams], feed: Feeds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(streaming, "STOP_SECONDS", 0.1)
    at_it, go_on = Event(), Event()

    def hang() -> None:
        at_it.set()
        assert go_on.wait(30)

    vendor.live = [hang, [message("late")]]
    streams = listening()
    assert at_it.wait(20)
    streams.stop()
    assert feed("stream").lease is None
    go_on.set()
    wait_until(lambda: vendor.closed == 1, what="its end")
    assert stored(hub) == set()
