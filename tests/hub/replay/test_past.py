"""The hub's own past as a source of replays: what went through the whole flow."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.conversations.service import get_conversation, reply, set_status
from hub.errors import Invalid
from hub.replay.past import from_past
from hub.replay.service import ALL_CAN, Source
from hub.replay.service import run as run_all
from routing.policy import read_policy
from routing.replay.jobs import Abilities
from tests.factories import NOW, analyse_as, analysis, channel, inbound, receive_one, user

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Desk:
    """Customers who ask, and agents who answer, so many minutes after NOW."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.chirp = channel(session)
        self.agent = user(session)
        self._asked = 0

    def ask(self, minute: float) -> int:
        self._asked += 1
        at = NOW + minute * MINUTE
        message = receive_one(
            self.session, self.chirp, inbound(author=f"author {self._asked}", sent_at=at), now=at
        )
        return message.conversation_id

    def answer(self, conversation_id: int, minute: float, agent: User | None = None) -> None:
        conversation = get_conversation(self.session, conversation_id)
        reply(self.session, conversation, user=agent or self.agent, text="Here", now=NOW + minute * MINUTE)


@pytest.fixture
def desk(session: Session) -> Desk:
    return Desk(session)


def past(session: Session, until: datetime = NOW + DAY, agents: int | None = None) -> Source:
    return from_past(session, NOW - DAY, until, agents)


def test_waits_with_what_was_known(session: Session, desk: Desk) -> None:
    first, second = desk.ask(0), desk.ask(1)
    conversation = get_conversation(session, second)
    assert conversation.newest_message is not None
    analyse_as(session, conversation.newest_message, analysis("negative"))
    desk.answer(first, 4)
    desk.answer(second, 10)
    found = past(session)
    assert [record.ref for record in found.records] == [first, second]
    one, two = found.records
    assert one.arrived_at == NOW
    assert (one.facts.channel, one.facts.metric) == ("chirp", "first_reply_time")
    assert two.facts.analysis is not None
    assert two.facts.analysis.sentiment.label == "negative"
    # The second was begun when the first had been answered.
    assert two.handle_seconds == 6 * 60
    assert found.lines == 2


def test_further_waits_of_a_conversation_count_too(session: Session, desk: Desk) -> None:
    conversation_id = desk.ask(0)
    desk.answer(conversation_id, 5)
    again = inbound(author="author 1", sent_at=NOW + 20 * MINUTE)
    receive_one(session, desk.chirp, again, now=NOW + 20 * MINUTE)
    waits = past(session).records
    assert [record.facts.metric for record in waits] == ["first_reply_time", "next_reply_time"]
    assert {record.ref for record in waits} == {conversation_id}


def test_who_was_never_answered_waits_and_who_gave_up_does_not(session: Session, desk: Desk) -> None:
    waiting, gone = desk.ask(0), desk.ask(1)
    set_status(session, get_conversation(session, gone), "solved", user=None, now=NOW + 2 * MINUTE)
    assert [record.ref for record in past(session, agents=1).records] == [waiting]


def test_agents_are_on_duty_while_they_answer(session: Session, desk: Desk) -> None:
    other = user(session, "Bea")
    for minute in (0, 30, 120):
        desk.answer(desk.ask(minute), minute + 10)
    desk.answer(desk.ask(31), 50, other)
    staffing = past(session).staffing
    assert [staffing.at(minute * 60) for minute in (4, 5, 39, 45, 51, 100, 125, 131)] == [
        *(0, 1, 1, 1, 0),
        *(0, 1, 0),
    ]


def test_agents_are_on_duty_while_they_work_on_an_answer(session: Session, desk: Desk) -> None:
    """The second answer took an hour and a half, with nothing in between."""
    desk.answer(desk.ask(0), 10)
    desk.answer(desk.ask(11), 101)
    staffing = past(session).staffing
    assert [staffing.at(minute * 60) for minute in (9, 12, 60, 100, 102)] == [1, 1, 1, 1, 0]
    assert staffing.ends == 101 * 60


def test_agents_can_what_they_can(session: Session, desk: Desk) -> None:
    other = user(session, "Bea")
    desk.agent.teams, desk.agent.skills = ["service"], {"german": 3}
    other.capacity = 4
    desk.answer(desk.ask(0), 10)
    desk.answer(desk.ask(1), 20, other)
    policy = read_policy("""
        time_zone: UTC
        currency: EUR
        skills: [german]
        policies: [{name: All, first_reply_time: {default: 1h}, next_reply_time: {default: 1h}}]
        handling: {default: 5m}
        assignment: {needs: [{name: All, skills: {german: 1}}]}
    """)
    source = from_past(session, NOW - DAY, NOW + DAY, None, [policy])
    assert {abilities: part.at(300) for abilities, part in source.staffing.groups} == {
        Abilities(frozenset(["service"]), (("german", 3),)): 1,
        Abilities(frozenset(), (), 4): 0,
    }
    assert source.estimated[-1] == "teams, skills and capacity of the agents, those of today"
    [run] = run_all(source, {"A": policy}).report.runs
    assert [(group.needs, group.agents) for group in run.needs] == [("german 1", 1)]
    counted = from_past(session, NOW - DAY, NOW + DAY, 1, [policy])
    assert counted.staffing.groups == ()
    assert counted.estimated[-1] == ALL_CAN


def test_a_wait_counts_under_the_channel_by_which_it_goes_on(session: Session, desk: Desk) -> None:
    conversation = get_conversation(session, desk.ask(0))
    conversation.via = channel(session, "mailbox")
    desk.ask(1)
    session.flush()
    assert [record.facts.channel for record in past(session, agents=1).records] == ["mailbox", "chirp"]


def test_a_number_of_agents_instead(session: Session, desk: Desk) -> None:
    desk.ask(0)
    assert past(session, agents=7).staffing.at(-1e9) == 7
    with pytest.raises(Invalid, match="how many agents"):
        past(session)


def test_a_past_without_anybody(session: Session) -> None:
    with pytest.raises(Invalid, match="nobody began to wait"):
        past(session)
