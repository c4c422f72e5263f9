"""The hub learns how long agents work on answers, and expects that of those who come."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.channels.models import Channel
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, reply
from hub.policies.service import activate, active_policy
from hub.queue.handling import handling_views, learn_handling
from hub.queue.planner import who_waits
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from sentiment.types import IntentLabel
from tests.factories import NOW, analyse_as, analysis, channel, inbound, receive_one, user
from tests.hub.conftest import ON_SQLITE, Clock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def agent_id(hub: Hub) -> int:
    with hub.database.session() as session:
        channel(session)
        return user(session).id


def answered(
    hub: Hub, agent_id: int, intent: IntentLabel, minutes: list[float], start: datetime = NOW
) -> datetime:
    """One agent answers one after the other, each so many minutes after the last; when they are done."""
    with hub.database.session() as session:
        agent = session.get_one(User, agent_id)
        numbers = [asked(session, intent, f"{intent} {start} {n}", start) for n in range(len(minutes))]
        at = start
        for number, worked in zip(numbers, minutes, strict=True):
            at += worked * MINUTE
            reply(session, get_conversation(session, number), user=agent, text="Here", now=at)
        return at


def asked(session: Session, intent: IntentLabel, author: str, at: datetime) -> int:
    chirp = session.scalars(select(Channel)).one()
    message = receive_one(session, chirp, inbound(author=author, sent_at=at), now=at)
    analyse_as(session, message, analysis("neutral", intents=(intent,)), now=at)
    return message.conversation_id


def expected(hub: Hub) -> dict[str | None, tuple[float, int]]:
    with hub.database.reading() as session:
        views = handling_views(session, active_policy(session).policy)
        return {view.intent: (view.expected_seconds, view.cases) for view in views}


def test_what_agents_work_is_learnt_once_by_intent(hub: Hub, clock: Clock, agent_id: int) -> None:
    assert expected(hub)["refund_return"] == (480, 0)
    done = answered(hub, agent_id, "refund_return", [1, *[4] * 20])
    clock.now = done + MINUTE
    learn_handling(hub)
    # Of the first nobody knows when the agent began.
    seconds, cases = expected(hub)["refund_return"]
    assert cases == 20
    assert 240 < seconds < 360
    assert expected(hub)["technical_problem"][0] < 600
    for minutes in (0.5, 5):
        clock.now = done + minutes * MINUTE
        learn_handling(hub)
    assert expected(hub)["refund_return"] == (seconds, cases)
    done = answered(hub, agent_id, "refund_return", [4] * 3, start=clock.now)
    clock.now = done + MINUTE
    learn_handling(hub)
    assert expected(hub)["refund_return"][1] == 23


@ON_SQLITE
def test_who_comes_then_is_expected_to_take_so_long(hub: Hub, clock: Clock, agent_id: int) -> None:
    clock.now = answered(hub, agent_id, "refund_return", [1, *[4] * 20]) + MINUTE
    learn_handling(hub)
    seconds, _ = expected(hub)["refund_return"]

    def work() -> int | None:
        with hub.database.session() as session:
            number = asked(session, "refund_return", f"new {clock.now}", clock.now)
            return session.get_one(Conversation, number).work_seconds

    assert work() == pytest.approx(seconds, abs=1)
    with hub.database.session() as session:
        activate(session, DEFAULT_POLICY.replace("learn: true", "learn: false"), clock.now)
    clock.advance(seconds=1)
    assert work() == 480
    assert expected(hub)["refund_return"] == (480, 20)


@ON_SQLITE
def test_the_plan_expects_it_of_those_who_wait_already(hub: Hub, clock: Clock, agent_id: int) -> None:
    with hub.database.session() as session:
        waiting = [asked(session, each, each, NOW) for each in ("refund_return", "technical_problem")]

    def work() -> list[int]:
        with hub.database.reading() as session:
            queue = who_waits(session, active_policy(session).policy, 10)
            seconds = {each.id: each.work_seconds for each, _ in queue}
            return [seconds[number] for number in waiting]

    assert work() == [480, 600]
    clock.now = answered(hub, agent_id, "refund_return", [1, *[4] * 20]) + MINUTE
    learn_handling(hub)
    known = expected(hub)
    assert work() == [ceil(known["refund_return"][0]), ceil(known["technical_problem"][0])]
    assert work()[0] < 360
    with hub.database.session() as session:
        # Placed before the intent was kept.
        session.execute(update(Conversation).values(work_intent=None))
    assert work() == [480, 600]


@ON_SQLITE
def test_it_is_shown(hub: Hub, clock: Clock, agent_id: int, agent: TestClient, api: TestClient) -> None:
    report = api.get("reports/handling").json()
    assert report["learn"] is True
    by_intent = {each["intent"]: each for each in report["intents"]}
    assert by_intent[None] == {
        "intent": None,
        "policy_seconds": 300,
        "expected_seconds": 300,
        "cases": 0,
    }
    assert by_intent["technical_problem"]["expected_seconds"] == 600
    text = agent.get("/staffing").text
    assert "Work on an answer" in text
    assert "Refund or return" in text
