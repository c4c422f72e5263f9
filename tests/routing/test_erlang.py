"""Erlang's formulas, beside values that are published or follow by hand."""

from __future__ import annotations

import math

import pytest

from routing.erlang import agents_for, kept, mean_wait, share_within, waiting_probability


@pytest.mark.parametrize(
    ("agents", "load", "probability"),
    [
        # One agent: who comes waits as often as the agent is busy.
        (1, 0.5, 0.5),
        (1, 0.9, 0.9),
        # Two agents: 2 rho^2 / (1 + rho).
        (2, 1.0, 1 / 3),
        (2, 1.6, 2 * 0.64 / 1.8),
        # Any table of Erlang C.
        (10, 8.0, 0.4092),
        (100, 90.0, 0.2169),
        (5, 0.0, 0.0),
        (3, 3.0, 1.0),
        (3, 7.0, 1.0),
    ],
)
def test_who_has_to_wait(agents: int, load: float, probability: float) -> None:
    assert waiting_probability(agents, load) == pytest.approx(probability, abs=5e-5)


def test_how_long() -> None:
    # M/M/1: rho / (1 - rho) times the handling.
    assert mean_wait(1, 0.8, 300) == pytest.approx(0.8 / 0.2 * 300)
    assert mean_wait(2, 2.0, 300) == math.inf
    assert share_within(0, 1, 0.5, 300) == pytest.approx(0.5)
    assert share_within(600, 1, 0.5, 300) == pytest.approx(1 - 0.5 * math.exp(-1))
    assert share_within(-1, 10, 0.5, 300) == 0
    assert share_within(600, 1, 1.5, 300) == 0
    assert waiting_probability(2000, 1900) < 0.05


def test_the_fewest_agents() -> None:
    targets = [(0.5, 600.0), (0.5, 7200.0)]
    agents = agents_for(8, 300, targets, 0.95)
    assert kept(agents, 8, 300, targets) >= 0.95 > kept(agents - 1, 8, 300, targets)
    assert agents_for(0, 300, targets, 0.95) == 0
    # Half cannot be answered in time by anybody: the share is of the other half.
    hopeless = [(0.5, 100.0), (0.5, 7200.0)]
    assert agents_for(8, 300, hopeless, 0.95) == agents_for(8, 300, [(1.0, 7200.0)], 0.95)
    assert agents_for(8, 300, [(1.0, 100.0)], 0.95) == 9
