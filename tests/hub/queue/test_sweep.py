"""What time alone changes; that it breaks promises and wakes sleepers is told in `test_clocks.py`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.service import take
from hub.customers.models import Customer
from hub.queue.sweep import pass_time, sweep
from hub.runtime import Hub
from tests.factories import NOW, channel, conversation_of, customer, event, inbound, receive_one, user
from tests.hub.conftest import Clock

MINUTE = timedelta(minutes=1)


def owned(
    session: Session, *, seen_ago: float | None, away: bool = False, disabled: bool = False
) -> Conversation:
    """A conversation that somebody took at noon."""
    owner = user(session)
    conversation = conversation_of(session, receive_one(session, channel(session)))
    take(session, conversation, user=owner, now=NOW)
    owner.seen_at = None if seen_ago is None else NOW + timedelta(minutes=20 - seen_ago)
    owner.away, owner.disabled_at = away, NOW if disabled else None
    session.flush()
    return conversation


@pytest.mark.parametrize(
    ("seen_ago", "away", "disabled", "released"),
    [
        pytest.param(14, False, False, False, id="seen lately"),
        pytest.param(16, False, False, True, id="not seen for long"),
        pytest.param(None, False, False, True, id="never seen"),
        pytest.param(1, True, False, False, id="away for a moment"),
        pytest.param(1, False, True, True, id="locked out"),
    ],
)
def test_who_is_absent_gives_back(
    session: Session, seen_ago: float | None, away: bool, disabled: bool, released: bool
) -> None:
    conversation = owned(session, seen_ago=seen_ago, away=away, disabled=disabled)
    place = conversation.reply_by
    changed = pass_time(session, NOW + 20 * MINUTE)
    session.flush()
    assert changed == released
    assert (conversation.owner_id is None) == released
    assert conversation.reply_by == place
    activity = session.scalars(select(Message.body).where(Message.direction == "activity")).all()
    assert ("Given back: its owner is away" in activity) == released


def test_who_has_just_taken_it_keeps_it(session: Session) -> None:
    conversation = owned(session, seen_ago=None)
    assert pass_time(session, NOW + 15 * MINUTE) == 0
    assert conversation.owner_id is not None


def test_a_broken_promise_is_marked_once(session: Session) -> None:
    conversation_of(session, receive_one(session, channel(session)))
    assert pass_time(session, NOW + 120 * MINUTE) == 0
    assert pass_time(session, NOW + 121 * MINUTE) == 1
    assert pass_time(session, NOW + 122 * MINUTE) == 0
    promise = session.scalars(select(Promise)).one()
    assert promise.breached_at == promise.due_at == NOW + 120 * MINUTE


def test_it_waits_for_nobody(hub: Hub, clock: Clock) -> None:
    """What another transaction holds is left for the next round. (SQLite has one writer.)"""
    with hub.database.session() as session:
        chirp = channel(session)
        held, _ = (
            receive_one(session, chirp, inbound(author=name)).conversation_id for name in ("ann", "bob")
        )
    clock.advance(hours=3)
    if hub.database.is_sqlite:
        assert sweep(hub) == 2
        return
    with hub.database.session() as holding:
        holding.execute(select(Promise).where(Promise.conversation_id == held).with_for_update())
        assert sweep(hub) == 1
    assert sweep(hub) == 1
    assert sweep(hub) == 0


def test_a_purchase_leaves_the_window(hub: Hub, clock: Clock) -> None:
    told: list[str] = []
    with hub.database.session() as session:
        ann = customer(session, "Ann")
        event(session, ann, "purchase", "100.00", at=NOW - timedelta(days=364))
    hub.database.nudge = told.append
    assert sweep(hub) == 0
    clock.advance(days=2)
    assert sweep(hub) == 1
    assert sweep(hub) == 0
    assert told == ["replace"]
    with hub.database.reading() as session:
        found = session.get_one(Customer, ann.id)
        assert (found.spend_12m, found.changed_at) == (0, clock.now)
