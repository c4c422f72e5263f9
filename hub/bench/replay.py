"""Replay: how near the simulator is to queueing theory, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from hub.bench.figures import Figure, at_most
from routing.assignment import Needs
from routing.erlang import mean_wait
from routing.plan import plan
from routing.replay.disciplines import accumulating, first_come, planned, strict_levels
from routing.replay.generate import MEAN_SECONDS, generate
from routing.replay.jobs import Abilities, Demanded, Staffing
from routing.replay.metrics import confidence, replies
from routing.replay.ours import REPLAN_SHARE
from routing.replay.report import RIVALS
from routing.replay.simulator import Discipline, simulate
from routing.replay.theory import Poisson, accumulating_waits, strict_waits, waits_by_level

AREA = "replay"
_SHARES = (0.05, 0.15, 0.3, 0.5)
_SLOPES = (8.0, 4.0, 2.0, 1.0)
_SETTINGS = ((1, 0.7), (4, 0.8), (10, 0.85))
_HALVES = ((2, 0.6), (4, 0.75))
_PER_SEED = 200_000
_AGENTS = 10
_LOAD = 0.85
_DAY_SECONDS = 86_400
_MINUTE, _FIVE_MINUTES = 60, 300


def bench_replay(seeds: int, arrivals: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Waits beside theory over so many seeds of 200,000 arrivals each, and `arrivals` of a busy trace."""
    for agents, use in _SETTINGS:
        total = use * agents / MEAN_SECONDS
        source = Poisson([total * share for share in _SHARES], MEAN_SECONDS, agents)
        more = (source.residual, source.mean, agents)
        say(f"{agents} agents at {use:.0%}")
        yield from _beside(source, f"Erlang C, M/M/{agents}, load {use}", first_come, None, seeds)
        expected = strict_waits(source.rates, *more)
        yield from _beside(source, f"strict levels, M/M/{agents}, load {use}", strict_levels, expected, seeds)
        expected = accumulating_waits(source.rates, _SLOPES, *more)
        name = f"accumulating priority, M/M/{agents}, load {use}"
        yield from _beside(source, name, accumulating(_SLOPES), expected, seeds)
    yield from _apart(seeds, say)
    yield from _speed(arrivals, say)


def _beside(
    source: Poisson, name: str, discipline: Discipline, expected: Sequence[float] | None, seeds: int
) -> Iterator[Figure]:
    """How far the mean waits are from theory, at the level that is furthest."""
    found: list[list[float]] = []
    for seed in range(1, seeds + 1):
        jobs = source.jobs(_PER_SEED, seed)
        waits = waits_by_level(
            jobs, simulate(jobs, Staffing.constant(source.servers), discipline), len(_SHARES)
        )
        if expected is None:
            waits = [sum(share * wait for share, wait in zip(_SHARES, waits, strict=True))]
        found.append(waits)
    errors = []
    for level, theory in enumerate(expected or [source.first_come_wait]):
        sure = confidence([100 * (waits[level] / theory - 1) for waits in found])
        errors.append((abs(sure.mean), sure.half_width))
    worst, half_width = max(errors)
    yield at_most(AREA, f"{name}, mean wait from theory (± {half_width:.1f})", worst, "%", 2)


def _apart(seeds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Two skills that nobody has both of: each half is a queue of its own, with its own agents and load."""
    halves = Needs(skills=(("french", 1),)), Needs(skills=(("german", 1),))
    rates = [use * agents / MEAN_SECONDS for agents, use in _HALVES]
    staffing = Staffing.of_groups(
        (Abilities(frozenset(), half.skills), Staffing.constant(agents))
        for half, (agents, _) in zip(halves, _HALVES, strict=True)
    )
    say("two skills that nobody has both of")
    source = Poisson(rates, MEAN_SECONDS, sum(agents for agents, _ in _HALVES))
    found = []
    for seed in range(1, seeds + 1):
        jobs = source.jobs(_PER_SEED, seed)
        jobs = replace(jobs, demand=jobs.level, demands=tuple(Demanded("", half) for half in halves))
        found.append(waits_by_level(jobs, simulate(jobs, staffing, first_come), len(halves)))
    for half, (agents, use) in enumerate(_HALVES):
        theory = mean_wait(agents, rates[half] * MEAN_SECONDS, MEAN_SECONDS)
        sure = confidence([100 * (waits[half] / theory - 1) for waits in found])
        name = f"Erlang C, one of two skills, M/M/{agents}, load {use}"
        label = f"{name}, mean wait from theory (± {sure.half_width:.1f})"
        yield at_most(AREA, label, abs(sure.mean), "%", 2)


def _speed(arrivals: int, say: Callable[[str], None]) -> Iterator[Figure]:
    say(f"{arrivals:,} arrivals")
    days = arrivals * MEAN_SECONDS / (_LOAD * _AGENTS * _DAY_SECONDS)
    jobs = generate(_LOAD, seed=1, agents=_AGENTS, days=days).jobs()
    scale = arrivals / 1_000_000
    ours = planned(plan, share=REPLAN_SHARE)
    for name, discipline, bound in [
        *((name, rival, _MINUTE) for name, rival in RIVALS.items()),
        ("plan", ours, _FIVE_MINUTES),
    ]:
        began = time.process_time()
        outcome = simulate(jobs, Staffing.constant(_AGENTS), discipline)
        replies(jobs, outcome)
        took = time.process_time() - began
        yield at_most(AREA, f"{len(jobs):,} arrivals, {name}", took, "s of one core", bound * scale)
