from __future__ import annotations

from pathlib import Path

import pytest

from hub.accounts.service import sign_in, user_of_token
from hub.errors import Unauthorized
from hub.runtime import Hub
from tests.hub.assignment.world import policy_text
from tests.hub.cli.conftest import Cli

EMAIL = "anna@brand.example"


@pytest.fixture
def anna(cli: Cli) -> None:
    cli("users", "add", EMAIL, "--name", "Anna", "--password-stdin", given="a long password\n")


@pytest.mark.usefixtures("anna")
def test_somebody_may_sign_in_with_another_password_later(cli: Cli, hub: Hub) -> None:
    with hub.database.reading() as session:
        assert sign_in(session, EMAIL, "a long password").role == "agent"
    made = cli.json("users", "password", EMAIL, "--generate")["password"]
    with hub.database.reading() as session:
        assert sign_in(session, EMAIL, made).name == "Anna"
        with pytest.raises(Unauthorized):
            sign_in(session, EMAIL, "a long password")


@pytest.mark.usefixtures("anna")
def test_a_token_serves_until_it_is_revoked(cli: Cli, hub: Hub) -> None:
    token = cli("users", "token", EMAIL, "--name", "crm").stdout.strip()
    with hub.database.reading() as session:
        assert user_of_token(session, token).email == EMAIL
    assert [each["name"] for each in cli.json("users", "list")[0]["tokens"]] == ["crm"]
    assert token not in cli("users", "list", "--json").output
    assert cli.json("users", "revoke", EMAIL, "--name", "crm")["revoked"] == 1
    with hub.database.reading() as session, pytest.raises(Unauthorized):
        user_of_token(session, token)
    assert cli.problem("users", "revoke", EMAIL, "--name", "crm") == f"{EMAIL} has no token named 'crm'"


@pytest.mark.usefixtures("anna")
def test_who_is_disabled_is_locked_out_until_enabled(cli: Cli, hub: Hub) -> None:
    token = cli.json("users", "token", EMAIL)["token"]
    cli("users", "disable", EMAIL)
    assert "disabled" in cli("users", "list").stdout
    with hub.database.reading() as session, pytest.raises(Unauthorized):
        user_of_token(session, token)
    assert cli.json("users", "enable", EMAIL)["disabled_at"] is None
    with hub.database.reading() as session:
        assert user_of_token(session, token).email == EMAIL


@pytest.mark.usefixtures("anna")
def test_what_cannot_be_done_is_one_line(cli: Cli) -> None:
    generated = ("--name", "X", "--generate")
    assert cli.problem("users", "add", EMAIL, *generated) == f"there is a user {EMAIL} already"
    assert cli.problem("users", "add", "nonsense", *generated) == "'nonsense' is not a mail address"
    assert cli.problem("users", "disable", "ben@brand.example") == "no user ben@brand.example"


def test_a_short_password_is_refused(cli: Cli) -> None:
    told = cli("users", "add", EMAIL, "--name", "Anna", "--password-stdin", given="short\n", status=1)
    assert "at least 8 characters" in told.stderr


def test_without_a_terminal_nobody_is_asked(cli: Cli) -> None:
    told = cli("users", "add", EMAIL, "--name", "Anna", status=2)
    assert "--password-stdin" in told.stderr


def test_nobody_yet_is_said_so(cli: Cli) -> None:
    assert "Nobody may sign in yet" in cli("users", "list").stderr
    assert cli.json("users", "list") == []


@pytest.mark.usefixtures("anna")
def test_teams_and_skills_are_those_of_the_policy(cli: Cli, tmp_path: Path) -> None:
    told = cli.problem("users", "abilities", EMAIL, "--team", "service")
    assert told == "no team 'service'; known are none: name them in the policy, under teams"
    (tmp_path / "var" / "policy.yaml").write_text(policy_text())
    can = ("--team", "service", "--skill", "returns=3", "--skill", "french=1", "--capacity", "5")
    made = cli.json("users", "abilities", EMAIL, *can)
    assert (made["teams"], made["skills"], made["capacity"]) == (["service"], {"french": 1, "returns": 3}, 5)
    assert cli.json("users", "abilities", EMAIL, "--skill", "none", "--capacity", "policy")["skills"] == {}
    (listed,) = cli.json("users", "list")
    assert (listed["teams"], listed["capacity"]) == (["service"], None)
    for wrong in ("returns", "=3", "returns=lots"):
        assert f"--skill {wrong}" in cli("users", "abilities", EMAIL, "--skill", wrong, status=2).output
