"""What automations do to conversations, and where it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Batch
from hub.automations.models import AutomationEvent, AutomationTimer
from hub.conversations.delivery import deliver
from hub.conversations.models import Conversation, Message
from hub.conversations.service import reply, set_priority, set_status
from hub.conversations.tags import change_tags
from hub.inbox.service import receive
from hub.queue.sweep import pass_time
from hub.runtime import Hub
from routing.automations import MOST_REPLIES
from tests import factories
from tests.factories import NOW
from tests.hub.automations.ruling import TIMED, lines_of, opened, rules, run_all, runs_of
from tests.hub.conftest import Clock


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is decided here does not depend on the database; what does is in test_both_databases.py."""
    return sqlite_url


def test_conditions_are_asked_as_the_conversation_is_then(session: Session) -> None:
    rules(
        session,
        """
  - {name: First, on: [conversation_opened], do: [{set: {priority: urgent}}]}
  - {name: Second, on: [conversation_opened], when: conversation.priority == "urgent", do: [{tag: [second]}]}
  - {name: Third, on: [conversation_opened], when: conversation.priority == "low", do: [{tag: [third]}]}
""",
    )
    conversation = opened(session)
    run_all(session)
    assert conversation.tags == ["second"]
    assert [run.automation for run in runs_of(session)] == ["First", "Second"]


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("message_received", ""),
        ("status_changed", "open"),
        ("priority_changed", "normal"),
        ("tag_added", "late"),
        ("reply_sent", ""),
        ("promise_broken", "first_reply_time"),
    ],
)
def test_what_happens_in_the_hub_is_an_event(session: Session, kind: str, detail: str) -> None:
    conversation = opened(session)
    set_status(session, conversation, "open", user=None, now=NOW)
    rules(session, f"\n  - {{name: A, on: [{kind}], do: [{{tag: [seen]}}]}}\n")
    user = factories.user(session)
    match kind:
        case "message_received":
            factories.receive_one(session, conversation.channel, "And when does it come?")
        case "status_changed":
            set_status(session, conversation, "on_hold", user=user, now=NOW)
        case "priority_changed":
            set_priority(session, conversation, "high", user=user, now=NOW)
        case "tag_added":
            change_tags(session, conversation, add=["late"], user=user, now=NOW)
        case "reply_sent":
            reply(session, conversation, user=user, text="Tomorrow.", now=NOW)
        case _:
            pass_time(session, NOW + timedelta(days=3))
    run_all(session)
    (run,) = runs_of(session)
    assert (run.event, run.before or run.tag or run.promise or "") == (kind, detail)
    assert "seen" in conversation.tags


@pytest.mark.parametrize("how", ["overheard", "history", "bounce"])
def test_what_nobody_wrote_to_us_now_is_no_event(session: Session, how: str) -> None:
    rules(session, "\n  - {name: A, on: [conversation_opened, message_received], do: [{tag: [x]}]}\n")
    channel = factories.channel(session)
    kinds: dict[str, dict[str, Any]] = {"overheard": {"addressed": False}, "bounce": {"nature": "bounce"}}
    fields = kinds.get(how, {})
    batch = Batch((factories.inbound("Hello", **fields),))
    receive(session, channel.id, batch, NOW, history=how == "history")
    assert session.scalar(select(func.count(AutomationEvent.id))) == 0


def test_equal_events_that_wait_are_one(session: Session) -> None:
    rules(session, "\n  - {name: A, on: [message_received], do: [{reply: Received}]}\n")
    conversation = opened(session)
    for _ in range(4):
        factories.receive_one(session, conversation.channel, "Hello?")
    run_all(session)
    assert len(runs_of(session)) == 1


def test_what_is_no_longer_so_when_its_time_comes_is_left(session: Session) -> None:
    rules(session, TIMED)
    conversation = opened(session)
    reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
    run_all(session)
    factories.receive_one(session, conversation.channel, "Thanks", now=NOW + timedelta(minutes=30))
    run_all(session, NOW + timedelta(hours=5))
    assert runs_of(session) == []
    # It begins anew with the next answer.
    later = NOW + timedelta(hours=6)
    reply(session, conversation, user=factories.user(session), text="Bye.", now=later)
    run_all(session, later + timedelta(minutes=61))
    assert [run.automation for run in runs_of(session)] == ["Remind"]


def test_a_new_policy_finds_what_is_there_and_leaves_what_was_due_before(session: Session) -> None:
    old = opened(session)
    user = factories.user(session)
    reply(session, old, user=user, text="Tomorrow.", now=NOW)
    channel = factories.channel(session, "mail", kind="mail")
    late = NOW + timedelta(hours=30)
    fresh = factories.conversation_of(session, factories.receive_one(session, channel, "Hello", now=late))
    reply(session, fresh, user=user, text="Tomorrow.", now=late)

    rules(session, TIMED, at=late)
    run_all(session, late)
    assert session.scalars(select(AutomationTimer.conversation_id)).all() == [old.id, fresh.id]
    run_all(session, late + timedelta(hours=4))
    assert (old.status, fresh.status) == ("pending", "solved")


def test_a_change_of_the_policy_counts_for_timers_too(session: Session) -> None:
    rules(session, TIMED)
    conversation = opened(session)
    reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
    rules(session, TIMED.replace("1h", "2h"), at=NOW)
    run_all(session)
    run_all(session, NOW + timedelta(minutes=61))
    assert runs_of(session) == []
    rules(session, "\n  - {name: Other, on: [tag_added], do: [{tag: [x]}]}\n", at=NOW)
    run_all(session, NOW + timedelta(hours=9))
    assert runs_of(session) == []
    assert session.scalars(select(AutomationTimer.due_at)).all() == [None]


