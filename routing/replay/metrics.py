"""What became of the promises: attainment, waits, and how sure a mean over several seeds is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from routing.replay.jobs import Jobs
from routing.replay.simulator import Outcome

# Two-sided 95 % points of Student's t by degrees of freedom; beyond these the normal's.
_T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Replies:
    """The first replies of a group of conversations; seconds from arrival to answer.

    `undue` are those promised for after the last agent has left for good: nobody knows whether their promises
    are kept, and an order that leaves them for later is none the worse. Of the others `attainment` is the
    share answered by their promise, `attainment_by_value` that share with each counting its value; both None
    where there are none. The waits are of all that are answered, None where none is.
    """

    count: int
    undue: int
    kept: int
    unanswered: int
    attainment: float | None
    attainment_by_value: float | None
    p50: float | None
    p90: float | None
    longest: float | None

    @property
    def broken(self) -> int:
        """How many promises are known to be broken."""
        return self.count - self.undue - self.kept


def replies(jobs: Jobs, outcome: Outcome, group: Sequence[int] | None = None) -> Replies:
    """Measure all, or those of `group`."""
    members = range(len(jobs)) if group is None else group
    at, due, value, answered = jobs.at, jobs.due, jobs.value, outcome.answered
    judged = [job for job in members if due[job] <= outcome.ends]
    kept = [job for job in judged if answered[job] <= due[job]]
    waits = sorted(answered[job] - at[job] for job in members if answered[job] < math.inf)
    worth = math.fsum(value[job] for job in judged)
    return Replies(
        count=len(members),
        undue=len(members) - len(judged),
        kept=len(kept),
        unanswered=len(members) - len(waits),
        attainment=len(kept) / len(judged) if judged else None,
        attainment_by_value=math.fsum(value[job] for job in kept) / worth if worth else None,
        p50=percentile(waits, 50),
        p90=percentile(waits, 90),
        longest=waits[-1] if waits else None,
    )


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile: the least value that so many percent do not exceed. None of nothing."""
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else None


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and the half width of its 95 % confidence interval by Student's t; infinite for one value."""

    mean: float
    half_width: float


def confidence(values: Sequence[float]) -> Interval:
    """How sure the mean of independent runs is."""
    if len(values) < 2:
        return Interval(values[0], math.inf)
    t = _T_95[len(values) - 2] if len(values) - 2 < len(_T_95) else _NORMAL_95
    return Interval(fmean(values), t * stdev(values) / math.sqrt(len(values)))
