"""Fetching: everything once, whoever dies on the way, and never two at one channel."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from connectors.base import AuthExpired, BadPayload, Budget, RetryLater
from hub.channels import fetching
from hub.channels.fetching import fetch
from hub.channels.models import Channel, Feed
from hub.channels.service import find_channel, look_now, renew_channel, set_paused
from hub.conversations.models import Message
from hub.inbox import service as inbox
from hub.inbox.models import Reject
from hub.runtime import Hub
from tests.factories import NOW
from tests.hub.channels.conftest import TOKEN, Feeds, scripted_channel
from tests.hub.channels.vendor import Vendor
from tests.hub.conftest import Clock

pytestmark = pytest.mark.usefixtures("clock")
# A worker that dies before the third page.
DYING = """
import os, sys
from pathlib import Path
from connectors import registry
from hub.channels.fetching import fetch
from hub.runtime import Hub
from hub.settings import Settings
from tests.hub.channels import vendor

registry._CONNECTORS["scripted"] = "tests.hub.channels.vendor:ScriptedConnector"
vendor.VENDOR.post(*"abcdefg")
vendor.VENDOR.before = [None, None, lambda: os._exit(9)]
fetch(Hub(Settings(database_url=sys.argv[1], home=Path(sys.argv[2]), secret_key="test key")))
"""


def stored(hub: Hub, name: str = "chirp") -> list[str]:
    with hub.database.reading() as session:
        messages = select(Message.external_id).join(Channel, Channel.id == Message.channel_id)
        return list(session.scalars(messages.where(Channel.name == name).order_by(Message.id)))


def place(hub: Hub) -> object:
    with hub.database.reading() as session:
        return find_channel(session, "chirp").cursor


def test_what_is_new_comes_once_and_the_next_look_is_due_later(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    vendor.post("a", "b", "c", sent_at=NOW - timedelta(seconds=40))
    assert (fetch(hub), fetch(hub)) == (1, 0)
    assert (stored(hub), place(hub)) == (["a", "b", "c"], {"last": 2})
    now = feed()
    assert (now.worked_at, now.failures, now.trouble, now.lease) == (NOW, 0, None, None)
    assert 54 <= (now.due_at - NOW).total_seconds() <= 66
    clock.advance(seconds=67)
    vendor.post("d")
    assert fetch(hub) == 1
    assert vendor.fetches == [None, {"last": 2}]
    assert stored(hub) == ["a", "b", "c", "d"]
    assert vendor.closed == 2
    with hub.database.reading() as session:
        assert find_channel(session, "chirp").lag_seconds is not None


def test_a_channel_says_how_often(hub: Hub, line: Channel, feed: Feeds) -> None:
    with hub.database.session() as session:
        find_channel(session, "chirp").poll_seconds = 600
    fetch(hub)
    assert 540 <= (feed().due_at - NOW).total_seconds() <= 660


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_failure_between_batches_loses_and_doubles_nothing(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock, at: int
) -> None:
    vendor.post(*"abcdef")
    vendor.before = [*[None] * at, RetryLater("Busy.")]
    fetch(hub)
    assert stored(hub) == list("abcdef"[: 2 * at])
    assert (feed().trouble, feed().error, feed().failures) == ("later", "Busy.", 1)
    clock.now = feed().due_at
    fetch(hub)
    assert stored(hub) == list("abcdef")
    assert (feed().trouble, feed().error, feed().failures) == (None, None, 0)


def test_a_killed_worker_is_followed_by_another_after_its_lease(
    hub: Hub, vendor: Vendor, tmp_path: Path, clock: Clock
) -> None:
    clock.now = NOW + timedelta(days=3650)  # the other process has a clock of its own
    with hub.database.session() as session:
        made = scripted_channel(session)
    vendor.post(*"abcdefg")
    with hub.database.session() as session:
        session.scalars(select(Feed)).one().due_at = NOW
    died = subprocess.run([sys.executable, "-c", DYING, hub.database.url, tmp_path], check=False, timeout=120)
    assert died.returncode == 9
    assert stored(hub) == list("abcd")
    with hub.database.reading() as session:
        held = session.scalars(select(Feed)).one()
        session.expunge(held)
    assert held.channel_id == made.id
    assert held.leased_until is not None
    clock.now = held.leased_until - timedelta(seconds=1)
    assert fetch(hub) == 0
    clock.now = held.leased_until
    assert fetch(hub) == 1
    assert stored(hub) == list("abcdefg")
    assert vendor.fetches == [{"last": 3}]


def test_who_lost_the_lease_stores_nothing_any_more(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock
) -> None:
    vendor.post(*"abcd")

    def take_over() -> None:
        clock.advance(seconds=hub.settings.fetch_lease_seconds)
        assert fetch(hub) == 1

    vendor.before = [None, take_over]
    fetch(hub)
    assert stored(hub) == list("abcd")
    assert vendor.fetches == [None, {"last": 1}]
    assert place(hub) == {"last": 3}


def test_two_workers_never_fetch_one_channel_at_once(hub: Hub, line: Channel, vendor: Vendor) -> None:
    at_it, go_on = Event(), Event()

    def wait() -> None:
        at_it.set()
        assert go_on.wait(20)

    vendor.post(*"ab")
    vendor.before = [wait]
    first = Thread(target=fetch, args=(hub,))
    first.start()
    assert at_it.wait(20)
    assert fetch(hub) == 0
    go_on.set()
    first.join(20)
    assert (len(vendor.fetches), stored(hub)) == (1, ["a", "b"])


def test_many_workers_share_the_channels(hub: Hub, vendor: Vendor) -> None:
    with hub.database.session() as session:
        for number in range(8):
            scripted_channel(session, f"line-{number}")
    done: list[int] = []
    workers = [Thread(target=lambda: done.append(_all(hub))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(done) == len(vendor.fetches) == 8


def _all(hub: Hub) -> int:
    count = 0
    while fetch(hub):
        count += 1
    return count


def test_much_to_bring_lets_others_have_a_turn(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_BATCHES", 2)
    vendor.post(*"abcdefg")
    fetch(hub)
    assert stored(hub) == list("abcd")
    # Due at once, after whoever was due before.
    assert fetch(hub) == 1
    assert _all(hub) >= 1
    assert stored(hub) == list("abcdefg")


def test_more_that_is_read_again_than_fits_into_a_turn_stops_nothing(
    hub: Hub, line: Channel, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_BATCHES", 2)
    vendor.post(*"abcdefghijklmno")
    vendor.overlap = 100
    for _ in range(4):
        fetch(hub)
    assert stored(hub) == list("abcdefghijklmno")


def test_the_vendor_says_when_to_come_back(hub: Hub, line: Channel, vendor: Vendor, feed: Feeds) -> None:
    vendor.before = [RetryLater("Too many requests.", after_seconds=1234, status=429)]
    fetch(hub)
    assert feed().due_at == NOW + timedelta(seconds=1234)


def test_it_backs_off(hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock) -> None:
    pauses = []
    for _ in range(12):
        vendor.before = [RetryLater("Away.")]
        fetch(hub)
        pauses.append((feed().due_at - clock.now).total_seconds())
        clock.now = feed().due_at
    assert all(2.5 <= pause <= min(900, 5 * 2**number) for number, pause in enumerate(pauses))
    assert max(pauses) > 60
    assert feed().failures == 12


@pytest.mark.parametrize(
    ("error", "trouble", "told"),
    [
        (AuthExpired("The token was revoked."), "sign_in", "The token was revoked."),
        (BadPayload("There is no such list."), "settings", "There is no such list."),
        (ZeroDivisionError("a customer's words"), "failed", "The connector failed: ZeroDivisionError."),
        (
            RetryLater(f"https://api.example/?t={TOKEN} is away."),
            "later",
            "https://api.example/?t=… is away.",
        ),
    ],
)
def test_what_went_wrong_is_told_without_secrets(
    hub: Hub,
    line: Channel,
    vendor: Vendor,
    feed: Feeds,
    error: Exception,
    trouble: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    vendor.before = [error]
    fetch(hub)
    assert (feed().trouble, feed().error) == (trouble, told)
    assert TOKEN not in capsys.readouterr().out


def test_a_traceback_has_no_secret_in_it(
    hub: Hub,
    line: Channel,
    vendor: Vendor,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor.before = [ValueError(f"bad header: Bearer {TOKEN}")]
    fetch(hub)
    # Where another test has opened a hub, logging goes the way that it does in one.
    written = capsys.readouterr().out + caplog.text
    assert "bad header: Bearer …" in written
    assert TOKEN not in written


def test_expired_credentials_wait_for_somebody_who_renews_them(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    vendor.post("a")
    vendor.before = [AuthExpired("The token was revoked.")]
    fetch(hub)
    clock.advance(hours=5)
    assert fetch(hub) == 0
    with hub.database.session() as session:
        renew_channel(session, find_channel(session, "chirp"), {"token": "another one"}, clock.now)
    assert fetch(hub) == 1
    assert vendor.tokens[-1] == "another one"
    assert stored(hub) == ["a"]
    assert feed().trouble is None


def test_a_database_that_is_away_is_not_the_vendor_s_fault(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.post("a")

    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception())

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "store", away)
        with pytest.raises(OperationalError):
            fetch(hub)
    assert feed().failures == 0


def test_a_record_that_cannot_be_stored_stops_no_other(
    hub: Hub, line: Channel, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = inbox._message

    def breaks(*given: Any) -> Any:
        if any(getattr(each, "external_id", "") == "b" for each in given):
            raise ZeroDivisionError
        return original(*given)

    monkeypatch.setattr(inbox, "_message", breaks)
    vendor.size = 3
    vendor.post("a", "b", "c")
    fetch(hub)
    assert stored(hub) == ["a", "c"]
    assert place(hub) == {"last": 2}
    with hub.database.reading() as session:
        assert session.scalars(select(Reject.reason)).all() == ["cannot_be_stored"]


def test_a_paused_channel_is_not_fetched_and_what_goes_on_is_cut(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock
) -> None:
    def pause(paused: bool) -> None:
        with hub.database.session() as session:
            set_paused(session, find_channel(session, "chirp"), paused, clock.now)

    vendor.post(*"abcd")
    vendor.before = [None, lambda: pause(True)]
    fetch(hub)
    assert stored(hub) == ["a", "b"]
    assert fetch(hub) == 0
    pause(False)
    assert fetch(hub) == 1
    assert stored(hub) == list("abcd")


def test_where_a_line_moves_the_place_fetching_leaves_it_to_the_line(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    def line_tells() -> None:
        with hub.database.session() as session:
            find_channel(session, "chirp").cursor = {"last": 5}

    vendor.post(*"abcdef")
    vendor.before = [None, line_tells]
    assert fetch(hub) == 1
    assert (stored(hub), place(hub)) == (["a", "b"], {"last": 5})
    assert (feed().trouble, feed().lease, len(vendor.fetches)) == (None, None, 1)
    assert 54 <= (feed().due_at - NOW).total_seconds() <= 66
    clock.advance(seconds=67)
    vendor.post("g")
    assert fetch(hub) == 1
    assert (stored(hub), place(hub)) == (["a", "b", "f", "g"], {"last": 6})


def test_asked_while_at_it_looks_once_more(hub: Hub, line: Channel, vendor: Vendor, feed: Feeds) -> None:
    def ask() -> None:
        with hub.database.session() as session:
            look_now(session, line.id, NOW)

    vendor.before = [ask]
    fetch(hub)
    assert feed().due_at == NOW
    assert fetch(hub) == 1
    assert feed().due_at > NOW


def test_what_is_left_of_the_limits_is_kept(hub: Hub, line: Channel, vendor: Vendor) -> None:
    vendor.budgets = (Budget("search", 450, 12, NOW),)
    vendor.before = [RetryLater("Enough.")]
    fetch(hub)
    with hub.database.reading() as session:
        (kept,) = find_channel(session, "chirp").budgets or [{}]
    assert (kept["name"], kept["limit"], kept["remaining"]) == ("search", 450, 12)


def test_nothing_is_open_while_the_vendor_is_asked(hub: Hub, line: Channel, vendor: Vendor) -> None:
    open_now: list[int] = []
    event.listen(hub.database.engine, "begin", lambda _: open_now.append(1))
    event.listen(hub.database.engine, "commit", lambda _: open_now.pop())
    event.listen(hub.database.engine, "rollback", lambda _: open_now.pop())
    seen: list[int] = []
    vendor.post("a")
    vendor.before = [lambda: seen.append(len(open_now))] * 2
    fetch(hub)
    assert seen == [0, 0]
