"""What goes wrong while a vendor is told: nothing is lost, and what came of it is seen."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from connectors.base import Annotation, OutcomeUnknown, Refused
from connectors.zendesk.connector import ZendeskConnector
from hub.channels.service import find_channel, renew_channel, set_paused
from hub.tickets.models import Ticket
from hub.tickets.service import leave_it, try_again
from hub.tickets.telling import tell
from tests.connectors.zendesk.standin import API_TOKEN
from tests.hub.conftest import ON_SQLITE
from tests.hub.tickets.conftest import Desk
from tests.hub.tickets.test_both_ways import again, becomes, tag

LATER = (503, {"retry-after": "30"}, b"{}")


@ON_SQLITE
def test_a_vendor_that_is_away_is_told_later(desk: Desk) -> None:
    tag(desk, "vip")
    desk.account.answers = [LATER]
    desk.tell()
    waits = desk.ticket()
    assert (waits.trouble, waits.failures, waits.lease) == ("later", 1, None)
    assert waits.due_at is not None
    assert waits.due_at >= desk.clock.now + timedelta(seconds=30)
    assert desk.tell() == 0
    desk.later(minutes=5)
    assert desk.tell() == 1
    assert desk.there()[1] == ["parcel", "vip"]
    told = desk.ticket()
    assert (told.trouble, told.error, told.failures, told.due_at) == (None, None, 0, None)


@ON_SQLITE
def test_a_new_change_does_not_wait_for_the_next_try(desk: Desk) -> None:
    tag(desk, "vip")
    desk.account.answers = [LATER]
    desk.tell()
    becomes(desk, "solved")
    assert desk.tell() == 1
    assert desk.there() == ("solved", ["parcel", "vip"])


@ON_SQLITE
def test_credentials_that_no_longer_serve_are_said_so(desk: Desk) -> None:
    with desk.hub.database.session() as session:
        renew_channel(session, find_channel(session, "helpdesk"), {"api_token": "old"}, desk.clock.now)
    becomes(desk, "solved")
    desk.tell()
    assert desk.ticket().trouble == "sign_in"
    with desk.hub.database.session() as session:
        renew_channel(session, find_channel(session, "helpdesk"), {"api_token": API_TOKEN}, desk.clock.now)
    desk.later(minutes=20)
    desk.tell()
    assert desk.there()[0] == "solved"


def test_what_is_refused_waits_for_a_person(desk: Desk) -> None:
    becomes(desk, "solved")
    desk.account.answers = [(422, {}, b'{"description": "Reason is missing"}')]
    desk.tell()
    refused = desk.ticket()
    assert (refused.trouble, refused.due_at) == ("refused", None)
    assert "Reason is missing" in (refused.error or "")
    desk.later(days=1)
    assert desk.tell() == 0
    again(desk)
    assert desk.state()[0] == "solved"
    desk.here(lambda session, conversation, _: try_again(session, conversation, desk.clock.now))
    assert desk.tell() == 1
    assert desk.there()[0] == "solved"
    assert desk.ticket().trouble is None


@ON_SQLITE
def test_a_person_may_leave_it_as_it_is_there(desk: Desk) -> None:
    tag(desk, "vip")
    becomes(desk, "solved")
    desk.account.answers = [(422, {}, b"{}")]
    desk.tell()
    desk.here(lambda session, conversation, _: leave_it(session, conversation, desk.clock.now))
    assert desk.ticket().trouble is None
    assert desk.tell() == 0
    assert desk.there() == ("open", ["parcel"])
    desk.at_vendor(status="pending")
    desk.fetch()
    assert desk.state() == ("pending", ["parcel"])


@ON_SQLITE
def test_what_the_vendor_changes_itself_ends_the_trouble(desk: Desk) -> None:
    becomes(desk, "solved")
    desk.account.answers = [(422, {}, b"{}")]
    desk.tell()
    desk.at_vendor(status="solved")
    desk.fetch()
    assert desk.ticket().trouble is None
    again(desk)


@ON_SQLITE
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_cut_connection_is_told_again(desk: Desk, method: str) -> None:
    tag(desk, "vip", remove=("parcel",))
    desk.account.cut_after = method
    desk.tell()
    assert desk.ticket().trouble == "failed"
    desk.account.cut_after = ""
    desk.later(hours=1)
    desk.tell()
    assert desk.there()[1] == ["vip"]
    again(desk)


@ON_SQLITE
def test_what_may_have_arrived_is_taken_back_too(desk: Desk) -> None:
    """The vendor has it, we do not know, and the agent has changed their mind."""
    tag(desk, "vip", remove=("parcel",))
    becomes(desk, "solved")
    desk.account.cut_after = "DELETE"
    desk.tell()
    assert desk.there()[1] == ["vip"]
    desk.account.cut_after = ""
    tag(desk, "parcel", remove=("vip",))
    becomes(desk, "open")
    desk.tell()
    assert desk.there() == ("open", ["parcel"])
    again(desk)


@ON_SQLITE
def test_what_comes_back_before_we_know_is_ours(desk: Desk) -> None:
    becomes(desk, "solved")
    tag(desk, "vip")
    lines = desk.lines()
    desk.account.cut_after = "PUT"
    desk.tell()
    desk.account.cut_after = ""
    desk.fetch()
    assert desk.lines() == lines
    desk.later(hours=1)
    desk.tell()
    assert (desk.state(), desk.lines()) == (("solved", ["parcel", "vip"]), lines)
    again(desk)


@ON_SQLITE
def test_a_process_that_died_is_followed_by_another(desk: Desk) -> None:
    tag(desk, "vip")
    with desk.hub.database.session() as session:
        until = desk.clock.now + timedelta(minutes=1)
        session.execute(
            update(Ticket).values(
                lease="dead", leased_until=until, telling={"add_tags": ["vip"], "remove_tags": []}
            )
        )
    assert desk.tell() == 0
    desk.later(minutes=2)
    assert desk.tell() == 1
    assert desk.there()[1] == ["parcel", "vip"]


@pytest.mark.parametrize(
    "came",
    [
        None,
        Annotation("35", "solved", ("parcel",)),
        Refused("no"),
        OutcomeUnknown("who knows"),
        ZeroDivisionError(),
    ],
)
def test_what_changes_while_it_is_told_is_told_after(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, came: Annotation | Exception | None
) -> None:
    """An agent changes their mind while the vendor is asked; that wins, whatever comes of the asking."""
    told: list[str | None] = []

    def annotate(self: ZendeskConnector, thread_key: str, **said: str) -> Annotation | None:
        told.append(said["status"])
        if len(told) == 1:
            becomes(desk, "on_hold")
            if isinstance(came, Exception):
                raise came
            return came
        return Annotation(thread_key, said["status"], ("parcel",))

    monkeypatch.setattr(ZendeskConnector, "annotate", annotate)
    becomes(desk, "solved")
    desk.tell()
    desk.later(hours=7)
    desk.tell()
    assert told == ["solved", "on_hold"]
    assert desk.state()[0] == "on_hold"
    assert desk.ticket().status == "on_hold"
    assert desk.ticket().due_at is None


@ON_SQLITE
def test_what_comes_in_while_it_is_told_is_known_to_be_older(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of the export that was read before our change, and is stored after it."""
    stale = json.dumps(
        {"tickets": [dict(desk.account.tickets[35])], "after_cursor": "MTA=", "end_of_stream": True}
    )
    becomes(desk, "solved")
    desk.tell()
    desk.account.raw_export = stale.encode()
    with desk.hub.database.session() as session:
        find_channel(session, "helpdesk").cursor = None
    desk.fetch()
    assert (desk.state()[0], desk.there()[0]) == ("solved", "solved")


@ON_SQLITE
def test_a_paused_channel_is_told_nothing(desk: Desk) -> None:
    def pause(session: Session, paused: bool) -> None:
        set_paused(session, find_channel(session, "helpdesk"), paused, desk.clock.now)

    with desk.hub.database.session() as session:
        pause(session, True)
    tag(desk, "vip")
    assert desk.tell() == 0
    with desk.hub.database.session() as session:
        pause(session, False)
    assert desk.tell() == 1


def test_somebody_elses_lease_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def annotate(self: ZendeskConnector, thread_key: str, **said: str) -> Annotation:
        with desk.hub.database.session() as session:
            session.execute(update(Ticket).values(lease="another"))
        return Annotation(thread_key, "pending", ("changed",))

    monkeypatch.setattr(ZendeskConnector, "annotate", annotate)
    tag(desk, "vip")
    assert tell(desk.hub) == 1
    assert desk.state() == ("new", ["parcel", "vip"])
    assert desk.ticket().lease == "another"
