"""Warnings as they are given: to whom, once, checked again, on every face."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.conversations.models import Conversation, Promise
from hub.conversations.service import get_conversation, reply, set_status, take
from hub.policies.service import activate
from hub.runtime import Hub
from hub.warnings.models import PromiseWarning
from hub.warnings.service import give_warnings, warn
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, conversation_of, inbound, receive_one, user
from tests.hub.conftest import Clock

WARNINGS = """
warnings:
  - {at: 50%, to: [assignee]}
  - {at: 30m before, to: [team]}
  - {at: 10m after, to: [manager]}
"""
# The built-in policy may have warnings of its own.
POLICY = DEFAULT_POLICY.partition("\nwarnings:")[0] + "\nteams: [returns]\n" + WARNINGS


def later(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def told(session: Session) -> list[tuple[str, str]]:
    rows = session.execute(
        select(PromiseWarning.step, User.name)
        .join(User, User.id == PromiseWarning.user_id)
        .order_by(PromiseWarning.id)
    )
    return [(step, name.split()[0]) for step, name in rows]


@pytest.fixture
def waiting(session: Session) -> Conversation:
    """Somebody waits since noon, for two hours at most; there are a manager and two of a team."""
    activate(session, POLICY, NOW)
    user(session, "Mona Manager", role="manager")
    for name in ("Tom Team", "Tia Team"):
        user(session, name).teams = ["returns"]
    message = receive_one(session, channel(session), inbound(thread_key="T"))
    return get_conversation(session, message.conversation_id)


def test_each_step_is_told_once_to_whom_the_policy_says(session: Session, waiting: Conversation) -> None:
    take(session, waiting, user=user(session, "Alex Agent"), now=NOW)
    waiting.sent_to_team = "returns"
    session.flush()
    assert give_warnings(session, NOW + later(59)) == 0
    for minutes in (60, 61, 90, 95, 130, 131, 500):
        give_warnings(session, NOW + later(minutes))
        give_warnings(session, NOW + later(minutes))
    assert told(session) == [
        ("50%", "Alex"),
        ("30m before", "Tom"),
        ("30m before", "Tia"),
        ("10m after", "Mona"),
    ]


def test_where_nobody_would_hear_it_the_managers_do(session: Session, waiting: Conversation) -> None:
    give_warnings(session, NOW + later(90))
    assert told(session) == [("30m before", "Mona")]


def test_what_nobody_has_is_no_matter_of_an_assignee(session: Session, waiting: Conversation) -> None:
    give_warnings(session, NOW + later(60))
    assert told(session) == []
    take(session, waiting, user=user(session, "Alex Agent"), now=NOW + later(61))
    give_warnings(session, NOW + later(62))
    assert told(session) == []


def test_the_built_in_policy_tells_whoever_has_it(session: Session) -> None:
    waiting = conversation_of(session, receive_one(session, channel(session)))
    take(session, waiting, user=user(session, "Alex Agent"), now=NOW)
    give_warnings(session, NOW + later(89))
    assert told(session) == []
    give_warnings(session, NOW + later(90))
    assert told(session) == [("75%", "Alex")]


def test_of_several_at_once_everybody_is_told_the_last_of_theirs(
    session: Session, waiting: Conversation
) -> None:
    take(session, waiting, user=user(session, "Alex Agent"), now=NOW)
    give_warnings(session, NOW + later(200))
    give_warnings(session, NOW + later(300))
    # The steps of the team, which it has none of, and of the managers are both theirs.
    assert sorted(told(session)) == [("10m after", "Mona"), ("50%", "Alex")]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("steps", "owned", "minutes", "heard"),
    [
        # Three quarters of two hours are half an hour before.
        ("[{at: 75%, to: [assignee]}, {at: 30m before, to: [manager]}]", True, 90, ["30m before M", "75% A"]),
        ("[{at: 75%, to: [assignee, manager]}, {at: 90%, to: [manager]}]", True, 110, ["75% A", "90% M"]),
        # The hub was down: what is the assignee's alone is silent, what came before it is not.
        ("[{at: 50%, to: [manager]}, {at: 75%, to: [assignee]}]", False, 100, ["50% M"]),
        ("[{at: 50%, to: [manager]}, {at: 75%, to: [assignee]}]", True, 100, ["50% M", "75% A"]),
        # Both wait for Monday, however they are written.
        (
            "[{at: 75%, to: [manager], hours: monday}, {at: 50%, to: [assignee, manager], hours: monday}]",
            True,
            4 * 24 * 60,
            ["50% A", "75% M"],
        ),
    ],
)
def test_steps_that_are_due_at_once(
    session: Session, steps: str, owned: bool, minutes: int, heard: list[str]
) -> None:
    policy = DEFAULT_POLICY.partition("\nwarnings:")[0]
    policy = policy.replace("calendars:\n", "calendars:\n  monday: {hours: {monday: [09:00-17:00]}}\n")
    activate(session, f"{policy}\nwarnings: {steps}\n", NOW)
    user(session, "Mona Manager", role="manager")
    waiting = conversation_of(session, receive_one(session, channel(session)))
    if owned:
        take(session, waiting, user=user(session, "Alex Agent"), now=NOW)
    give_warnings(session, NOW + later(minutes))
    assert sorted(f"{step} {name[0]}" for step, name in told(session)) == heard


def test_what_is_answered_meanwhile_is_not_warned_of(session: Session, waiting: Conversation) -> None:
    agent = user(session)
    promise = waiting.promise
    assert promise is not None
    assert promise.warn_at == NOW + later(60)
    reply(session, waiting, user=agent, text="Here.", now=NOW + later(55))
    session.flush()
    assert promise.warn_at is None
    # As if the index were behind.
    promise.warn_at = NOW + later(60)
    session.flush()
    give_warnings(session, NOW + later(61))
    assert told(session) == []
    assert promise.warn_at is None


def test_another_target_moves_what_is_still_to_come(session: Session, waiting: Conversation) -> None:
    give_warnings(session, NOW + later(60))
    receive_one(session, waiting.channel, inbound(thread_key="T"), now=NOW + later(61))
    promise = session.scalars(select(Promise)).one()
    assert (promise.warned, promise.warn_at) == (["50%"], NOW + later(90))


def test_solving_ends_it(session: Session, waiting: Conversation) -> None:
    set_status(session, waiting, "solved", user=None, now=NOW + later(1))
    assert give_warnings(session, NOW + later(500)) == 0


def test_faces(hub: Hub, clock: Clock, agent: TestClient) -> None:
    with hub.database.session() as session:
        activate(session, POLICY, NOW)
        me = session.scalars(select(User).where(User.role == "agent")).one()
        conversation = conversation_of(session, receive_one(session, channel(session)))
        take(session, conversation, user=me, now=NOW)
    assert "No warnings" in agent.get("/warnings").text
    clock.advance(minutes=61)
    assert warn(hub) == 1
    assert warn(hub) == 0
    listed = agent.get("/warnings").text
    assert "told at 50%" in listed
    assert 'data-urgent>1<span class="sr-only"> unread' in listed
    with hub.database.reading() as session:
        warning_id = session.scalars(select(PromiseWarning.id)).one()
    opened = agent.post(f"/warnings/{warning_id}/open")
    assert opened.headers["location"] == f"/conversations/{conversation.id}"
    assert agent.post("/warnings/999/open").status_code == 404
    assert ">New<" not in agent.get("/warnings").text
    assert agent.post("/warnings/read").status_code == 303


def test_api(hub: Hub, clock: Clock, api: TestClient) -> None:
    with hub.database.session() as session:
        activate(session, POLICY, NOW)
        me = session.scalars(select(User).where(User.role == "agent")).one()
        take(session, conversation_of(session, receive_one(session, channel(session))), user=me, now=NOW)
    clock.advance(minutes=61)
    warn(hub)
    (item,) = api.get("warnings", params={"unread": True}).json()["items"]
    assert (item["step"], item["metric"], item["outcome"]) == ("50%", "first_reply_time", "running")
    assert api.post("warnings/read", json={"ids": [item["id"] + 1]}).json() == {"read": 0}
    assert api.post("warnings/read", json={}).json() == {"read": 1}
    assert api.get("warnings", params={"unread": True}).json()["items"] == []
    assert len(api.get("warnings").json()["items"]) == 1