def test_automations_that_set_each_other_off_end_and_it_is_told(session: Session) -> None:
    rules(
        session,
        """
  - {name: Up, on: [priority_changed], when: conversation.priority == "low", do: [{set: {priority: high}}]}
  - {name: Down, on: [priority_changed], when: conversation.priority == "high", do: [{set: {priority: low}}]}
""",
    )
    conversation = opened(session)
    set_priority(session, conversation, "low", user=factories.user(session), now=NOW)
    run_all(session)
    # Down is asked of the same event, after Up; and what Down does sets off Up once more.
    assert [(run.automation, run.chain, run.result) for run in runs_of(session)] == [
        ("Up", [], "done"),
        ("Down", [], "done"),
        ("Up", ["Down"], "done"),
        ("Down", ["Down", "Up"], "refused"),
    ]
    assert runs_of(session)[-1].why == "automations set each other off: Down → Up → Down"
    assert conversation.priority == "high"
    assert lines_of(session, conversation)[-1] == (
        "Automation “Down” (priority changed: from low) was stopped: automations set each other off:"
        " Down → Up → Down"
    )


def test_two_machines_that_answer_each_other_fall_silent(session: Session) -> None:
    """The other side does not say that it is a machine, and begins a new conversation each time."""
    rules(session, "\n  - {name: A, on: [message_received], do: [{reply: Received}]}\n")
    channel = factories.channel(session)
    for number in range(8):
        now = NOW + timedelta(minutes=number)
        item = factories.inbound("We have your message.", thread_key=f"T{number}")
        factories.receive_one(session, channel, item, now=now)
        run_all(session, now)
    sent = session.scalar(select(func.count(Message.id)).where(Message.direction == "outgoing"))
    assert sent == MOST_REPLIES
    last = runs_of(session)[-1]
    assert (last.result, last.actions[0]["result"]) == ("failed", "failed")
    assert last.actions[0]["why"] == "this customer had 3 automatic replies within a day"


def test_in_one_conversation_only_so_many_run_within_an_hour(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routing.automations.MOST_RUNS", 3)
    rules(session, "\n  - {name: A, on: [message_received], do: [{tag: [x]}]}\n")
    conversation = opened(session)
    run_all(session)
    for _ in range(4):
        factories.receive_one(session, conversation.channel, "Again")
        run_all(session)
    results = [run.result for run in runs_of(session)]
    assert (results.count("done"), results.count("refused")) == (3, 2)
    later = NOW + timedelta(minutes=61)
    factories.receive_one(session, conversation.channel, "Again", now=later)
    run_all(session, later)
    assert runs_of(session)[-1].result == "done"


@pytest.mark.parametrize("nature", ["bounce", "auto_reply", "list"])
def test_no_machine_is_answered(session: Session, nature: str) -> None:
    conversation = opened(session)
    machine = factories.inbound("Out of office", nature=nature, thread_key=conversation.thread_key)
    factories.receive_one(session, conversation.channel, machine, now=NOW + timedelta(minutes=1))
    rules(session, "\n  - {name: A, on: [tag_added], do: [{reply: Received}]}\n")
    change_tags(session, conversation, add=["x"], user=factories.user(session), now=NOW)
    run_all(session)
    (run,) = runs_of(session)
    assert run.actions[0]["result"] == "failed"
    assert "what came last" in run.actions[0]["why"]
    assert session.scalar(select(func.count(Message.id)).where(Message.direction == "outgoing")) == 0


def test_an_automatic_reply_that_fails_moves_no_clock(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        rules(session, "\n  - {name: A, on: [conversation_opened], do: [{reply: Received}]}\n")
        conversation = opened(session)
        set_status(session, conversation, "on_hold", user=None, now=NOW)
        run_all(session)
    assert deliver(hub) == 1
    with hub.database.reading() as session:
        message = session.scalars(select(Message).where(Message.direction == "outgoing")).one()
        assert message.delivery == "failed"
        assert session.get_one(Conversation, message.conversation_id).status == "on_hold"


@pytest.mark.parametrize(
    ("seen", "result", "why"),
    [
        (NOW, "done", "Ada Agent"),
        (None, "failed", "Ada Agent cannot get it: not online"),
    ],
)
def test_an_agent_gets_only_what_the_rules_would_give(
    session: Session, seen: datetime | None, result: str, why: str
) -> None:
    ada = factories.user(session, "Ada Agent")
    ada.seen_at = seen
    rules(
        session, f"\n  - {{name: A, on: [conversation_opened], do: [{{assign: {{agent: {ada.email}}}}}]}}\n"
    )
    conversation = opened(session)
    run_all(session)
    (run,) = runs_of(session)
    assert run.actions == [{"what": f"assign {ada.email}", "result": result, "why": why}]
    assert conversation.owner_id == (ada.id if result == "done" else None)


def test_what_cannot_be_done_stops_nothing_else(session: Session) -> None:
    rules(
        session,
        "\n  - {name: A, on: [conversation_opened],"
        " do: [{assign: {agent: nobody@brand.example}}, {tag: [x]}, {tag: [x]}]}\n",
    )
    conversation = opened(session)
    run_all(session)
    (run,) = runs_of(session)
    assert run.result == "failed"
    assert [each["result"] for each in run.actions] == ["failed", "done", "unchanged"]
    assert conversation.tags == ["x"]
    assert lines_of(session, conversation)[0] == (
        "Automation “A” (conversation opened): could not assign nobody@brand.example:"
        " nobody signs in as nobody@brand.example"
    )
