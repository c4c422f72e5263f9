"""What is known of stored conversations when they are placed, and what is kept of each decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event as on
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation
from hub.conversations.service import set_status
from hub.policies.service import activate, active_policy
from hub.queue.facts import facts_of
from hub.queue.models import Decision
from hub.queue.service import FOR_PLACING, place
from routing.explanations import from_text
from routing.policy import DEFAULT_POLICY, read_policy
from routing.types import Facts
from tests.factories import (
    NOW,
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

ASKS_ALL = DEFAULT_POLICY.replace(
    "policies:\n",
    "policies:\n"
    "  - name: All facts\n"
    "    when: customer.lifetime_value > 1e9 && customer.contacts > 99 && conversation.messages > 99\n"
    "    first_reply_time: {default: 1h}\n"
    "    next_reply_time: {default: 1h}\n",
)


def ann(session: Session) -> None:
    customer(session, "Ann", Identity("handle", "ann", "chirp"), tier="gold")


def facts(session: Session, *conversations: Conversation) -> list[Facts]:
    found = facts_of(session, conversations, read_policy(ASKS_ALL), NOW)
    return [found[conversation.id] for conversation in conversations]


def test_all_that_is_known_of_a_customer(session: Session) -> None:
    bought = customer(session, "Ann", Identity("handle", "ann", "chirp"), tier="gold")
    for days, amount, kind in ((400, 300, "purchase"), (200, 50, "purchase"), (100, 20, "return")):
        event(session, bought, kind, str(amount), at=NOW - timedelta(days=days))
    chirp = channel(session)
    before = receive_one(
        session, chirp, inbound(author="ann", thread_key="a", sent_at=NOW - timedelta(days=2))
    )
    analyse_as(session, before, analysis("negative", 0.9))
    message = receive_one(session, chirp, inbound("Hello?", author="ann", thread_key="b"))
    (known,) = facts(session, conversation_of(session, message))
    assert known.lifetime_value == 330
    assert known.valence is not None
    assert -0.5 < known.valence < -0.2
    assert known.journey_stage == "at_risk"
    assert (known.contacts, known.known, known.messages) == (1, True, 1)
    assert (known.text, known.urgency, known.tags, known.status) == ("Hello?", "normal", (), "new")


def test_a_stranger(session: Session) -> None:
    (known,) = facts(session, conversation_of(session, receive_one(session, channel(session))))
    assert (known.lifetime_value, known.valence, known.journey_stage) == (None, None, "prospect")
    assert (known.contacts, known.known, known.reopened) == (0, False, False)


def test_who_comes_back_is_reopened(session: Session) -> None:
    chirp, agent = channel(session), user(session)
    conversation = conversation_of(session, receive_one(session, chirp, inbound(thread_key="a")))
    set_status(session, conversation, "solved", user=agent, now=NOW)
    receive_one(session, chirp, inbound("Again", thread_key="a", sent_at=NOW + timedelta(hours=1)))
    assert facts(session, conversation)[0].reopened


def test_what_people_give_a_conversation_counts(session: Session) -> None:
    conversation = conversation_of(session, receive_one(session, channel(session)))
    conversation.priority = "urgent"
    place(session, [conversation], active_policy(session), NOW)
    assert conversation.weight == pytest.approx(2)
    assert {"factor": 2.0, "text": "urgent priority"} in (conversation.reasons or [])


def test_many_cost_as_many_queries_as_one(session: Session) -> None:
    ann(session)
    chirp = channel(session)
    for number in range(12):
        author = f"ann{number % 5}"
        message = receive_one(session, chirp, inbound(author=author, thread_key=str(number)))
        analyse_as(session, message, analysis("negative", 0.9))
    asked: list[str] = []

    def count(limit: int) -> int:
        session.expunge_all()
        found = session.scalars(select(Conversation).options(*FOR_PLACING).limit(limit)).all()
        asked.clear()
        assert len(facts(session, *found)) == limit
        return len(asked)

    on.listen(session.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert count(12) == count(1) <= 5


def test_each_change_is_kept_with_the_version_that_made_it(session: Session) -> None:
    ann(session)
    message = receive_one(session, channel(session))
    conversation = conversation_of(session, message)

    def kept() -> list[tuple[int, str]]:
        rows = session.scalars(select(Decision).order_by(Decision.id)).all()
        return [(row.policy_version_id, from_text(row.explanation).in_words) for row in rows]

    first = active_policy(session)
    assert kept() == [(first.version_id, "4 Gold = 4")]
    place(session, [conversation], first, NOW)
    assert len(kept()) == 1, "nothing changed"
    analyse_as(session, message, analysis("negative", 0.9, intents=()))
    heavier = DEFAULT_POLICY.replace("gold: 4", "gold: 5")
    place(session, [conversation], activate(session, heavier, NOW), NOW)
    assert kept()[1:] == [
        (first.version_id, "4 Gold × 1.36 negative (0.90 sure) = 5.44"),
        (first.version_id + 1, "5 Gold × 1.36 negative (0.90 sure) = 6.8"),
    ]
    newest = session.scalars(select(Decision).order_by(Decision.id.desc())).first()
    assert newest is not None
    told = from_text(newest.explanation)
    assert conversation.promise is not None
    assert (told.policy, told.metric, told.due_at) == (
        "Social",
        "first_reply_time",
        conversation.promise.due_at,
    )
    assert Decimal(str(told.weight)) == Decimal("6.8")


def test_a_fact_that_is_not_asked_costs_nothing(session: Session) -> None:
    conversation = conversation_of(session, receive_one(session, channel(session)))
    plain = read_policy(DEFAULT_POLICY[: DEFAULT_POLICY.index("weights:")] + "handling: {default: 5m}\n")
    found = facts_of(session, [conversation], plain, NOW)[conversation.id]
    assert found == replace(found, lifetime_value=None, valence=None, journey_stage=None, messages=None)
