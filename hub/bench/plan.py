"""The plan beside its rivals: promises kept, the longest wait, and what is left where estimates are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from hub.bench.figures import Figure, at_least, at_most
from hub.bench.skills import bench_skills
from routing.handling import Handling, HandlingTimes
from routing.plan import plan
from routing.replay.disciplines import (
    PlannedQueue,
    earliest_deadline,
    first_come,
    planned,
    strict_levels,
)
from routing.replay.generate import generate, handling
from routing.replay.jobs import Jobs, Staffing
from routing.replay.metrics import Interval, confidence, percentile, replies
from routing.replay.ours import REPLAN_SHARE
from routing.replay.simulator import Discipline, simulate
from routing.replay.steadiness import Watched

AREA = "plan"
LOADS = (0.7, 0.85, 1.0, 1.1)
AGENTS = 10
_GOALS = {0.85: (15.0, 7.0), 1.0: (15.0, 7.0)}
_TOP_TIER_MINUTES = 15.0
_LONGEST_RATIO = 1.4
_HOUR = 3600.0
_MOST_SWAPPED = 0.1
# What the plan is told of handling times, as multiples of the true ones.
_WRONG = (0.5, 1.5, 2.0)
# A policy that expects the same of every intent, and learns.
_UNTAUGHT = Handling(default=timedelta(minutes=5))


def _planned(told: Handling) -> Discipline:
    """As `hub replay` plans."""
    return planned(plan, share=REPLAN_SHARE, handling=told)


ORDERS: Mapping[str, Discipline] = {
    "first come": first_come,
    "strict levels": strict_levels,
    "earliest deadline": earliest_deadline,
    "plan": _planned(_UNTAUGHT),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What one order of serving made of one trace: shares in percent, waits in minutes.

    `valued_p99` is of the two best tiers. `changes` is how often a promise gave way or returned, for each
    conversation; 0 where nothing is planned.
    """

    kept: float
    kept_by_value: float
    top_tier_p90: float
    valued_p99: float
    longest: float
    changes: float


def trial(jobs: Jobs, discipline: Discipline, staffing: Staffing | None = None) -> Trial:
    """Simulate one trace."""
    outcome = simulate(jobs, staffing or Staffing.constant(AGENTS), discipline)
    everybody = replies(jobs, outcome)
    top = replies(jobs, outcome, [job for job, level in enumerate(jobs.level) if level == 0])
    valued = sorted(
        outcome.answered[job] - jobs.at[job] for job, level in enumerate(jobs.level) if level <= 1
    )
    queue = outcome.queue
    return Trial(
        100 * (everybody.attainment or 0.0),
        100 * (everybody.attainment_by_value or 0.0),
        (top.p90 or 0.0) / 60,
        (percentile(valued, 99) or 0.0) / 60,
        (everybody.longest or 0.0) / 60,
        queue.changes / len(jobs) if isinstance(queue, PlannedQueue) else 0.0,
    )


