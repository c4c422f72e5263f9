"""Credentials that run out: renewed once each, stored before they are used, and never lost without a word."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from connectors.base import AuthExpired, RetryLater
from hub.channels import renewing
from hub.channels.fetching import fetch
from hub.channels.models import Channel
from hub.channels.queries import list_channels
from hub.channels.renewing import renew_credentials
from hub.channels.service import find_channel, renew_channel, secrets_of
from hub.runtime import Hub
from tests.factories import NOW
from tests.hub.channels.conftest import TOKEN, Feeds, scripted_channel
from tests.hub.channels.vendor import Vendor
from tests.hub.conftest import ON_SQLITE, Clock

pytestmark = [pytest.mark.usefixtures("clock"), ON_SQLITE]
HOUR = timedelta(hours=1)


@pytest.fixture
def line(hub: Hub, vendor: Vendor) -> Channel:
    """A channel whose token runs out in an hour."""
    with hub.database.session() as session:
        return scripted_channel(session, expires_at=(NOW + HOUR).isoformat())


def renewed(token: str, at: datetime) -> dict[str, Any]:
    return {"token": token, "expires_at": at.isoformat()}


def token(hub: Hub) -> str:
    with hub.database.reading() as session:
        return str(secrets_of(find_channel(session, "chirp"))["token"])


def test_they_are_renewed_when_they_are_due_and_stored_encrypted(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    assert renew_credentials(hub) == 1, "a new channel is looked at at once"
    assert vendor.renewals == []
    assert feed("renew").due_at == NOW + HOUR
    assert renew_credentials(hub) == 0
    clock.advance(hours=1)
    vendor.renewed = renewed("token-two", NOW + 3 * HOUR)
    assert renew_credentials(hub) == 1
    assert vendor.renewals == [TOKEN]
    assert token(hub) == "token-two"
    assert (feed("renew").due_at, feed("renew").lease) == (NOW + 3 * HOUR, None)
    with hub.database.reading() as session:
        stored = session.execute(text("SELECT config, secrets FROM channels")).one()
        [shown] = list_channels(session, clock.now)
        assert shown.fetched_at is None, "a renewal is no sign of messages"
    assert "token-two" not in str(stored)


def test_what_fails_is_shown_and_tried_again(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    clock.advance(hours=1)
    vendor.renewed = RetryLater("Not now.", after_seconds=60)
    renew_credentials(hub)
    assert (feed("renew").trouble, feed("renew").due_at) == ("later", clock.now + timedelta(seconds=60))
    clock.advance(seconds=60)
    vendor.renewed = AuthExpired("Sign in again: hub channels authorize NAME.")
    renew_credentials(hub)
    with hub.database.reading() as session:
        [shown] = list_channels(session, clock.now)
    assert (shown.health, shown.detail) == ("sign_in", "Sign in again: hub channels authorize NAME.")
    assert token(hub) == TOKEN
    with hub.database.session() as session:
        given = renewed("by-hand", clock.now + HOUR)
        renew_channel(session, find_channel(session, "chirp"), given, clock.now)
    renew_credentials(hub)
    assert (feed("renew").trouble, token(hub)) == (None, "by-hand")


def test_a_fetch_that_met_the_old_ones_is_tried_again_soon(
    hub: Hub, line: Channel, vendor: Vendor, feed: Feeds, clock: Clock
) -> None:
    clock.advance(hours=1)
    vendor.renewed = renewed("token-two", clock.now + HOUR)

    def replaced() -> None:
        renew_credentials(hub)
        raise AuthExpired("Who are you?")

    vendor.before = [replaced]
    fetch(hub)
    assert feed().trouble == "later"
    assert feed().due_at <= clock.now + timedelta(seconds=6)


def test_a_database_that_is_away_for_a_moment_loses_nothing(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(hours=1)
    vendor.renewed = renewed("token-two", clock.now + HOUR)
    monkeypatch.setattr(renewing, "STORE_PAUSE_SECONDS", 0.0)
    store, calls = renewing._store, iter((True, True, False))

    def away(*args: Any) -> None:
        if next(calls):
            raise OperationalError("", {}, Exception("away"))
        store(*args)

    monkeypatch.setattr(renewing, "_store", away)
    renew_credentials(hub)
    assert (token(hub), vendor.renewals) == ("token-two", [TOKEN])


def test_two_processes_renew_once(hub: Hub, line: Channel, vendor: Vendor, clock: Clock) -> None:
    clock.advance(hours=1)
    found: list[int] = []

    def meanwhile() -> None:
        other = Thread(target=lambda: found.append(renew_credentials(hub)))
        other.start()
        other.join()

    vendor.renewed = meanwhile
    assert renew_credentials(hub) == 1
    assert (found, vendor.renewals) == ([0], [TOKEN])


def test_what_a_person_gave_meanwhile_stays(hub: Hub, line: Channel, vendor: Vendor, clock: Clock) -> None:
    clock.advance(hours=1)

    def by_hand() -> None:
        with hub.database.session() as session:
            renew_channel(session, find_channel(session, "chirp"), {"token": "by-hand"}, clock.now)

    vendor.renewed = by_hand
    renew_credentials(hub)
    assert token(hub) == "by-hand"


def test_after_a_crash_the_old_ones_are_tried_once_more(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock
) -> None:
    clock.advance(hours=1)

    def dies() -> None:
        raise KeyboardInterrupt

    vendor.renewed = dies
    with pytest.raises(KeyboardInterrupt):
        renew_credentials(hub)
    assert renew_credentials(hub) == 0, "somebody may be at it"
    clock.advance(seconds=renewing.LEASE_SECONDS)
    vendor.renewed = renewed("token-two", clock.now + HOUR)
    assert renew_credentials(hub) == 1
    assert (vendor.renewals, token(hub)) == ([TOKEN, TOKEN], "token-two")


def test_what_does_not_run_out_is_left_alone(hub: Hub, vendor: Vendor) -> None:
    with hub.database.session() as session:
        scripted_channel(session)
    assert renew_credentials(hub) == 0
