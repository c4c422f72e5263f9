"""What is foreseen and what is learnt, on the command line."""

from __future__ import annotations

from hub.clock import utcnow
from hub.policies.service import activate
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.hub.cli.conftest import Cli


def test_without_a_week_of_history_nothing_is_foreseen(cli: Cli) -> None:
    assert "it takes a week" in cli("forecast").stderr
    assert cli.json("forecast")["hours"] == []


def test_handling_times_are_shown_with_their_cases(cli: Cli, hub: Hub) -> None:
    told = cli("handling")
    assert "refund_return" in told.stdout
    assert "480 s" in told.stdout
    assert told.stderr == ""
    found = cli.json("handling")
    assert found["learn"] is True
    assert found["intents"][-1] == {
        "intent": None,
        "policy_seconds": 300,
        "expected_seconds": 300,
        "cases": 0,
    }
    with hub.database.session() as session:
        activate(session, DEFAULT_POLICY.replace("learn: true", "learn: false"), utcnow())
    assert "handling.learn: false" in cli("handling").stderr
