"""History: brought in once, after what is new, whoever dies on the way, and nobody is promised anything."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from connectors.base import AuthExpired, Budget, RetryLater
from hub.channels import backfilling
from hub.channels.backfilling import backfill, start_backfill, stop_backfill
from hub.channels.fetching import fetch
from hub.channels.models import Backfill, Channel, Feed
from hub.channels.service import find_channel
from hub.conversations.models import Conversation, Message, Promise
from hub.errors import Conflict, Invalid
from hub.inbox.analyse import analyse
from hub.runtime import Hub
from tests import factories
from tests.factories import NOW
from tests.hub.channels.conftest import scripted_channel
from tests.hub.channels.vendor import Vendor, message
from tests.hub.conftest import ON_SQLITE, Clock

SINCE = NOW - timedelta(days=365)
# A worker that dies before the third page.
DYING = """
import os, sys
from datetime import datetime, timedelta
from pathlib import Path
from connectors import registry
from hub.channels import backfilling
from hub.runtime import Hub
from hub.settings import Settings
from tests.factories import NOW
from tests.hub.channels import vendor

registry._CONNECTORS["scripted"] = "tests.hub.channels.vendor:ScriptedConnector"
vendor.VENDOR.history = [vendor.message(text, sent_at=NOW - timedelta(days=99)) for text in "abcdefg"]
vendor.VENDOR.before = [None, None, lambda: os._exit(9)]
backfilling.backfill(Hub(Settings(database_url=sys.argv[1], home=Path(sys.argv[2]), secret_key="test key")))
"""


@pytest.fixture(autouse=True)
def quick(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfilling, "PAUSE_SECONDS", 0)


@pytest.fixture
def job(hub: Hub, line: Channel, vendor: Vendor) -> Backfill:
    """Seven messages of a hundred days ago, being brought in."""
    vendor.history = [
        message(text, sent_at=NOW - timedelta(days=100 - n)) for n, text in enumerate("abcdefg")
    ]
    with hub.database.session() as session:
        # Nothing else is to be done for a while.
        session.scalars(select(Feed)).one().due_at = NOW + timedelta(days=9)
        return start_backfill(session, find_channel(session, "chirp"), SINCE, user=None, now=NOW)


def state(hub: Hub) -> Backfill:
    with hub.database.reading() as session:
        found = session.scalars(select(Backfill)).one()
        session.expunge(found)
        return found


def stored(hub: Hub) -> list[str]:
    with hub.database.reading() as session:
        return list(session.scalars(select(Message.external_id).order_by(Message.id)))


def test_history_comes_with_its_progress_and_leaves_the_channel_s_place_alone(
    hub: Hub, vendor: Vendor, job: Backfill
) -> None:
    assert (backfill(hub), backfill(hub)) == (1, 0)
    done = state(hub)
    assert stored(hub) == list("abcdefg")
    assert (done.received, done.stored, done.finished_at, done.cancelled) == (7, 7, NOW, False)
    assert done.reached_at == NOW - timedelta(days=94)
    assert vendor.backfills == [(SINCE, None)]
    with hub.database.reading() as session:
        channel = find_channel(session, "chirp")
        assert (channel.cursor, channel.last_received_at, channel.lag_seconds) == (None, None, None)


@ON_SQLITE
def test_what_is_long_past_waits_for_no_answer(hub: Hub, vendor: Vendor, job: Backfill) -> None:
    vendor.history.append(message("yesterday", sent_at=NOW - timedelta(days=1)))
    backfill(hub)
    with hub.database.reading() as session:
        waiting = session.scalars(select(Conversation).where(Conversation.reply_by.is_not(None))).all()
        (newest,) = [conversation.newest_message for conversation in waiting]
        assert newest is not None
        assert newest.external_id == "yesterday"
        counts = session.execute(select(Conversation.status, func.count()).group_by(Conversation.status))
        assert dict(counts.all()) == {"new": 1, "solved": 7}
        assert session.scalar(select(func.count()).select_from(Promise)) == 1


@ON_SQLITE
def test_it_goes_on_where_it_was_interrupted(
    hub: Hub, vendor: Vendor, job: Backfill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "STEP_BATCHES", 1)
    for _ in range(3):
        assert backfill(hub) == 1
    assert vendor.backfills == [(SINCE, None), (SINCE, {"last": 1}), (SINCE, {"last": 2})]
    assert state(hub).stored == len(stored(hub)) == 4
    while state(hub).finished_at is None:
        backfill(hub)
    assert stored(hub) == list("abcdefg")


@ON_SQLITE
def test_a_killed_worker_is_followed_by_another(
    hub: Hub, vendor: Vendor, job: Backfill, tmp_path: Path, clock: Clock
) -> None:
    died = subprocess.run([sys.executable, "-c", DYING, hub.database.url, tmp_path], check=False, timeout=120)
    assert died.returncode == 9
    assert (stored(hub), state(hub).stored) == (list("abcd"), 4)
    until = state(hub).leased_until
    assert until is not None
    clock.now = until - timedelta(seconds=1)
    assert backfill(hub) == 0
    clock.now = until
    assert backfill(hub) == 1
    assert stored(hub) == list("abcdefg")
    assert vendor.backfills == [(SINCE, {"last": 3})]
    # What was repeated to be sure is counted as received, not as stored.
    assert (state(hub).stored, state(hub).received) == (7, 8)


@ON_SQLITE
def test_it_can_be_stopped_while_it_goes_on(hub: Hub, vendor: Vendor, job: Backfill) -> None:
    def stop() -> None:
        with hub.database.session() as session:
            stop_backfill(session, find_channel(session, "chirp"), NOW)

    vendor.before = [None, None, stop]
    backfill(hub)
    assert (stored(hub), state(hub).cancelled, backfill(hub)) == (list("abcd"), True, 0)
    with hub.database.session() as session:
        chirp = find_channel(session, "chirp")
        with pytest.raises(Conflict):
            stop_backfill(session, chirp, NOW)
        start_backfill(session, chirp, SINCE, user=factories.user(session), now=NOW)


def test_it_waits_while_the_channel_is_to_be_fetched(
    hub: Hub, vendor: Vendor, job: Backfill, clock: Clock
) -> None:
    with hub.database.session() as session:
        session.scalars(select(Feed)).one().due_at = NOW
    backfill(hub)
    assert stored(hub) == ["a", "b"]
    assert backfill(hub) == 0
    fetch(hub)
    clock.advance(seconds=2)
    backfill(hub)
    assert stored(hub) == list("abcdefg")


@ON_SQLITE
def test_it_waits_while_messages_wait_for_the_model(
    hub: Hub, vendor: Vendor, job: Backfill, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "MOST_UNREAD", 3)
    backfill(hub)
    assert stored(hub) == list("abcd")
    clock.advance(seconds=3)
    assert backfill(hub) == 0
    analyse(hub)
    assert backfill(hub) == 1
    assert len(stored(hub)) > 4


@ON_SQLITE
def test_it_leaves_some_of_the_vendor_s_limit_to_what_is_new(
    hub: Hub, vendor: Vendor, job: Backfill, clock: Clock
) -> None:
    vendor.budgets = (Budget("search", 100, 19, NOW + timedelta(minutes=15)),)
    backfill(hub)
    assert (stored(hub), state(hub).due_at) == (["a", "b"], NOW + timedelta(minutes=15))
    clock.advance(minutes=15)
    vendor.budgets = (Budget("search", 100, 100, NOW + timedelta(minutes=30)),)
    backfill(hub)
    assert stored(hub) == list("abcdefg")


@ON_SQLITE
def test_a_failure_is_shown_and_tried_again(hub: Hub, vendor: Vendor, job: Backfill, clock: Clock) -> None:
    vendor.before = [None, RetryLater("Busy.", after_seconds=60)]
    backfill(hub)
    assert (state(hub).trouble, state(hub).error, state(hub).failures) == ("later", "Busy.", 1)
    assert state(hub).due_at == NOW + timedelta(seconds=60)
    clock.advance(seconds=60)
    vendor.before = [AuthExpired("Signed out.")]
    backfill(hub)
    assert (state(hub).trouble, state(hub).failures) == ("sign_in", 2)
    clock.advance(hours=7)
    backfill(hub)
    assert (state(hub).trouble, state(hub).failures) == (None, 0)
    assert stored(hub) == list("abcdefg")


@ON_SQLITE
def test_only_one_at_a_time_and_only_of_the_past(hub: Hub, job: Backfill) -> None:
    with hub.database.session() as session:
        chirp = find_channel(session, "chirp")
        with pytest.raises(Conflict, match="already"):
            start_backfill(session, chirp, SINCE, user=None, now=NOW)
        with pytest.raises(Invalid, match="before now"):
            start_backfill(session, scripted_channel(session, "other"), NOW, user=None, now=NOW)
        with pytest.raises(Invalid, match="no history"):
            start_backfill(session, factories.channel(session, "files"), SINCE, user=None, now=NOW)
