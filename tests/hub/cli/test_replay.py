"""`hub replay` as a person or a program uses it."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, inbound, receive_one
from tests.hub.cli.conftest import Cli


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "trace.jsonl"
    tiers = ["platinum", None, "gold", None]
    lines = [
        {
            "arrived_at": f"2026-03-02T09:{minute:02}:00Z",
            "channel": "x",
            "handle_seconds": 600,
            "customer": {"tier": tiers[minute % 4], "spend_percentile": 50},
            "analysis": {
                "sentiment": {"label": "negative", "confidence": 0.9},
                "intents": [{"label": "complaint", "confidence": 0.9}],
            },
        }
        for minute in range(20)
    ]
    file.write_text("\n".join([*map(json.dumps, lines), "oops"]) + "\n")
    return file


@pytest.fixture
def staffing(tmp_path: Path) -> Path:
    file = tmp_path / "staffing.csv"
    file.write_text("from,to,agents\n2026-03-02T09:00:00Z,2026-03-02T20:00:00Z,2\n")
    return file


def test_policies_and_rivals_side_by_side(alone: Cli, trace: Path, staffing: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text(DEFAULT_POLICY)
    b.write_text(DEFAULT_POLICY.replace("platinum: 8", "platinum: 1"))
    page = tmp_path / "page.html"
    words = ("replay", "--trace", trace, "--staffing", staffing, "--policy", a, "--policy", b)
    rivals = ("--rival", "first-come", "--rival", "strict", "--rival", "deadline", "--html", page)
    told = alone.json(*words, *rivals)
    assert told["conversations"] == 20
    assert (told["source"]["lines"], told["source"]["skipped"]) == (21, 1)
    assert [each["name"] for each in told["runs"]] == [str(a), str(b), "first-come", "strict", "deadline"]
    assert told["runs"][0]["tiers"]["platinum"]["count"] == 5
    assert told["runs"][0]["agent_load"] > 0.5
    assert page.read_text().startswith("<!doctype html>")


def test_who_can_answer_what(alone: Cli, trace: Path, tmp_path: Path) -> None:
    policy, staffing, page = tmp_path / "policy.yaml", tmp_path / "staffing.csv", tmp_path / "page.html"
    rules = """teams: [service, legal]
skills: [complaints]
assignment:
  needs:
    - {name: Gold, when: customer.tier == "gold", team: legal}
    - {name: Complaints, when: '"complaint" in intents', skills: {complaints: 2}}
