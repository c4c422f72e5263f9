"""Searching a policy's numbers: which would have broken the least valuable promises, and how sure that is.

The past is cut into segments. Two of three are trained on, by a (1+1) evolution strategy from several seeds
(Rechenberg 1973): numbers are changed by chance, and a change is kept where it costs less. Every third
segment is never seen by the search: there the proposal is compared with the policy as it is.

Promises could always be bought with the patience of those who gave way. So `plan.patience` may become no more
than it is, or than its default.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from routing.plan_rules import DEFAULT_RULES
from routing.policy import Policy
from routing.promise_rules import DEFAULT
from routing.replay.jobs import Jobs, Staffing
from routing.replay.metrics import Interval, confidence
from routing.replay.ours import ours
from routing.replay.promising import NO_TIER
from routing.replay.simulator import simulate

Path = tuple[str, ...]
Values = Mapping[Path, float]
_DAY_SECONDS = 86_400.0
_QUIET_HOUR = 4
_FEWEST_SEGMENTS = 9
_MOST_TRAINED, _MOST_TESTED = 6000, 30_000
# A goal that is missed by a point costs as much as a tenth of all value.
_PENALTY = 10.0
# Numbers stay as they are where a change brings no more than this.
_WORTH_A_CHANGE = 0.0005
_FIRST_STEP, _LAST_STEP = 1.0, 0.15
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Knob:
    """A number of the policy that may be changed, and its bounds."""

    path: Path
    value: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a policy costs: `broken` is the share of value whose promises break, `tiers` each tier's share
    answered in time (None of nobody), `missed` how far goals are missed, summed in shares. `longest_seconds`
    is the longest wait of who was answered."""

    broken: float
    tiers: Mapping[str, float | None]
    missed: float
    longest_seconds: float

    @property
    def total(self) -> float:
        """What the search makes small: goals first, then broken promises by value."""
        return self.broken + _PENALTY * self.missed


@dataclass(frozen=True, slots=True)
class Trial:
    """One seed: the costs of the policy as it is and of what was found, where it trained and where not."""

    seed: int
    values: Values
    trained_before: Cost
    trained_after: Cost
    tested_before: Cost
    tested_after: Cost


@dataclass(frozen=True, slots=True)
class Tuning:
    """A proposal: the median of what the seeds found, compared where none of them looked.

    `gain` is how much less it costs, over the test segments; `sure` where its whole 95 % interval is above 0.
    `values` is empty where no change is worth proposing.
    """

    knobs: Sequence[Knob]
    values: Values
    trials: Sequence[Trial]
    segments: int
    test_segments: int
    before: Cost
    after: Cost
    gain: Interval
    goals: Mapping[str, float]

    @property
    def sure(self) -> bool:
        """Whether the proposal is better beyond what chance would do."""
        return self.gain.mean - self.gain.half_width > 0


def knobs_of(policy: Policy) -> list[Knob]:
    """What may be changed: the tiers' factors beside that of everybody else, how early the plan aims, its
    patience with who gave way, the worth of what may return; and handling times, where none are learnt."""
    tiers = policy.weights.tier
    found = [
        Knob(("weights", "tier", tier), tiers[tier], 0.1, 100.0) for tier in policy.tiers if tier in tiers
    ]
    found.append(Knob(("plan", "early"), policy.plan.early, 0.1, 3.0))
    patience = policy.plan.patience
    found.append(Knob(("plan", "patience"), patience, 0.5, max(patience, DEFAULT_RULES.patience)))
    found.append(Knob(("second_promise", "weight_factor"), policy.second_promise.weight_factor, 0.05, 1.0))
    if not policy.handling.learn:
        found.append(Knob(("handling", "factor"), policy.handling.factor, 0.5, 4.0))
    return found


