"""`hub replay` as a person or a program uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from routing.policy import DEFAULT_POLICY
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


def test_words_for_people(alone: Cli, trace: Path) -> None:
    told = alone("replay", "--trace", trace, "--agents", 2, "--rival", "first-come", "--exact")
    assert "policy" in told.stdout
    assert "From policy to first-come:" in told.stdout
    assert "20 conversations replayed, 1 line skipped." in told.stderr
    assert "trace, line 21: this is no JSON" in told.stderr


def test_what_is_not_understood(alone: Cli, trace: Path, staffing: Path, tmp_path: Path) -> None:
    assert "--trace" in alone("replay", status=2).stderr
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
