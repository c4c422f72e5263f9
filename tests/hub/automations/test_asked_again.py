"""Automations that wait for a time, and whose condition comes to hold only after it: asked again when
something changes, for as long as what they count is so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.automations.models import AutomationTimer
from hub.conversations.models import Conversation
from hub.conversations.service import note, reply, set_priority
from hub.conversations.tags import change_tags
from hub.inbox.analyse import analyse
from hub.queue.service import place_anew
from hub.runtime import Hub
from tests import factories
from tests.factories import NOW
from tests.hub.automations.ruling import opened, rules, run_all, runs_of
from tests.hub.conftest import Clock

HOUR = timedelta(hours=1)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """That a change of the customer is found in SQL is in test_both_databases.py."""
    return sqlite_url


def waiting_for(session: Session, condition: str) -> Conversation:
    """Pending for five hours, with a rule of four hours whose condition does not hold."""
    rules(
        session,
        f"\n  - {{name: Late, after: {{waiting_on_customer: 4h}}, when: '{condition}',"
        " do: [{tag: [asked]}]}"
        "\n  - {name: Answer, after: {waiting_on_customer: 8h}, do: [{reply: Received}]}\n",
    )
    conversation = opened(session)
    reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
    run_all(session, NOW + 5 * HOUR)
    assert runs_of(session) == []
    assert next_look(session) == NOW + 8 * HOUR
    return conversation


def next_look(session: Session) -> object:
    return session.scalars(select(AutomationTimer.due_at)).one()


@pytest.mark.parametrize(
    ("condition", "change"),
    [
        ('"vip" in conversation.tags', "tag"),
        ('conversation.priority == "urgent"', "priority"),
        ('customer.tier == "gold"', "customer"),
        ("conversation.messages > 2", "automatic reply"),
    ],
)
def test_it_runs_once_when_its_condition_comes_to_hold(session: Session, condition: str, change: str) -> None:
    conversation = waiting_for(session, condition)
    later, user = NOW + 8 * HOUR, factories.user(session)
    match change:
        case "tag":
            change_tags(session, conversation, add=["vip"], user=user, now=later)
        case "priority":
            set_priority(session, conversation, "urgent", user=user, now=later)
        case "customer":
            conversation.customer.tier, conversation.customer.changed_at = "gold", later
            session.flush()
            place_anew(session, later)
        case _:
            # The rule below it, whose time comes now.
            pass
    for minutes in (0, 1, 600):
        run_all(session, later + timedelta(minutes=minutes))
    (run,) = (run for run in runs_of(session) if run.automation == "Late")
    assert (run.event, run.since, run.ran_at) == ("waiting_on_customer", NOW, later)
    assert "asked" in conversation.tags
    # It is over until it begins anew.
    change_tags(session, conversation, remove=["asked"], user=user, now=later)
    run_all(session, later + HOUR)
    assert "asked" not in conversation.tags


def test_what_changes_when_it_is_no_longer_so_has_nothing_asked(session: Session) -> None:
    conversation = waiting_for(session, '"vip" in conversation.tags')
    factories.receive_one(session, conversation.channel, "Thanks", now=NOW + 6 * HOUR)
    change_tags(session, conversation, add=["vip"], user=factories.user(session), now=NOW + 6 * HOUR)
    run_all(session, NOW + 6 * HOUR)
    assert runs_of(session) == []


def test_before_its_time_no_change_has_it_asked(session: Session) -> None:
    conversation = waiting_for(session, '"vip" in conversation.tags')
    again, user = NOW + 9 * HOUR, factories.user(session)
    reply(session, conversation, user=user, text="Or Friday.", now=again)
    change_tags(session, conversation, add=["vip"], user=user, now=again)
    run_all(session, again + 3 * HOUR)
    assert runs_of(session) == []
    run_all(session, again + 5 * HOUR)
    assert [run.automation for run in runs_of(session)] == ["Late"]


def test_what_does_not_concern_it_asks_and_leaves_it(session: Session) -> None:
    conversation = waiting_for(session, '"vip" in conversation.tags')
    note(session, conversation, user=factories.user(session), text="Call him.", now=NOW + 6 * HOUR)
    set_priority(session, conversation, "high", user=factories.user(session), now=NOW + 6 * HOUR)
    run_all(session, NOW + 6 * HOUR)
    assert runs_of(session) == []
    assert next_look(session) == NOW + 8 * HOUR


def test_a_condition_that_is_written_anew_is_a_new_automation(session: Session) -> None:
    """It does not write to everybody whose time was over long ago."""
    conversation = waiting_for(session, '"vip" in conversation.tags')
    late = "{name: Late, after: {waiting_on_customer: 4h}, when: conversation.messages > 1,"
    rules(session, f"\n  - {late} do: [{{tag: [asked]}}]}}\n", at=NOW + 30 * HOUR)
    run_all(session, NOW + 30 * HOUR)
    set_priority(session, conversation, "high", user=factories.user(session), now=NOW + 31 * HOUR)
    run_all(session, NOW + 31 * HOUR)
    assert runs_of(session) == []


def test_a_limit_that_only_time_passes_is_asked_when_it_is_passed(session: Session) -> None:
    rules(
        session,
        "\n  - {name: Late, after: {opened: 1h},"
        " when: conversation.waiting_minutes > 150, do: [{tag: [late]}]}\n",
    )
    opened(session)
    run_all(session, NOW + HOUR)
    assert next_look(session) == NOW + timedelta(minutes=150, seconds=1)
    run_all(session, NOW + timedelta(minutes=151))
    assert len(runs_of(session)) == 1


def test_what_the_model_reads_late_is_asked(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        rules(
            session,
            "\n  - {name: Late, after: {waiting_on_customer: 1h},"
            ' when: sentiment == "negative", do: [{tag: [angry]}]}\n',
        )
        conversation = opened(session, "This is bad")
        reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
        run_all(session, NOW + 2 * HOUR)
        assert runs_of(session) == []
    clock.advance(hours=3)
    assert analyse(hub) == 1
    with hub.database.session() as session:
        run_all(session, clock.now)
        assert len(runs_of(session)) == 1


def test_those_that_have_each_other_asked_end_and_it_is_told(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each puts the tag that the one above it waits for: asked again, they set each other off in a row."""
    monkeypatch.setattr("routing.automations.MOST_DEPTH", 3)
    written = [
        f"  - {{name: N{number}, after: {{waiting_on_customer: 1h}},"
        f" when: '\"t{number + 1}\" in conversation.tags', do: [{{tag: [t{number}]}}]}}\n"
        for number in range(6)
    ]
    rules(session, "\n" + "".join(written))
    conversation = opened(session)
    reply(session, conversation, user=factories.user(session), text="Tomorrow.", now=NOW)
    run_all(session, NOW + 2 * HOUR)
    change_tags(session, conversation, add=["t6"], user=factories.user(session), now=NOW + 3 * HOUR)
    run_all(session, NOW + 3 * HOUR)
    told = [(run.automation, run.chain, run.result) for run in runs_of(session)]
    assert told == [
        ("N5", [], "done"),
        ("N4", ["N5"], "done"),
        ("N3", ["N5", "N4"], "done"),
        ("N2", ["N5", "N4", "N3"], "refused"),
    ]
