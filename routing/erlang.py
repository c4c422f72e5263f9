"""Erlang's formulas: how long customers wait for the first free of several agents.

A. K. Erlang (1917), "Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges": Poisson arrivals, exponential handling times, first come first served.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def waiting_probability(agents: int, load: float) -> float:
    """Erlang C: the probability that nobody is free, at a load in erlangs (arrivals a second × seconds each).

    1 where the load is not below the number of agents.
    """
    if load <= 0:
        return 0.0
    if load >= agents:
        return 1.0
    # Erlang B by its recursion, which neither overflows nor loses digits.
    blocked = 1.0
    for number in range(1, agents + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / agents * (1 - blocked))


def mean_wait(agents: int, load: float, handle_seconds: float) -> float:
    """The mean wait for an agent, in seconds; infinite where the load is not below the number of agents."""
    if load >= agents:
        return math.inf
    return waiting_probability(agents, load) * handle_seconds / (agents - load)


def share_within(seconds: float, agents: int, load: float, handle_seconds: float) -> float:
    """The share of customers whose wait for an agent is not longer than that."""
    if load >= agents or seconds < 0:
        return 0.0
    return 1 - waiting_probability(agents, load) * math.exp(-(agents - load) * seconds / handle_seconds)


def agents_for(
    load: float, handle_seconds: float, targets: Sequence[tuple[float, float]], attainment: float
) -> int:
    """The fewest agents who answer this share in time; `targets` are (share of customers, seconds to answer).

    An answer comes at the end of the work. Those whose target is shorter than the work cannot be answered in
    time by anybody: the share is of the others.
    """
    if load <= 0:
        return 0
    agents = math.floor(load) + 1
    goal = attainment * sum(share for share, target in targets if target > handle_seconds)
    while kept(agents, load, handle_seconds, targets) < goal:
        agents += 1
    return agents


def kept(agents: int, load: float, handle_seconds: float, targets: Sequence[tuple[float, float]]) -> float:
    """The share answered in time, first come first served."""
    return sum(
        share * share_within(target - handle_seconds, agents, load, handle_seconds)
        for share, target in targets
    )