"""
    policy.write_text(DEFAULT_POLICY.replace("assignment:\n", rules))
    span = "2026-03-02T09:00:00Z,2026-03-02T20:00:00Z"
    staffing.write_text(
        f"from,to,agents,teams,skills\n{span},2,service,complaints:2\n{span},1,service,complints:3\n"
    )
    words = ("replay", "--trace", trace, "--staffing", staffing, "--policy", policy, "--rival", "strict")
    shown = alone(*words, "--html", page)
    assert "staffing, line 3: skills: left out, no such skill: 'complints'" in shown.stderr
    nobody = "answer 5 conversations that need team legal (lines 3, 7, 11, 15, 19): no agent can."
    assert nobody in shown.stdout
    assert re.search(r"complaints 2 +strict +2 +15", shown.stdout)
    assert re.search(r"team service, complaints 2 +strict +2 +\d", shown.stdout)
    assert nobody in page.read_text()
    told = alone.json(*words)
    assert [run["nobody"] for run in told["runs"]] == [5, 5]
    assert "everybody answers everything" in alone(*words[:3], "--agents", 2, "--policy", policy).stderr


def test_words_for_people(alone: Cli, trace: Path) -> None:
    told = alone("replay", "--trace", trace, "--agents", 2, "--rival", "first-come", "--exact")
    assert "policy" in told.stdout
    assert "From policy to first-come:" in told.stdout
    assert re.search(r"first-come +13 +2026-03-02 09:30 +4 +2026-03-02 09:45", told.stdout)
    assert re.search(r"8 promises that first-come breaks; of most weight:\nline +tier", told.stdout)
    assert re.search(r"\n +\d+ +platinum +x +\d+ → \d+ .* kept → broken +first-come looks at no", told.stdout)
    assert "20 conversations replayed, 1 line skipped." in told.stderr
    assert "trace, line 21: this is no JSON" in told.stderr


def test_what_is_not_understood(alone: Cli, trace: Path, staffing: Path, tmp_path: Path) -> None:
    assert "--agents" in alone("replay", "--trace", trace, status=2).stderr
    alone("replay", "--trace", trace, "--agents", 1, "--staffing", staffing, status=2)
    assert "lifo" in alone("replay", "--trace", trace, "--agents", 1, "--rival", "lifo", status=2).stderr
    empty = tmp_path / "empty.jsonl"
    empty.write_text("oops\n")
    told = alone("replay", "--trace", empty, "--agents", 1, status=1).stderr
    assert "no conversation that can be read; line 1: this is no JSON" in told
    broken = tmp_path / "broken.yaml"
    broken.write_text("tiers: 3\n")
    told = alone("replay", "--trace", trace, "--agents", 1, "--policy", broken, status=1).stderr
    assert f"{broken}: line 1: " in told
    assert "tiers: write a list" in told
    missing = alone("replay", "--trace", tmp_path / "none", "--agents", 1, status=1).stderr
    assert "No such file" in missing


def test_tuning_proposes_and_changes_nothing(alone: Cli, tmp_path: Path) -> None:
    trace, policy, proposal = tmp_path / "trace.jsonl", tmp_path / "policy.yaml", tmp_path / "new.yaml"
    lines = [
        {
            "arrived_at": f"2026-03-{2 + day:02}T09:{minute:02}:00Z",
            "channel": "x",
            "handle_seconds": 300,
            "customer": {"tier": "platinum" if minute % 5 == 0 else None},
        }
        for day in range(9)
        for minute in range(40)
    ]
    trace.write_text("\n".join(map(json.dumps, lines)))
    # As if everything took ten times as long: most promises are given up that could be kept.
    policy.write_text(re.sub(r"(?m)^  factor: \S+", "  factor: 10", DEFAULT_POLICY))
    words = ("replay", "--trace", trace, "--agents", 2, "--policy", policy, "--tune", "--seeds", 1)
    told = alone.json(*words, "--rounds", 6, "--goal", "platinum=90%", "--proposal", proposal)
    assert told["goals"] == {"platinum": 0.9}
    assert (told["segments"], told["test_segments"]) == (9, 3)
    assert len(told["trials"]) == 1
    assert told["after"]["broken"] <= told["before"]["broken"]
    assert policy.read_text() != DEFAULT_POLICY
    alone("policy", "check", proposal)
    shown = alone(*words, "--rounds", 2, "--proposal", proposal)
    assert "in time: now" in shown.stdout
    assert "nothing is changed until" in shown.stderr


@pytest.mark.parametrize("goal", ["bronce=5", "gold", "gold=101", "gold=many"])
def test_a_goal_that_is_none(alone: Cli, trace: Path, goal: str) -> None:
    told = alone("replay", "--trace", trace, "--agents", 2, "--tune", "--goal", goal, status=2)
    assert "--goal" in told.stderr


def test_the_hub_s_own_past(cli: Cli, hub: Hub) -> None:
    told = cli("replay", "--since", "2026-03-01", "--until", "2026-03-02", status=1)
    assert "nobody began to wait" in told.stderr
    with hub.database.session() as session:
        for minute in range(3):
            at = NOW + timedelta(minutes=minute)
            receive_one(session, channel(session, f"chirp-{minute}", at=at), inbound(sent_at=at), now=at)
    days = (
        "--since",
        f"{NOW - timedelta(days=1):%Y-%m-%d}",
        "--until",
        f"{NOW + timedelta(days=2):%Y-%m-%d}",
    )
    found = cli.json("replay", *days, "--agents", 1, "--rival", "strict")
    assert found["conversations"] == 3
    assert found["source"]["name"].startswith("the hub's own past")
    assert len(found["source"]["estimated"]) == 2
    assert "how many agents" in cli("replay", *days, status=1).stderr
    cli("replay", "--since", "2026-03-02", "--until", "2026-03-01", status=2)
    cli("replay", "--staffing", "x.csv", status=2)
