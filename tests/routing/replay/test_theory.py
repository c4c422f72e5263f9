"""The simulator against queueing theory: long waits are what the formulas say, within two in a hundred.

Fewer arrivals than `hub bench --only replay` has, at loads where the mean settles sooner; seeds are fixed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean

import pytest

from routing.assignment import Needs
from routing.plan import plan
from routing.replay.disciplines import accumulating, earliest_deadline, first_come, planned, strict_levels
from routing.replay.jobs import Abilities, Demanded, Jobs, Staffing
from routing.replay.simulator import Discipline, simulate
from routing.replay.theory import (
    Poisson,
    accumulating_waits,
    residual_work,
    strict_waits,
    waits_by_level,
)

SHARES = (0.1, 0.3, 0.6)
SLOPES = (8.0, 3.0, 1.0)
MEAN = 300.0
SEEDS = (1, 2, 3)


def poisson(servers: int, use: float) -> Poisson:
    return Poisson([use * servers / MEAN * share for share in SHARES], MEAN, servers)


def simulated(source: Poisson, discipline: Discipline, count: int = 60_000) -> list[float]:
    """The mean waits by level over some seeds."""
    found = []
    for seed in SEEDS:
        jobs = source.jobs(count, seed)
        outcome = simulate(jobs, Staffing.constant(source.servers), discipline)
        found.append(waits_by_level(jobs, outcome, len(SHARES)))
    return [fmean(waits) for waits in zip(*found, strict=True)]


@pytest.mark.parametrize(("servers", "use"), [(1, 0.5), (3, 0.6), (8, 0.7)])
def test_first_come_waits_as_erlang_says(servers: int, use: float) -> None:
    source = poisson(servers, use)
    waits = simulated(source, first_come)
    whole = sum(share * wait for share, wait in zip(SHARES, waits, strict=True))
    assert whole == pytest.approx(source.first_come_wait, rel=0.02)


@pytest.mark.parametrize("discipline", [first_come, strict_levels, earliest_deadline, accumulating(SLOPES)])
def test_two_skills_that_nobody_has_both_of_are_two_queues(discipline: Discipline) -> None:
    """Each half waits to the bit as if it were alone: as Erlang says of its own agents and load."""
    jobs, agents = poisson(4, 0.7).jobs(4000, seed=5), (1, 3)
    demand = [job % 3 % 2 for job in range(len(jobs))]
    halves = (Needs(skills=(("french", 1),)), Needs(skills=(("german", 1),)))
    mixed = replace(jobs, demand=demand, demands=tuple(Demanded("", half) for half in halves))
    staffing = Staffing.of_groups(
        (Abilities(frozenset(), half.skills), Staffing.constant(count))
        for half, count in zip(halves, agents, strict=True)
    )
    started = simulate(mixed, staffing, discipline).started
    for half, count in enumerate(agents):
        members = [job for job in range(len(jobs)) if demand[job] == half]
        alone = replace(
            jobs,
            at=[jobs.at[job] for job in members],
            handle=[jobs.handle[job] for job in members],
            due=[jobs.due[job] for job in members],
            level=[jobs.level[job] for job in members],
        )
        assert simulate(alone, Staffing.constant(count), discipline).started == [
            started[job] for job in members
        ]


@pytest.mark.parametrize(("servers", "use"), [(1, 0.5), (3, 0.6)])
def test_strict_levels_wait_as_cobham_says(servers: int, use: float) -> None:
    source = poisson(servers, use)
    expected = strict_waits(source.rates, source.residual, MEAN, servers)
    assert simulated(source, strict_levels) == pytest.approx(expected, rel=0.02)


def test_accumulating_priorities_wait_as_kleinrock_says() -> None:
    source = poisson(3, 0.6)
    expected = accumulating_waits(source.rates, SLOPES, source.residual, MEAN, source.servers)
    assert simulated(source, accumulating(SLOPES)) == pytest.approx(expected, rel=0.02)


def test_constant_work_waits_as_pollaczek_and_khinchine_say() -> None:
    source = poisson(1, 0.6)
    jobs = source.jobs(150_000, seed=1)
    jobs = replace(jobs, handle=[MEAN] * len(jobs))
    expected = strict_waits(source.rates, residual_work(source.rates, MEAN**2), MEAN)
    outcome = simulate(jobs, Staffing.constant(1), strict_levels)
    assert waits_by_level(jobs, outcome, 3) == pytest.approx(expected, rel=0.02)


def work_of_waiting(jobs: Jobs, discipline: Discipline) -> float:
    """Every wait, weighed by the work that it is for."""
    started = simulate(jobs, Staffing.constant(1), discipline).started
    return math.fsum(
        work * (begins - at) for work, begins, at in zip(jobs.handle, started, jobs.at, strict=True)
    )


@pytest.mark.parametrize(
    "discipline",
    [strict_levels, earliest_deadline, accumulating(SLOPES), planned(plan, share=0.05)],
    ids=["strict", "deadline", "accumulating", "plan"],
)
def test_what_one_gains_another_loses(discipline: Discipline) -> None:
    """Kleinrock's conservation law (1965), which holds for every sample and not only in the mean.

    The unfinished work at any moment is the same in whatever order a single agent who never rests takes it.
    """
    jobs = poisson(1, 0.9).jobs(4000, seed=4)
    assert work_of_waiting(jobs, discipline) == pytest.approx(work_of_waiting(jobs, first_come), rel=1e-9)


def test_accumulating_lies_between_first_come_and_strict() -> None:
    source = poisson(4, 0.8)
    rates, more = source.rates, (source.residual, MEAN, source.servers)
    level = accumulating_waits(rates, (1, 1, 1), *more)
    assert level == pytest.approx([source.first_come_wait] * 3)
    steep = accumulating_waits(rates, (1e12, 1e6, 1), *more)
    assert steep == pytest.approx(strict_waits(rates, *more), rel=1e-3)
    for waits in (level, steep, accumulating_waits(rates, SLOPES, *more)):
        whole = sum(rate * wait for rate, wait in zip(rates, waits, strict=True)) / sum(rates)
        assert whole == pytest.approx(source.first_come_wait)