def bench_plan(seeds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Beside the rivals at each load, with wrong estimates, and where not everybody can answer everything."""
    for load in LOADS:
        found = compare(load, range(1, seeds + 1))
        for name, trials in found.items():
            say(row(f"{load:.2f} {name}", trials, found["strict levels"]))
        yield from _figures(load, found)
        yield _steadiness(load)
    for load in (0.85, 1.0):
        yield from _wrong(load, max(2, seeds // 4), say)
    yield from bench_skills(seeds, say)


def compare(load: float, seeds: Sequence[int]) -> dict[str, list[Trial]]:
    """Every order on the same traces, by name; the plan learns the handling times."""
    found: dict[str, list[Trial]] = {name: [] for name in ORDERS}
    for seed in seeds:
        jobs = generate(load, seed, AGENTS).jobs(1.0, by_intent=True)
        for name, discipline in ORDERS.items():
            found[name].append(trial(jobs, discipline))
    return found


def row(name: str, trials: Sequence[Trial], strict: Sequence[Trial]) -> str:
    """One line of the tables in docs/plan.md."""
    ratio = confidence([mine.longest / theirs.longest for mine, theirs in zip(trials, strict, strict=True)])
    kept, by_value = _sure([each.kept for each in trials]), _sure([each.kept_by_value for each in trials])
    p90, longest = _sure([each.top_tier_p90 for each in trials]), _sure([each.longest for each in trials], 0)
    p99 = _sure([each.valued_p99 for each in trials], 0)
    return (
        f"| {name} | {kept} | {by_value} | {p90} | {p99} | {longest}"
        f" | {ratio.mean:.2f} ± {ratio.half_width:.2f} | {confidence([t.changes for t in trials]).mean:.2f} |"
    )


def gains(mine: Sequence[Trial], theirs: Sequence[Trial]) -> tuple[Interval, Interval]:
    """Points of attainment more, of all and by value, paired by seed."""
    pairs = list(zip(mine, theirs, strict=True))
    return (
        confidence([a.kept - b.kept for a, b in pairs]),
        confidence([a.kept_by_value - b.kept_by_value for a, b in pairs]),
    )


def _sure(values: Sequence[float], digits: int = 1) -> str:
    sure = confidence(values)
    return f"{sure.mean:.{digits}f} ± {sure.half_width:.{digits}f}"


def _figures(load: float, found: Mapping[str, Sequence[Trial]]) -> Iterator[Figure]:
    mine = found["plan"]
    for rival in list(ORDERS)[:-1]:
        goals = _GOALS.get(load, (0.0, 0.0)) if rival == "strict levels" else (0.0, 0.0)
        for what, gain, goal in zip(("", ", by value"), gains(mine, found[rival]), goals, strict=True):
            name = f"load {load}: more kept than {rival}{what} (± {gain.half_width:.1f})"
            yield at_least(AREA, name, gain.mean, "points", goal)
    p90 = confidence([each.top_tier_p90 for each in mine])
    name = f"load {load}: top tier's p90 (± {p90.half_width:.1f})"
    yield at_most(AREA, name, p90.mean, "min", _TOP_TIER_MINUTES)
    ratio = confidence([a.longest / b.longest for a, b in zip(mine, found["strict levels"], strict=True)])
    name = f"load {load}: longest wait beside strict levels (± {ratio.half_width:.2f})"
    yield at_most(AREA, name, ratio.mean, "times", _LONGEST_RATIO)


def _steadiness(load: float) -> Figure:
    """Of the first fifty of a plan, the pairs that swap within a second in which nothing happens."""
    watched = Watched(plan)
    jobs = generate(load, 1, AGENTS).jobs(1.0)
    simulate(jobs, Staffing.constant(AGENTS), planned(watched, share=REPLAN_SHARE, handling=_UNTAUGHT))
    share = 100 * watched.swapped / watched.pairs
    name = f"load {load}: of {watched.pairs:,} pairs near the head, swapped in a second without an event"
    return at_most(AREA, name, share, "%", _MOST_SWAPPED)


def _wrong(load: float, seeds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """What is left when the plan is told something else than what happens, learning from it or not."""
    shifts = Staffing.of_shifts(
        [(0, 34 * _HOUR, AGENTS), (34 * _HOUR, 40 * _HOUR, 7), (40 * _HOUR, 1e9, AGENTS)]
    )
    strict: dict[Staffing | None, list[Trial]] = {}
    for name, told, staffing in [
        ("told the true means", handling(1.0, learn=False), None),
        *(
            (f"told {factor:g} times the true means", handling(factor, learn=False), None)
            for factor in _WRONG
        ),
        *((f"told {factor:g} times, learning", handling(factor), None) for factor in _WRONG),
        ("learning, three of ten leave for six hours at noon", _UNTAUGHT, shifts),
    ]:
        mine = []
        for seed in range(1, seeds + 1):
            jobs = generate(load, seed, AGENTS).jobs(1.0)
            times = HandlingTimes(told)
            work = [math.ceil(times.of(intents).seconds) for intents in jobs.intents]
            mine.append(trial(replace(jobs, work=work), _planned(told), staffing))
        if staffing not in strict:
            strict[staffing] = [
                trial(generate(load, seed, AGENTS).jobs(1.0), strict_levels, staffing)
                for seed in range(1, seeds + 1)
            ]
            when = "" if staffing is None else ", three of ten leave for six hours at noon"
            say(row(f"{load:.2f} strict levels{when}", strict[staffing], strict[staffing]))
        say(row(f"{load:.2f} plan, {name}", mine, strict[staffing]))
        if told.learn:
            yield from _holds(f"load {load}, {name}", mine, strict[staffing])


def _holds(name: str, mine: Sequence[Trial], strict: Sequence[Trial]) -> Iterator[Figure]:
    """That it loses nowhere against strict levels, and that nobody waits much longer."""
    for what, gain in zip(("", ", by value"), gains(mine, strict), strict=True):
        label = f"{name}: more kept than strict levels{what} (± {gain.half_width:.1f})"
        yield at_least(AREA, label, gain.mean, "points", 0.0)
    ratio = confidence([a.longest / b.longest for a, b in zip(mine, strict, strict=True)])
    label = f"{name}: longest wait beside strict levels (± {ratio.half_width:.2f})"
    yield at_most(AREA, label, ratio.mean, "times", _LONGEST_RATIO)
