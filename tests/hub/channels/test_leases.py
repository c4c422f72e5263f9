"""Leases: held for as long as a process lives, however slow its vendor; soon another's when it dies."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from hub.channels.backfilling import backfill, start_backfill
from hub.channels.fetching import fetch
from hub.channels.leases import Hold, Lost, claim
from hub.channels.models import Backfill, Channel, Feed
from hub.channels.service import find_channel, set_paused
from hub.runtime import Hub
from hub.settings import Settings
from tests.factories import NOW
from tests.hub.channels.conftest import Feeds
from tests.hub.channels.vendor import Vendor, message
from tests.hub.conftest import Clock
from tests.servers import wait_until

LEASE = 30


@pytest.fixture
def held(hub: Hub, line: Channel) -> Hold[Feed]:
    """The channel's feed, claimed now."""
    with hub.database.session() as session:
        feed = claim(session, select(Feed).where(Feed.mode == "fetch"), NOW, LEASE)
    assert feed is not None
    return Hold(hub.database, feed, NOW, LEASE, hanging_seconds=900)


def claimable(hub: Hub, seconds: float) -> bool:
    """Whether another process may take it so long after the claim; it does, where it may."""
    with hub.database.session() as session:
        feed = claim(session, select(Feed).where(Feed.mode == "fetch"), at(seconds), LEASE)
        return feed is not None


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_usual_lease_is_short() -> None:
    assert Settings().fetch_lease_seconds <= 30


def test_without_a_beat_another_takes_over_when_the_lease_is_over(hub: Hub, held: Hold[Feed]) -> None:
    assert not claimable(hub, LEASE - 1)
    assert claimable(hub, LEASE)


def test_a_beat_holds_on(hub: Hub, held: Hold[Feed]) -> None:
    for seconds in range(10, 300, 10):
        assert held.beat(at(seconds))
        assert not claimable(hub, seconds + LEASE - 1)
    assert claimable(hub, 290 + LEASE)


def test_who_was_followed_beats_no_more_and_stores_nothing(hub: Hub, held: Hold[Feed], feed: Feeds) -> None:
    assert claimable(hub, LEASE)
    theirs = feed()
    assert not held.beat(at(LEASE + 1))
    with hub.database.session() as session, pytest.raises(Lost):
        held.renew(session, at(LEASE + 1))
    with hub.database.session() as session, pytest.raises(Lost):
        held.give_back(session, due_at=NOW)
    assert (feed().lease, feed().leased_until) == (theirs.lease, theirs.leased_until)


def test_a_vendor_that_hangs_is_given_up(hub: Hub, held: Hold[Feed]) -> None:
    assert held.beat(at(899))
    assert not held.beat(at(900))
    assert claimable(hub, 899 + LEASE)


def test_what_comes_starts_the_patience_anew(hub: Hub, held: Hold[Feed]) -> None:
    with hub.database.session() as session:
        held.renew(session, at(800))
    assert held.beat(at(1699))
    assert not held.beat(at(1700))


def test_a_pause_ends_it(hub: Hub, held: Hold[Feed]) -> None:
    with hub.database.session() as session:
        set_paused(session, find_channel(session, "chirp"), True, NOW)
    assert not held.beat(at(10))


def test_a_database_that_is_away_for_a_beat_costs_nothing(
    hub: Hub, held: Hold[Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> object:
        raise OperationalError("", {}, Exception())

    with monkeypatch.context() as patch:
        patch.setattr(hub.database, "session", away)
        assert held.beat(at(10))
    assert held.beat(at(20))
    assert not claimable(hub, 20 + LEASE - 1)


def test_a_slow_vendor_is_fetched_by_one(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    # The beats are real, three a second; the hub's clock moves as it is told.
    hub.settings = hub.settings.model_copy(update={"fetch_lease_seconds": 1})

    def slow() -> None:
        for _ in range(3):
            clock.advance(seconds=0.9)
            wait_until(lambda: feed().leased_until == clock.now + timedelta(seconds=1), what="a beat")
            other = Thread(target=lambda: others.append(fetch(hub)))
            other.start()
            other.join(20)

    others: list[int] = []
    vendor.post("a")
    vendor.before = [slow]
    assert fetch(hub) == 1
    assert (others, vendor.fetches) == ([0, 0, 0], [None])
    assert (feed().lease, feed().leased_until) == (None, None)


def test_slow_history_is_brought_by_one(hub: Hub, line: Channel, vendor: Vendor, clock: Clock) -> None:
    hub.settings = hub.settings.model_copy(update={"fetch_lease_seconds": 1})
    vendor.history = [message("a", sent_at=NOW - timedelta(days=30))]
    with hub.database.session() as session:
        session.scalars(select(Feed)).one().due_at = NOW + timedelta(days=1)
        start_backfill(session, find_channel(session, "chirp"), NOW - timedelta(days=60), user=None, now=NOW)

    def held_until() -> object:
        with hub.database.reading() as session:
            return session.scalars(select(Backfill.leased_until)).one()

    def slow() -> None:
        clock.advance(seconds=0.9)
        wait_until(lambda: held_until() == clock.now + timedelta(seconds=1), what="a beat")
        clock.advance(seconds=0.9)
        assert backfill(hub) == 0

    vendor.before = [slow]
    assert backfill(hub) == 1
    assert len(vendor.backfills) == 1
