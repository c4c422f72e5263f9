"""The plan where not everybody can answer everything: a language that some agents speak."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from hub.bench.figures import Figure, at_least, at_most
from routing.assignment import Needs
from routing.handling import Handling
from routing.plan import plan
from routing.replay.disciplines import planned, strict_levels
from routing.replay.generate import generate
from routing.replay.jobs import Abilities, Demanded, Jobs, Staffing
from routing.replay.metrics import Interval, confidence, replies
from routing.replay.ours import REPLAN_SHARE
from routing.replay.simulator import Discipline, Queue, simulate

AREA = "plan"
LOADS = (0.7, 0.85, 1.0, 1.1)
AGENTS = 10
SHARE = 0.3
"""So many conversations need the language."""
_LONGEST_RATIO = 1.4
_TOP_TIER_MINUTES = 15.0
_LEVEL = 3
_OWN_FIRST = "plan, their own first"
_NEEDED = Needs(skills=(("german", _LEVEL),))
_DEMANDS = (Demanded("", Needs()), Demanded("German", _NEEDED))
_GERMAN_LANE = 1
_PLAN = planned(plan, share=REPLAN_SHARE, handling=Handling(default=timedelta(minutes=5)))
ORDERS: dict[str, Discipline] = {"strict levels": strict_levels, "plan": _PLAN}


class _OwnFirst:
    """What the plan could do better or worse: who speaks it takes first what only they can answer."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.add, self.move, self.waits = queue.add, queue.move, queue.waits

    def take(self, now: float, agents: int, lanes: Sequence[int] | None = None) -> int:
        if lanes is not None and _GERMAN_LANE in lanes and self._queue.waits([_GERMAN_LANE]):
            lanes = [_GERMAN_LANE]
        return self._queue.take(now, agents, lanes)

    def __len__(self) -> int:
        return len(self._queue)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one order made of one trace: shares in percent, of all and by what is needed; waits in minutes."""

    kept: float
    kept_by_value: float
    kept_of_others: float
    kept_of_german: float
    top_tier_p90: float
    longest: float


def bench_skills(seeds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Beside strict levels with the same agents: four of ten speak it, then as few as its share."""
    few = max(2, seeds // 4)
    for speakers, some in ((4, seeds), (3, few)):
        for load in LOADS:
            found = compare(load, speakers, range(1, some + 1))
            strict = found["strict levels"]
            own = compare(
                load, speakers, range(1, few + 1), {_OWN_FIRST: lambda jobs: _OwnFirst(_PLAN(jobs))}
            )
            for name, trials in [*found.items(), *own.items()]:
                label = f"{load:.2f} {name}, {speakers} of {AGENTS}"
                say(row(label, trials, strict[: len(trials)]))
            enough = SHARE * load * AGENTS < speakers
            yield from _figures(f"load {load}, {speakers} of {AGENTS} speak German", enough, found)


def compare(
    load: float, speakers: int, seeds: Sequence[int], orders: Mapping[str, Discipline] = ORDERS
) -> dict[str, list[Trial]]:
    """These orders on the same traces, with so many who speak it."""
    staffing = Staffing.of_groups(
        [
            (Abilities(frozenset(), _NEEDED.skills), Staffing.constant(speakers)),
            (Abilities(frozenset(), ()), Staffing.constant(AGENTS - speakers)),
        ]
    )
    found: dict[str, list[Trial]] = {name: [] for name in orders}
    for seed in seeds:
        jobs = _jobs(load, seed)
        for name, discipline in orders.items():
            found[name].append(_trial(jobs, discipline, staffing))
    return found


def row(name: str, trials: Sequence[Trial], strict: Sequence[Trial]) -> str:
    """One line of the table in docs/plan.md."""
    columns = [
        [trial.kept for trial in trials],
        [trial.kept_by_value for trial in trials],
        [trial.kept_of_german for trial in trials],
        [trial.kept_of_others for trial in trials],
        [trial.top_tier_p90 for trial in trials],
    ]
    cells = [_sure(confidence(column), 1) for column in columns]
    cells.append(_sure(confidence([trial.longest for trial in trials]), 0))
    cells.append(_sure(_ratio(trials, strict), 2))
    return f"| {name} | {' | '.join(cells)} |"


def _jobs(load: float, seed: int) -> Jobs:
    jobs = generate(load, seed, AGENTS).jobs(1.0, by_intent=True)
    dice = random.Random(seed)  # noqa: S311 - a simulation, no secret
    return replace(jobs, demand=[int(dice.random() < SHARE) for _ in jobs.at], demands=_DEMANDS)


def _trial(jobs: Jobs, discipline: Discipline, staffing: Staffing) -> Trial:
    outcome = simulate(jobs, staffing, discipline)
    everybody = replies(jobs, outcome)
    others, german = (
        replies(jobs, outcome, [job for job, asked in enumerate(jobs.demand) if asked == demand])
        for demand in range(len(_DEMANDS))
    )
    top = replies(jobs, outcome, [job for job, level in enumerate(jobs.level) if level == 0])
    return Trial(
        100 * (everybody.attainment or 0.0),
        100 * (everybody.attainment_by_value or 0.0),
        100 * (others.attainment or 0.0),
        100 * (german.attainment or 0.0),
        (top.p90 or 0.0) / 60,
        (everybody.longest or 0.0) / 60,
    )


def _figures(name: str, enough: bool, found: Mapping[str, Sequence[Trial]]) -> Iterator[Figure]:
    """That it loses nowhere, keeps what the best tier is promised, and lets nobody wait much longer."""
    mine, strict = found["plan"], found["strict levels"]
    pairs = list(zip(mine, strict, strict=True))
    gains = {
        "": confidence([a.kept - b.kept for a, b in pairs]),
        ", by value": confidence([a.kept_by_value - b.kept_by_value for a, b in pairs]),
    }
    for what, gain in gains.items():
        label = f"{name}: more kept than strict levels{what} (± {gain.half_width:.1f})"
        yield at_least(AREA, label, gain.mean, "points", 0.0)
    german = confidence([a.kept_of_german - b.kept_of_german for a, b in pairs])
    label = f"{name}: more kept than strict levels, of what needs German (± {german.half_width:.1f})"
    p90 = confidence([trial.top_tier_p90 for trial in mine])
    top = f"{name}: top tier's p90 (± {p90.half_width:.1f})"
    if enough:
        yield at_least(AREA, label, german.mean, "points", 0.0)
        yield at_most(AREA, top, p90.mean, "min", _TOP_TIER_MINUTES)
    else:
        # As much work as those who can have time for, or more: told, with no bound.
        yield Figure(AREA, label, german.mean, "points")
        yield Figure(AREA, top, p90.mean, "min")
    ratio = _ratio(mine, strict)
    label = f"{name}: longest wait beside strict levels (± {ratio.half_width:.2f})"
    yield at_most(AREA, label, ratio.mean, "times", _LONGEST_RATIO)


def _ratio(mine: Sequence[Trial], strict: Sequence[Trial]) -> Interval:
    return confidence([a.longest / b.longest for a, b in zip(mine, strict, strict=True)])


def _sure(sure: Interval, digits: int) -> str:
    return f"{sure.mean:.{digits}f} ± {sure.half_width:.{digits}f}"
