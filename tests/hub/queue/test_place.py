"""Where a conversation stands, and that it moves when what is known of its customer or the rules changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Promise
from hub.conversations.service import get_conversation, reply, set_status
from hub.customers.models import Customer
from hub.inbox.service import receive
from hub.policies.service import activate, active_policy
from hub.queue.service import place, replace_stale
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import (
    NOW,
    Batch,
    Identity,
    analyse_as,
    analysis,
    channel,
    conversation_of,
    customer,
    event,
    inbound,
    receive_one,
    user,
)
from tests.hub.conftest import Clock

HOUR = timedelta(hours=1)


def due_in(conversation: Conversation) -> float:
    """Minutes from the beginning of the wait to `reply_by`."""
    assert conversation.reply_by is not None
    assert conversation.waiting_since is not None
    return (conversation.reply_by - conversation.waiting_since).total_seconds() / 60


def platinum(session: Session) -> Customer:
    return customer(session, "Ann", Identity("handle", "ann", "chirp"), tier="platinum")


def test_a_message_stands_in_the_queue_before_the_model_has_read_it(session: Session) -> None:
    platinum(session)
    conversation = conversation_of(session, receive_one(session, channel(session)))
    assert due_in(conversation) == 15
    assert conversation.weight == 8
    assert conversation.reasons == [
        {"factor": 8.0, "text": "Platinum"},
        {"factor": 1.0, "text": "not read by the model yet"},
    ]
    promise = conversation.promise
    assert promise is not None
    assert (promise.policy, promise.tier, promise.metric) == ("Social", "platinum", "first_reply_time")
    assert conversation.policy_version_id == active_policy(session).version_id


def test_what_the_model_says_refines_its_place(session: Session) -> None:
    message = receive_one(session, channel(session))
    conversation = conversation_of(session, message)
    assert (due_in(conversation), conversation.weight) == (120, 1)
    analyse_as(session, message, analysis("negative", 0.9, intents=("escalation",)))
    assert due_in(conversation) == 60
    assert conversation.weight == pytest.approx(1.36 * 1.4)
    assert len(session.scalars(select(Promise)).all()) == 1


def test_only_the_newest_message_of_the_customer_counts(session: Session) -> None:
    chirp = channel(session)
    old = receive_one(session, chirp, inbound(thread_key="T", sent_at=NOW - HOUR))
    receive_one(session, chirp, inbound(thread_key="T", sent_at=NOW))
    late = receive_one(session, chirp, inbound(thread_key="T", sent_at=NOW - HOUR / 2))
    conversation = conversation_of(session, late)
    analyse_as(session, old)
    analyse_as(session, late)
    assert conversation.reasons is not None
    assert conversation.reasons[-1]["text"] == "not read by the model yet"


@pytest.mark.parametrize("change", ["tier", "policy", "spend"])
def test_a_change_moves_who_waits_and_keeps_the_time_elapsed(hub: Hub, clock: Clock, change: str) -> None:
    """They began to wait at noon; whatever is learnt at one, the promise counts from noon."""
    with hub.database.session() as session:
        ann = customer(session, "Ann", Identity("handle", "ann", "chirp"))
        customer(session, "Rich", spend_12m=500)
        conversation_id = receive_one(session, channel(session)).conversation_id
    assert replace_stale(hub) == 0
    now = clock.advance(minutes=60)
    with hub.database.session() as session:
        if change == "tier":
            ann = session.get_one(Customer, ann.id)
            ann.tier, ann.changed_at = "gold", now
        elif change == "policy":
            activate(session, DEFAULT_POLICY.replace("default: 2h}", "default: 3h}"), now)
        else:
            event(session, session.get_one(Customer, ann.id), "purchase", "5000.00", now=now)
    assert replace_stale(hub) == 1
    assert replace_stale(hub) == 0
    with hub.database.reading() as session:
        conversation = session.get_one(Conversation, conversation_id)
        assert conversation.waiting_since == NOW
        assert conversation.promise is not None
        assert conversation.promise.started_at == NOW
        expected = {"tier": (30, 4.0), "policy": (180, 1.0), "spend": (120, 2 * 1.2)}[change]
        assert (due_in(conversation), conversation.weight) == expected
        assert len(session.scalars(select(Promise)).all()) == 1


def test_a_change_that_was_committed_late_is_not_missed(hub: Hub, clock: Clock) -> None:
    """An import began before the message came, and ended after it was placed."""
    with hub.database.session() as session:
        ann = customer(session, "Ann", Identity("handle", "ann", "chirp"))
    began = clock.now
    now = clock.advance(minutes=5)
    with hub.database.session() as session:
        conversation_id = receive_one(session, channel(session), now=now).conversation_id
    with hub.database.session() as session:
        session.execute(
            update(Customer)
            .where(Customer.id == ann.id)
            .values(tier="platinum", changed_at=began - HOUR, moved=True)
        )
    assert replace_stale(hub) == 1
    assert replace_stale(hub) == 0
    with hub.database.reading() as session:
        assert due_in(session.get_one(Conversation, conversation_id)) == 15


def test_who_does_not_wait_is_left_alone(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        ann = customer(session, "Ann", Identity("handle", "ann", "chirp"))
        conversation = conversation_of(session, receive_one(session, channel(session)))
        set_status(session, conversation, "solved", user=None, now=NOW)
        ann.changed_at = clock.advance(minutes=1)
    assert replace_stale(hub) == 0


def test_who_is_snoozed_is_placed_anew_and_sleeps_on(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        ann = customer(session, "Ann", Identity("handle", "ann", "chirp"))
        conversation = conversation_of(session, receive_one(session, channel(session)))
        set_status(session, conversation, "snoozed", user=None, now=NOW, snoozed_until=NOW + 2 * HOUR)
        ann.tier, ann.changed_at = "platinum", clock.advance(minutes=1)
    assert replace_stale(hub) == 1
    with hub.database.reading() as session:
        found = session.get_one(Conversation, conversation.id)
        assert (found.reply_by, found.weight) == (None, 8.0)


def test_a_promise_that_becomes_later_is_not_broken_any_more(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        ann = platinum(session)
        conversation = conversation_of(session, receive_one(session, channel(session)))
        assert conversation.promise is not None
        conversation.promise.breached_at = conversation.promise.due_at
        ann.tier, ann.changed_at = None, clock.advance(minutes=20)
    replace_stale(hub)
    with hub.database.reading() as session:
        assert session.scalars(select(Promise.breached_at)).one() is None


def test_those_of_whom_different_things_change_are_written_together(hub: Hub) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        for number in range(8):
            name, tier = f"writer {number}", "gold" if number % 2 else None
            customer(session, name, Identity("handle", name, "chirp"), tier=tier)
            receive_one(session, chirp, inbound(author=name))
        text = DEFAULT_POLICY.replace("gold: 4", "gold: 5").replace("default: 2h}", "default: 3h}")
        activate(session, text, NOW)
    written: list[str] = []
    listen(hub.database.engine, "before_cursor_execute", lambda *args: written.append(args[2]))
    assert replace_stale(hub) == 8
    for table, most in (("conversations", 8 if hub.database.is_sqlite else 1), ("promises", 2)):
        assert len([each for each in written if each.startswith(f"UPDATE {table}")]) == most
    with hub.database.reading() as session:
        found = session.scalars(select(Conversation).order_by(Conversation.id)).all()
        assert [(due_in(each), each.weight) for each in found] == [(180, 1.0), (30, 5.0)] * 4
        ruling = active_policy(session).version_id
        assert session.scalars(select(Promise.policy_version_id).distinct()).all() == [ruling]


def test_placing_twice_changes_nothing(session: Session) -> None:
    chirp = channel(session)
    batch = Batch(tuple(inbound(author=f"writer {n}") for n in range(5)))
    receive(session, chirp.id, batch, NOW)

    def places() -> list[tuple[object, ...]]:
        found = session.scalars(select(Conversation).order_by(Conversation.id)).all()
        return [(each.reply_by, each.weight, each.promise_id, each.reasons) for each in found]

    before = places()
    place(session, session.scalars(select(Conversation)).all(), active_policy(session), NOW + HOUR)
    session.expire_all()
    assert places() == before
    assert len(session.scalars(select(Promise)).all()) == 5


def test_what_gave_way_stays_at_its_second_promise_until_it_is_answered(session: Session) -> None:
    chirp = channel(session)
    message = receive_one(session, chirp, inbound(thread_key="T"))
    conversation = get_conversation(session, message.conversation_id)
    conversation.gave_way_at, conversation.gave_way_to = NOW, 3
    place(session, [conversation], active_policy(session), NOW)
    assert due_in(conversation) == 240
    reply(session, conversation, user=user(session), text="Here.", now=NOW + HOUR)
    assert (conversation.reply_by, conversation.gave_way_at, conversation.gave_way_to) == (None, None, 0)
    receive_one(session, chirp, inbound(thread_key="T"), now=NOW + 2 * HOUR)
    assert due_in(conversation) == 120
