"""The same on both databases: what is claimed, done and counted in SQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.automations.models import AutomationEvent
from hub.automations.service import automate
from hub.conversations.models import Message
from hub.conversations.service import reply
from hub.inbox.analyse import analyse
from hub.queue.service import place_anew
from hub.runtime import Hub
from hub.warnings.models import PromiseWarning
from tests import factories
from tests.factories import NOW
from tests.hub.automations.ruling import ALL_AT_ONCE, TIMED, lines_of, opened, rules, run_all, runs_of
from tests.hub.conftest import Clock


def test_an_event_has_everything_done_that_applies(session: Session) -> None:
    rules(session, ALL_AT_ONCE)
    boss = factories.user(session, "Mia Manager", role="manager")
    conversation = opened(session)

    run_all(session)

    assert (conversation.priority, conversation.tags) == ("high", ["new_here"])
    assert conversation.sent_to_team == "escalation"
    assert session.scalars(select(PromiseWarning.user_id)).all() == [boss.id]
    (run,) = runs_of(session)
    assert (run.automation, run.event, run.result) == ("Everything", "conversation_opened", "done")
    assert [each["result"] for each in run.actions] == ["done"] * 5
    assert lines_of(session, conversation) == [
        "Automation “Everything” (conversation opened): normal → high priority",
        "Automation “Everything” (conversation opened): tagged new_here",
        "Automation “Everything” (conversation opened): sent it to team escalation",
        "Automation “Everything” (conversation opened): told Mia Manager",
        "Automation “Everything” (conversation opened): answered with “Received”",
    ]
    # An automatic reply keeps no promise and ends no wait.
    answer = session.scalars(select(Message).where(Message.direction == "outgoing")).one()
    assert (answer.body, answer.automatic) == ("Hello Ann, we have your message.", True)
    assert conversation.first_replied_at is None
    assert conversation.waiting_since is not None
    assert conversation.status == "new"
    assert session.scalar(select(func.count(AutomationEvent.id))) == 0


def test_what_has_been_so_for_a_time(session: Session) -> None:
    rules(session, TIMED)
    conversation = opened(session)
    reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
    told = []
    for minutes in (0, 59, 61, 119, 181, 182, 60 * 30):
        run_all(session, NOW + timedelta(minutes=minutes))
        told.append((minutes, conversation.status, len(runs_of(session))))
    assert told == [
        (0, "pending", 0),
        (59, "pending", 0),
        (61, "pending", 1),
        (119, "pending", 1),
        (181, "solved", 2),
        (182, "solved", 2),
        (60 * 30, "closed", 3),
    ]
    assert [run.automation for run in runs_of(session)] == ["Remind", "Done", "Close"]
    assert "Automation “Remind” (waiting on customer for 1h): tagged reminded" in lines_of(
        session, conversation
    )


def test_a_change_of_the_customer_has_what_missed_its_time_asked_again(session: Session) -> None:
    rules(
        session,
        "\n  - {name: Remind, after: {waiting_on_customer: 1h},"
        ' when: customer.tier == "gold", do: [{tag: [reminded]}]}\n',
    )
    conversation = opened(session)
    reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
    later = NOW + timedelta(hours=5)
    run_all(session, later)
    assert runs_of(session) == []
    customer = conversation.customer
    customer.tier, customer.changed_at = "gold", later
    session.flush()
    place_anew(session, later)
    run_all(session, later)
    assert conversation.tags == ["reminded"]


def test_what_the_model_read_is_an_event(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        rules(
            session,
            """
  - {name: Angry, on: [analysed], when: sentiment == "negative", do: [{tag: [angry]}]}
  - {name: Happy, on: [analysed], when: sentiment == "positive", do: [{tag: [happy]}]}
""",
        )
        opened(session, "This is bad")
    assert analyse(hub) == 1
    while automate(hub):
        pass
    with hub.database.reading() as session:
        assert [(run.automation, run.result) for run in runs_of(session)] == [("Angry", "done")]
    assert automate(hub) == 0


def test_after_a_crash_all_of_it_is_done_once(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub.database.session() as session:
        rules(session, ALL_AT_ONCE)
        opened(session)
    with monkeypatch.context() as patch:
        patch.setattr("hub.automations.service._lately", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            automate(hub)
    with hub.database.reading() as session:
        assert runs_of(session) == []
        assert session.scalar(select(func.count(AutomationEvent.id))) == 1
    while automate(hub):
        pass
    with hub.database.reading() as session:
        assert len(runs_of(session)) == 1
        assert session.scalar(select(func.count(Message.id)).where(Message.direction == "outgoing")) == 1


def test_however_many_workers_look_each_event_is_asked_once(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.automations.service.BATCH", 3)
    with hub.database.session() as session:
        rules(
            session, "\n  - {name: A, on: [message_received], do: [{tag: [seen]}, {set: {priority: high}}]}\n"
        )
        channel = factories.channel(session)
        for number in range(12):
            factories.receive_one(session, channel, factories.inbound(author=f"author{number}"))

    def look() -> None:
        while automate(hub):
            pass

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(look) for _ in range(3)]:
            done.result(60)
    look()
    with hub.database.reading() as session:
        assert len({run.conversation_id for run in runs_of(session)}) == len(runs_of(session)) == 12
        assert session.scalar(select(func.count(AutomationEvent.id))) == 0
