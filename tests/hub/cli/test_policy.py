from __future__ import annotations

import pytest

from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.hub.cli.conftest import Cli

BROKEN = DEFAULT_POLICY.replace("time_zone:", "time_zoen:", 1)
OTHER = f"{DEFAULT_POLICY}\n# ours\n"


def test_the_built_in_policy_is_fine(alone: Cli) -> None:
    told = alone("policy", "check")
    assert "The built-in policy is fine." in told.stderr
    checked = alone.json("policy", "check")
    assert checked["valid"]
    assert checked["policies"][0]["targets_seconds"]["first_reply_time"]["default"] > 0


def test_problems_name_line_column_and_field(alone: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("policies") / "policy.yaml"
    file.write_text(BROKEN)
    line = 1 + BROKEN.splitlines().index(next(each for each in BROKEN.splitlines() if "time_zoen" in each))
    assert f"{file}:{line}:1: time_zoen: " in alone("policy", "check", file, status=1).stderr
    checked = alone.json("policy", "check", file, status=1)
    assert not checked["valid"]
    assert (line, 1, "time_zoen") in [(p["line"], p["column"], p["field"]) for p in checked["problems"]]


def test_a_policy_put_into_force_rules_at_once_and_after_a_restart(cli: Cli, hub: Hub) -> None:
    file = hub.settings.home / "new.yaml"
    file.write_text(OTHER)
    before = cli.json("policy", "show")["version"]
    used = cli.json("policy", "use", file)
    assert used["version"] != before
    assert cli("policy", "show").stdout == OTHER.rstrip("\n") + "\n"
    assert cli.json("policy", "show")["version"] == used["version"]


def test_a_broken_policy_changes_nothing(cli: Cli, hub: Hub) -> None:
    file = hub.settings.home / "new.yaml"
    file.write_text(BROKEN)
    before = cli.json("policy", "show")
    assert "time_zoen" in cli("policy", "use", file, status=1).stderr
    assert cli.json("policy", "show") == before


def test_a_file_named_by_a_setting_is_not_written(
    cli: Cli, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured, other = hub.settings.home / "ours.yaml", hub.settings.home / "other.yaml"
    configured.write_text(DEFAULT_POLICY)
    other.write_text(OTHER)
    monkeypatch.setenv("HUB_POLICY_FILE", str(configured))
    assert "HUB_POLICY_FILE" in cli.problem("policy", "use", other)
    assert configured.read_text() == DEFAULT_POLICY
    configured.write_text(OTHER)
    cli("policy", "use")
    assert cli("policy", "show").stdout.rstrip() == OTHER.rstrip()


def test_a_configured_policy_that_is_broken_stops_every_command_in_one_line(
    cli: Cli, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = hub.settings.home / "ours.yaml"
    file.write_text(BROKEN)
    monkeypatch.setenv("HUB_POLICY_FILE", str(file))
    assert "the policy cannot be used: line" in cli.problem("queue")


def test_versions_are_listed_compared_and_taken_back(cli: Cli, hub: Hub) -> None:
    file = hub.settings.home / "new.yaml"
    file.write_text(OTHER)
    assert "no other version" in cli.problem("policy", "back")
    cli("policy", "use", file)
    assert [(each["version"], each["active"]) for each in cli.json("policy", "versions")] == [
        (2, True),
        (1, False),
    ]
    assert "+ # ours" in cli("policy", "diff").stdout
    changed = cli.json("policy", "diff", "1", "2")
    assert [(line["kind"], line["text"]) for line in changed["lines"]][-1] == ("added", "# ours")
    assert cli.json("policy", "back") == {"version": 1}
    assert cli("policy", "show").stdout.rstrip() == DEFAULT_POLICY.rstrip()
    assert cli.json("policy", "activate", "2") == {"version": 2}
    assert len(cli.json("policy", "versions")) == 4
    listed = cli("policy", "versions").stdout
    assert [listed.count(by) for by in ("command line", "from a file", "built in")] == [2, 1, 1]
    assert "no version 9" in cli.problem("policy", "activate", "9")
    assert "no version" in cli.problem("policy", "diff", "first")
    assert "None is open" in cli("policy", "status").stderr
    assert cli.json("policy", "status")["left"] == 0
