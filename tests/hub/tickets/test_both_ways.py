"""Status and tags of tickets in both directions, against the stand-in for Zendesk."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Message
from hub.conversations.service import reply, set_status
from hub.conversations.tags import change_tags
from hub.errors import Conflict
from hub.queue.sweep import pass_time
from hub.tickets.models import Ticket
from hub.tickets.service import leave_it, try_again
from tests.factories import NOW, channel, conversation_of, receive_one, user
from tests.hub.conftest import ON_SQLITE
from tests.hub.tickets.conftest import Desk


def becomes(desk: Desk, status: str, which: int = 0, until: datetime | None = None) -> None:
    desk.here(
        lambda session, conversation, user: set_status(
            session, conversation, status, user=user, now=desk.clock.now, snoozed_until=until
        ),
        which,
    )


def tag(desk: Desk, *add: str, remove: tuple[str, ...] = (), which: int = 0) -> None:
    desk.here(
        lambda session, conversation, user: change_tags(
            session, conversation, add=add, remove=remove, user=user, now=desk.clock.now
        ),
        which,
    )


def answer(desk: Desk, then: str = "pending", which: int = 0) -> None:
    desk.here(
        lambda session, conversation, user: reply(
            session, conversation, user=user, text="It left this morning.", now=desk.clock.now, then=then
        ),
        which,
    )


def again(desk: Desk) -> None:
    """Nothing more is told, however often both sides look."""
    there, here, changes, lines = desk.there(), desk.state(), len(desk.changes()), desk.lines()
    desk.fetch()
    assert desk.tell() == 0
    desk.fetch()
    assert (desk.there(), desk.state(), len(desk.changes()), desk.lines()) == (there, here, changes, lines)


def test_a_new_ticket_brings_its_status_and_its_tags(desk: Desk) -> None:
    assert desk.state() == ("new", ["parcel"])
    assert desk.lines() == []
    again(desk)


@ON_SQLITE
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("pending", "pending"), ("hold", "on_hold"), ("solved", "solved"), ("closed", "closed")],
)
def test_a_status_is_followed_without_a_comment(desk: Desk, theirs: str, ours: str) -> None:
    desk.at_vendor(status=theirs)
    desk.fetch()
    assert desk.state()[0] == ours
    assert desk.lines() == [f"At helpdesk: new → {ours.replace('_', ' ')}"]
    with desk.hub.database.reading() as session:
        conversation = session.scalars(select(Conversation)).one()
        assert conversation.reply_by is None
        assert (conversation.waiting_since is None) == (ours in ("solved", "closed"))
    again(desk)


@ON_SQLITE
def test_a_ticket_opened_again_owes_its_answer_again(desk: Desk) -> None:
    desk.at_vendor(status="solved")
    desk.fetch()
    desk.at_vendor(status="open")
    desk.fetch()
    assert desk.state()[0] == "open"
    with desk.hub.database.reading() as session:
        assert session.scalars(select(Conversation)).one().reply_by is not None
    again(desk)


@ON_SQLITE
def test_tags_are_followed_without_a_comment(desk: Desk) -> None:
    desk.at_vendor(tags=["vip", "urgent"])
    desk.fetch()
    assert desk.state() == ("new", ["urgent", "vip"])
    assert desk.lines() == ["At helpdesk: tagged urgent, vip; no longer parcel"]
    again(desk)


@ON_SQLITE
def test_an_agents_status_is_told(desk: Desk) -> None:
    told = {"open": "open", "pending": "pending", "on_hold": "hold", "solved": "solved", "closed": "closed"}
    for ours, theirs in told.items():
        becomes(desk, ours)
        assert desk.tell() == (ours != "open")
        assert desk.there()[0] == theirs
        assert desk.ticket().due_at is None
        again(desk)
        assert desk.state()[0] == ours


@ON_SQLITE
def test_a_snooze_is_a_hold_until_it_ends(desk: Desk) -> None:
    becomes(desk, "snoozed", until=desk.clock.now.replace(hour=20))
    desk.tell()
    assert desk.there()[0] == "hold"
    again(desk)
    assert desk.state()[0] == "snoozed"
    desk.later(hours=10)
    with desk.hub.database.session() as session:
        pass_time(session, desk.clock.now)
    desk.tell()
    assert (desk.state()[0], desk.there()[0]) == ("open", "open")
    again(desk)


@ON_SQLITE
def test_an_agents_tags_are_told_one_by_one(desk: Desk) -> None:
    desk.account.tickets[35]["tags"].append("added-meanwhile")
    tag(desk, "VIP", "wants refund", remove=("parcel",))
    assert desk.tell() == 1
    assert desk.there()[1] == ["added-meanwhile", "vip", "wants_refund"]
    assert desk.state()[1] == ["added-meanwhile", "vip", "wants_refund"]
    assert desk.lines()[0] == "Ana Agent: tagged vip, wants_refund; no longer parcel"
    again(desk)


@ON_SQLITE
def test_what_is_taken_back_in_time_is_not_told(desk: Desk) -> None:
    tag(desk, "vip")
    tag(desk, remove=("vip",))
    becomes(desk, "solved")
    becomes(desk, "open")
    assert desk.tell() == 0
    assert desk.changes() == []


@ON_SQLITE
def test_a_reply_tells_its_status_and_is_one_comment(desk: Desk) -> None:
    answer(desk, "solved")
    desk.tell()
    assert desk.there()[0] == "solved"
    assert [comment["body"] for comment in desk.account.comments[35]] == [
        "Where is it?",
        "It left this morning.",
    ]
    again(desk)


@ON_SQLITE
def test_a_reply_that_is_refused_opens_the_ticket_again(desk: Desk) -> None:
    answer(desk, "solved")
    desk.account.answers = [(200, {}, b'{"audits": []}'), (403, {}, b"{}")]
    desk.tell()
    assert (desk.state()[0], desk.there()[0]) == ("open", "open")


@ON_SQLITE
def test_the_customers_word_opens_both_and_is_told_to_nobody(desk: Desk) -> None:
    becomes(desk, "pending")
    desk.tell()
    told = len(desk.changes())
    desk.writes("Hello?", status="open")
    desk.fetch()
    assert desk.state()[0] == "open"
    assert desk.tell() == 0
    assert len(desk.changes()) == told


@ON_SQLITE
def test_what_the_customer_wrote_meanwhile_is_not_covered_by_an_older_status(desk: Desk) -> None:
    becomes(desk, "pending")
    desk.writes("Hello?")
    desk.fetch()
    desk.tell()
    assert (desk.state()[0], desk.there()[0]) == ("open", "open")
    again(desk)


def test_the_later_of_two_changes_stands(desk: Desk) -> None:
    becomes(desk, "pending")
    desk.at_vendor(status="solved")
    desk.fetch()
    desk.tell()
    assert (desk.state()[0], desk.there()[0]) == ("solved", "solved")
    again(desk)
    desk.at_vendor(status="open")
    becomes(desk, "on_hold")
    desk.fetch()
    desk.tell()
    assert (desk.state()[0], desk.there()[0]) == ("on_hold", "hold")
    again(desk)


@ON_SQLITE
def test_tags_of_both_sides_are_put_together(desk: Desk) -> None:
    tag(desk, "ours", remove=("parcel",))
    desk.at_vendor(tags=["parcel", "theirs"])
    desk.fetch()
    desk.tell()
    assert desk.state()[1] == desk.there()[1] == ["ours", "theirs"]
    again(desk)


@ON_SQLITE
def test_what_the_vendor_makes_of_it_is_followed(desk: Desk) -> None:
    """A trigger there that changes what we told, and a tag that it does not keep."""
    update, tagged = desk.account._update, desk.account._of_ticket

    def triggered(ticket: dict[str, Any], change: dict[str, Any]) -> tuple[int, Any]:
        return update(ticket, {**change, "status": "hold"})

    def without(
        method: str, ticket: dict[str, Any], rest: list[str], query: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        found = tagged(method, ticket, rest, query, body)
        ticket["tags"] = [each for each in ticket["tags"] if each != "a+b"]
        return found

    desk.account._update = triggered  # type: ignore[method-assign]
    desk.account._of_ticket = without  # type: ignore[method-assign]
    becomes(desk, "solved")
    tag(desk, "a+b", "vip")
    assert desk.tell() == 1
    assert desk.state() == ("on_hold", ["parcel", "vip"])
    assert desk.lines()[-2:] == ["At helpdesk: no longer a+b", "At helpdesk: solved → on hold"]
    again(desk)


def test_two_customers_in_one_ticket(desk: Desk) -> None:
    """The ticket is as pressing as the most pressing of them; what one is told pushes the other nowhere."""
    desk.writes("I would like to know too.", 22)
    desk.fetch()
    answer(desk, "pending", which=0)
    desk.tell()
    assert desk.there()[0] == "open"
    assert desk.state(1)[0] == "new"
    again(desk)
    becomes(desk, "solved", which=1)
    desk.tell()
    assert desk.there()[0] == "pending"
    desk.at_vendor(status="solved", tags=["parcel", "done"])
    desk.fetch()
    assert desk.state(0) == desk.state(1) == ("solved", ["done", "parcel"])
    again(desk)


@ON_SQLITE
def test_a_channel_without_tickets_is_told_nothing(session: Session) -> None:
    conversation = conversation_of(session, receive_one(session, channel(session)))
    set_status(session, conversation, "pending", user=user(session), now=NOW)
    change_tags(session, conversation, add=["vip"], user=user(session), now=NOW)
    assert session.scalars(select(Ticket)).all() == []
    for act in (try_again, leave_it):
        with pytest.raises(Conflict):
            act(session, conversation, NOW)


def test_nothing_said_is_added_or_lost_on_the_way(desk: Desk) -> None:
    """A long exchange of everything; in the end both sides say the same, and there is one of each message."""
    acts = [
        partial(tag, desk, "one"),
        partial(desk.at_vendor, status="pending"),
        partial(answer, desk, "on_hold"),
        partial(desk.writes, "And?", status="open"),
        partial(tag, desk, "two", remove=("parcel", "one")),
        partial(desk.at_vendor, tags=["parcel", "one", "three"]),
        partial(becomes, desk, "solved"),
    ]
    for number, act in enumerate(acts):
        act()
        if number % 2:
            desk.fetch()
        desk.tell()
    desk.fetch()
    desk.tell()
    again(desk)
    status, tags = desk.there()
    assert desk.state() == (status, tags) == ("solved", ["one", "parcel", "three"])
    with desk.hub.database.reading() as session:
        said = session.scalars(select(Message.body).where(Message.direction != "activity")).all()
    assert sorted(said) == ["And?", "It left this morning.", "Where is it?"]
