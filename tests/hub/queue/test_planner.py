"""The planner runs once a second at most, moves only what changed, and touches nothing that was answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from hub.accounts.models import User
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, reply
from hub.inbox.service import receive
from hub.queue import planner
from hub.queue.models import PlanSummary
from hub.queue.planner import plan_queue
from hub.queue.queries import summarise
from hub.runtime import Hub
from tests.factories import NOW, Batch, Identity, channel, customer, inbound, user
from tests.hub.conftest import Clock

Places = dict[int, tuple[datetime | None, datetime | None, int]]


@pytest.fixture
def crisis(hub: Hub, clock: Clock) -> list[int]:
    """Thirty conversations, the last of a gold customer, and one agent: about three of four can be kept."""
    with hub.database.session() as session:
        customer(session, "Gold", Identity("handle", "gold", "chirp"), tier="gold")
        users = user(session), user(session, "Other Agent")
        users[0].seen_at = users[1].seen_at = NOW
        users[1].away = True
        people = [*(f"writer {n}" for n in range(29)), "gold"]
        receive(session, channel(session).id, Batch(tuple(inbound(author=each) for each in people)), NOW)
        return list(session.scalars(select(Conversation.id).order_by(Conversation.id)))


def places(hub: Hub) -> Places:
    with hub.database.reading() as session:
        return {
            each.id: (each.reply_by, each.gave_way_at, each.gave_way_to)
            for each in session.scalars(select(Conversation))
        }


def summary(hub: Hub) -> PlanSummary:
    with hub.database.reading() as session:
        found = session.get_one(PlanSummary, 1)
        session.expunge(found)
        return found


def test_the_least_valuable_give_way_and_come_back(hub: Hub, clock: Clock, crisis: list[int]) -> None:
    assert plan_queue(hub) == 0
    planned = places(hub)
    gave_way = [each for each, (_, at, _) in planned.items() if at is not None]
    assert 5 < len(gave_way) < 10
    assert crisis[-1] not in gave_way
    for each in gave_way:
        reply_by, at, _ = planned[each]
        assert at == NOW
        assert reply_by is not None
        assert reply_by > NOW + timedelta(hours=2)
    assert (summary(hub).agents, summary(hub).waiting, summary(hub).breaking) == (1, 30, len(gave_way))
    assert (summary(hub).agents_needed or 0) >= 1
    with hub.database.session() as session:
        session.execute(update(User).values(away=False))
        for _ in range(3):
            user(session).seen_at = clock.now
    clock.advance(seconds=1)
    plan_queue(hub)
    assert all(at is None for _, at, _ in places(hub).values())
    assert summary(hub).agents == 5


def test_once_a_second_at_most(hub: Hub, clock: Clock, crisis: list[int]) -> None:
    plan_queue(hub)
    first = summary(hub).planned_at
    with hub.database.session() as session:
        session.execute(update(User).values(seen_at=None))
    clock.advance(seconds=0.9)
    plan_queue(hub)
    assert (summary(hub).planned_at, summary(hub).agents) == (first, 1)
    clock.advance(seconds=0.1)
    plan_queue(hub)
    assert (summary(hub).planned_at, summary(hub).agents) == (clock.now, 0)


def test_a_clock_that_was_set_back_stops_nothing(hub: Hub, clock: Clock, crisis: list[int]) -> None:
    plan_queue(hub)
    clock.advance(hours=-1)
    plan_queue(hub)
    assert summary(hub).planned_at == clock.now


def test_only_what_moves_is_written(hub: Hub, clock: Clock, crisis: list[int]) -> None:
    plan_queue(hub)
    with hub.database.session() as session:
        session.execute(update(Conversation).values(updated_at=NOW - timedelta(days=1)))
    before = places(hub)
    clock.advance(seconds=1)
    plan_queue(hub)
    after = places(hub)
    moved = {each for each in after if after[each] != before[each]}
    with hub.database.reading() as session:
        touched = set(session.scalars(select(Conversation.id).where(Conversation.updated_at == clock.now)))
    assert touched == moved
    # A second later the plan is the same but for those who stand behind all promises.
    assert len(moved) < 5


def test_what_happens_while_it_computes_stays(
    hub: Hub, clock: Clock, crisis: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One conversation is answered meanwhile and one gets another promise; both wait for the next plan."""
    compute: Callable[..., Any] = planner.plan
    answered, changed = crisis[0], crisis[1]

    def meanwhile(*facts: Any) -> Any:
        planned = compute(*facts)
        with hub.database.session() as session:
            agent = session.scalars(select(User).limit(1)).one()
            reply(session, get_conversation(session, answered), user=agent, text="Here.", now=clock.now)
            get_conversation(session, changed).reply_by = NOW + timedelta(minutes=1)
        return planned

    monkeypatch.setattr(planner, "plan", meanwhile)
    plan_queue(hub)
    found = places(hub)
    assert found[answered] == (None, None, 0)
    assert found[changed] == (NOW + timedelta(minutes=1), None, 0)
    assert any(at is not None for _, at, _ in found.values())


def test_an_empty_queue_has_a_plan_too(hub: Hub, clock: Clock) -> None:
    plan_queue(hub)
    assert (summary(hub).waiting, summary(hub).agents, summary(hub).breaking) == (0, 0, 0)


@pytest.mark.parametrize(
    ("role", "seen_ago", "away", "disabled", "on_duty"),
    [
        ("agent", 60, False, False, 1),
        ("social", 299, False, False, 1),
        ("agent", 301, False, False, 0),
        ("agent", 60, True, False, 0),
        ("agent", 60, False, True, 0),
        ("manager", 60, False, False, 0),
        ("agent", None, False, False, 0),
    ],
)
def test_who_is_on_duty(
    hub: Hub, clock: Clock, role: str, seen_ago: float | None, away: bool, disabled: bool, on_duty: int
) -> None:
    with hub.database.session() as session:
        somebody = user(session, role=role)
        somebody.seen_at = None if seen_ago is None else NOW - timedelta(seconds=seen_ago)
        somebody.away, somebody.disabled_at = away, NOW if disabled else None
    plan_queue(hub)
    with hub.database.reading() as session:
        assert summarise(session, NOW).agents_on_duty == on_duty