def with_values(policy: Policy, values: Values) -> Policy:
    """The policy with these numbers."""
    tiers = dict(policy.weights.tier)
    handling, second, plan = policy.handling, policy.second_promise, policy.plan
    for path, value in values.items():
        match path:
            case ("weights", "tier", tier):
                tiers[tier] = value
            case ("handling", name):
                handling = handling.model_copy(update={name: value})
            case ("second_promise", name):
                second = second.model_copy(update={name: value})
            case ("plan", name):
                plan = plan.model_copy(update={name: value})
    weights = policy.weights.model_copy(update={"tier": tiers})
    return policy.model_copy(
        update={"weights": weights, "handling": handling, "second_promise": second, "plan": plan}
    )


def reweighed(jobs: Jobs, policy: Policy, changed: Policy) -> Jobs:
    """`jobs` as promised by `policy`, with the tiers' and handling factors of `changed`."""
    names = [*policy.tiers, DEFAULT]
    ratios = [changed.weights.tier.get(n, 1.0) / policy.weights.tier.get(n, 1.0) for n in names]
    safety = changed.handling.factor / policy.handling.factor
    return replace(
        jobs,
        weight=[weight * ratios[level] for weight, level in zip(jobs.weight, jobs.level, strict=True)],
        work=[max(math.ceil(work * safety), 1) for work in jobs.work],
    )


