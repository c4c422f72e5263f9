"""Automations by API, by command line and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from hub.accounts.models import User
from hub.automations.models import AutomationEvent, AutomationRun
from hub.conversations.models import Message
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.hub.automations.ruling import opened, rules, run_all
from tests.hub.cli.conftest import Cli, alone, cli
from tests.hub.conftest import Clock

__all__ = ["alone", "cli"]

RULES = """
  - name: Tag it
    on: [conversation_opened, tag_added]
    when: event.tag != "never"
    do: [{tag: [seen]}, {notify: [assignee]}]
  - name: Give it
    on: [conversation_opened]
    do: [{assign: {agent: nobody@brand.example}}]
  - name: Later
    after: {unanswered: 4h}
    calendar: office
    do: [{set: {priority: high}}]
"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is read in SQL is read in test_both_databases.py."""
    return sqlite_url


@pytest.fixture
def ran(hub: Hub, clock: Clock, agent: TestClient) -> int:
    """A conversation in which two of three automations ran; a manager looks at it. Its id."""
    with hub.database.session() as session:
        session.scalars(select(User)).one().role = "manager"
        rules(session, RULES)
        conversation = opened(session)
        run_all(session)
        return conversation.id


def test_programs_read_them_in_pages(ran: int, api: TestClient, hub: Hub) -> None:
    assert api.get("automations").status_code == 403
    with hub.database.session() as session:
        for user in session.scalars(select(User)):
            user.role = "manager"
    tag_it, give_it, later = api.get("automations").json()["items"]
    assert tag_it == {
        "name": "Tag it",
        "asked": "conversation opened or tag added",
        "when": 'event.tag != "never"',
        "do": ["tag seen", "notify assignee"],
        "ran": 1,
        "troubled": 0,
        "last_ran_at": "2026-11-20T11:00:00Z",
        "last_trouble_at": None,
        "last_trouble": None,
    }
    assert (give_it["ran"], give_it["troubled"]) == (1, 1)
    assert give_it["last_trouble"] == ("assign nobody@brand.example: nobody signs in as nobody@brand.example")
    assert (later["asked"], later["ran"]) == ("unanswered for 4h of office", 0)

    first = api.get("automations/runs", params={"limit": 1}).json()
    second = api.get("automations/runs", params={"cursor": first["next_cursor"]}).json()
    assert [run["automation"] for run in first["items"] + second["items"]] == ["Give it", "Tag it"]
    (run,) = second["items"]
    assert (run["conversation_id"], run["event"], run["result"]) == (ran, "conversation_opened", "done")
    assert run["actions"][0] == {"what": "tag seen", "result": "done", "why": "seen"}
    for narrowed in ({"trouble": True}, {"automation": "Give it"}):
        items = api.get("automations/runs", params=narrowed).json()["items"]
        assert [run["automation"] for run in items] == ["Give it"]
    assert api.get("automations/runs", params={"conversation_id": ran + 1}).json()["items"] == []
    assert api.get("automations/runs", params={"cursor": "x"}).status_code == 422


def test_managers_see_how_often_each_ran_and_what_went_wrong(ran: int, agent: TestClient) -> None:
    page = agent.get("/automations").text
    for words in ("Tag it", "Unanswered for 4h of office", "1 run", "nobody signs in as", "Not in 30 days"):
        assert words in page
    assert "Tag it ·" not in agent.get("/automations?trouble=true").text
    assert "Give it ·" not in agent.get("/automations?name=Tag%20it").text
    assert "No run of this kind" in agent.get("/automations?name=Later").text
    thread = agent.get(f"/conversations/{ran}").text
    assert "Automation “Tag it” (conversation opened): tagged seen" in thread
    assert "Automation “Tag it”" in agent.get("/warnings").text
    assert agent.get("/automations", params={"limit": 1}).text.count("cursor=") >= 1


def test_agents_are_told_that_it_is_not_for_them(agent: TestClient) -> None:
    assert agent.get("/automations").status_code == 403


def test_a_policy_without_any_says_so(hub: Hub, agent: TestClient) -> None:
    with hub.database.session() as session:
        session.scalars(select(User)).one().role = "manager"
    assert "The policy has no automations" in agent.get("/automations").text


def test_what_an_automation_told_is_among_the_warnings(ran: int, agent: TestClient) -> None:
    assert agent.get("/warnings").text.count("Automation “Tag it”") == 1


def test_the_command_line_lists_and_tries_them(ran: int, cli: Cli, hub: Hub, tmp_path: Path) -> None:
    assert "unanswered for 4h of office" in cli("automations", "list").stdout
    assert [each["ran"] for each in cli.json("automations", "list")] == [1, 1, 0]
    assert "not all of it" in cli("automations", "runs", "--trouble").stdout
    runs = cli.json("automations", "runs", "--conversation", ran)
    assert [each["automation"] for each in runs] == ["Give it", "Tag it"]
    assert "--cursor" in cli("automations", "runs", "--limit", 1).stderr
    assert "Nothing of that kind" in cli("automations", "runs", "--automation", "Other").stderr

    told = [
        (each["automation"], each["event"], each["result"])
        for each in cli.json("automations", "try", "--conversation", ran)
    ]
    assert told == [
        ("Tag it", "conversation_opened", "done"),
        ("Tag it", "tag_added", "done"),
        ("Give it", "conversation_opened", "failed"),
        ("Later", "unanswered", "done"),
    ]
    assert "set priority high (done)" in cli("automations", "try", "--conversation", ran).stdout
    other = tmp_path / "other.yaml"
    other.write_text(
        f"{DEFAULT_POLICY}\nautomations:\n"
        '- {name: New, on: [analysed], when: sentiment == "positive", do: [{tag: [happy]}]}\n'
        "- {name: Held, after: {on_hold: 1d}, do: [{tag: [old]}]}\n"
    )
    tried = cli.json("automations", "try", "--conversation", ran, "--policy", other)
    assert [(each["result"], each["why"]) for each in tried] == [
        ("does not apply", "its condition does not hold"),
        ("not asked", "it is not on hold"),
    ]
    assert "no conversation" in cli.problem("automations", "try", "--conversation", 999)
    with hub.database.reading() as session:
        # Nothing of it stays.
        assert session.scalar(select(func.count(AutomationRun.id))) == 2
        assert session.scalar(select(func.count(AutomationEvent.id))) == 0
        lines = select(func.count(Message.id)).where(Message.direction == "activity")
        assert session.scalar(lines) == 3


def test_the_command_line_says_where_there_are_none(cli: Cli, hub: Hub) -> None:
    with hub.database.session() as session:
        known = opened(session).id
    assert "has no automations" in cli("automations", "list").stderr
    assert "has no automations" in cli("automations", "try", "--conversation", known).stderr