def segments_of(jobs: Jobs, utc_offset_seconds: float = 0.0) -> list[Jobs]:
    """Days that begin at four in the morning, when least is left over; of a short trace equal pieces."""
    if not len(jobs):
        return []
    last = jobs.at[-1]
    size = _DAY_SECONDS
    midnight = (jobs.start.timestamp() + utc_offset_seconds) % _DAY_SECONDS
    begin = -((midnight - _QUIET_HOUR * 3600) % _DAY_SECONDS)
    if (last - begin) / size < _FEWEST_SEGMENTS:
        # The last arrival belongs to the last piece.
        size, begin = (math.nextafter(last, math.inf) or 1.0) / _FEWEST_SEGMENTS, 0.0
    members: dict[int, list[int]] = {}
    for job, at in enumerate(jobs.at):
        members.setdefault(int((at - begin) // size), []).append(job)
    return [_subset(jobs, job_list) for job_list in members.values()]


def tune(
    jobs: Jobs,
    staffing: Staffing,
    policy: Policy,
    goals: Mapping[str, float],
    seeds: int = 4,
    rounds: int = 30,
    utc_offset_seconds: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tuning:
    """Search for numbers that meet `goals` (by tier, the share to be answered in time) at least cost.

    `jobs` are as `policy` promises them. Raises: ValueError where the past is too short to be cut in three.
    """
    segments = segments_of(jobs, utc_offset_seconds)
    train = [segment for number, segment in enumerate(segments) if number % 3 != 2]
    unseen = [segment for number, segment in enumerate(segments) if number % 3 == 2]
    test = _some(unseen, _MOST_TESTED, random.Random(0))  # noqa: S311 - a choice, no secret
    if not test:
        raise ValueError("the past is too short: there must be conversations at three times at least")
    bench = _Bench(staffing, policy, goals)
    knobs = knobs_of(policy)
    total = seeds * (rounds + 1)
    before = bench.cost(test, {})
    trials = []
    for seed in range(1, seeds + 1):
        dice = random.Random(seed)  # noqa: S311 - a search, no secret
        part = _some(train, _MOST_TRAINED, dice)
        now = bench.cost(part, {})
        found, cost = _search(bench, part, knobs, now, rounds, dice, lambda: progress(1, total))
        trials.append(Trial(seed, found, now, cost, before, bench.cost(test, found)))
        progress(1, total)
    values = _middle(knobs, trials)
    by_segment = [bench.cost([segment], {}).total - bench.cost([segment], values).total for segment in test]
    return Tuning(
        knobs=knobs,
        values=values,
        trials=trials,
        segments=len(segments),
        test_segments=len(test),
        before=before,
        after=bench.cost(test, values),
        gain=confidence(by_segment),
        goals=goals,
    )


class _Tried(NamedTuple):
    segment: Jobs
    in_time: list[bool]
    longest: float


class _Bench:
    """Counts what a set of numbers costs; the same is simulated once."""

    def __init__(self, staffing: Staffing, policy: Policy, goals: Mapping[str, float]) -> None:
        self._staffing, self._policy, self._goals = staffing, policy, goals
        self._names = [*policy.tiers, NO_TIER]
        self._known: dict[tuple[int, frozenset[tuple[Path, float]]], _Tried] = {}

    def cost(self, segments: Sequence[Jobs], values: Values) -> Cost:
        """Over all of them together."""
        worth = broken = longest = 0.0
        counts, kept = [0] * len(self._names), [0] * len(self._names)
        for segment in segments:
            tried = self._try(segment, values)
            longest = max(longest, tried.longest)
            for level, value, each in zip(segment.level, segment.value, tried.in_time, strict=True):
                worth += value
                counts[level] += 1
                if each:
                    kept[level] += 1
                else:
                    broken += value
        tiers = {
            name: k / count if count else None
            for name, count, k in zip(self._names, counts, kept, strict=True)
        }
        missed = 0.0
        for tier, goal in self._goals.items():
            share = tiers[tier]
            missed += max(0.0, goal - share) if share is not None else 0.0
        return Cost(broken / worth if worth else 0.0, tiers, missed, longest)

    def _try(self, segment: Jobs, values: Values) -> _Tried:
        key = id(segment), frozenset(values.items())
        known = self._known.get(key)
        if known is None:
            changed = with_values(self._policy, values)
            jobs = reweighed(segment, self._policy, changed)
            answered = simulate(jobs, self._staffing, ours(changed)).answered
            # The segment is kept too, or another could take its id.
            known = self._known[key] = _Tried(
                segment,
                [a <= due for a, due in zip(answered, segment.due, strict=True)],
                max(
                    (a - at for a, at in zip(answered, segment.at, strict=True) if a < math.inf), default=0.0
                ),
            )
        return known


def _search(
    bench: _Bench,
    segments: Sequence[Jobs],
    knobs: Sequence[Knob],
    now: Cost,
    rounds: int,
    dice: random.Random,
    done: Callable[[], None],
) -> tuple[Values, Cost]:
    best: dict[Path, float] = {}
    cost = now
    for number in range(rounds):
        step = _FIRST_STEP * (_LAST_STEP / _FIRST_STEP) ** (number / max(rounds - 1, 1))
        tried = dict(best)
        for knob in dice.sample(knobs, dice.choice((1, 1, 2))):
            value = tried.get(knob.path, knob.value) * math.exp(dice.gauss(0.0, step))
            tried[knob.path] = _rounded(min(max(value, knob.lowest), knob.highest))
        found = bench.cost(segments, tried)
        if found.total + _WORTH_A_CHANGE * len(tried) < cost.total + _WORTH_A_CHANGE * len(best):
            best, cost = tried, found
        done()
    return best, cost


def _middle(knobs: Sequence[Knob], trials: Sequence[Trial]) -> dict[Path, float]:
    """The median of the seeds, so that what only one of them found changes nothing."""
    values = {}
    for knob in knobs:
        value = _rounded(median(trial.values.get(knob.path, knob.value) for trial in trials))
        if value != knob.value:
            values[knob.path] = value
    return values


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _some(segments: Sequence[Jobs], most: int, dice: random.Random) -> list[Jobs]:
    """By chance, until there are so many conversations; in their order, and at least one segment."""
    chosen: list[int] = []
    count = 0
    for number in dice.sample(range(len(segments)), len(segments)):
        if chosen and count + len(segments[number]) > most:
            continue
        chosen.append(number)
        count += len(segments[number])
    return [segments[number] for number in sorted(chosen)]


def _subset(jobs: Jobs, members: Sequence[int]) -> Jobs:
    first, last = members[0], members[-1] + 1
    part = slice(first, last)
    return Jobs(
        *(jobs.at[part], jobs.handle[part], jobs.due[part], jobs.second_due[part]),
        *(jobs.weight[part], jobs.work[part], jobs.level[part], jobs.value[part]),
        *(jobs.start, jobs.intents[part], jobs.demand[part], jobs.demands),
    )
