"""What a simulation is given: conversations as columns, and who is there to answer them.

Columns, since a million conversations as objects take longer to make than to simulate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from sentiment.types import IntentLabel

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday, where a trace that names no dates begins."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Conversations in the order of their arrival, one index for all columns; times in seconds since `start`.

    `handle` is how long an agent really works on each, which no order may look at; `work` is what is
    expected, with the policy's safety. `level` is the loyalty tier as strict levels count it, 0 the best.
    `due` is the promise and `second_due` one more target later, `weight` what keeping it is worth by the
    policy. `value` is what attainment is weighted by, so that policies are measured with one yardstick.
    `intents` are those that the policy is sure of, where handling times are learnt by them.
    """

    at: Sequence[float]
    handle: Sequence[float]
    due: Sequence[float]
    second_due: Sequence[float]
    weight: Sequence[float]
    work: Sequence[int]
    level: Sequence[int]
    value: Sequence[float]
    start: datetime = EPOCH
    intents: Sequence[tuple[IntentLabel, ...]] = ()

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Staffing:
    """How many agents are on duty: `counts[i]` from `times[i]` (seconds since the trace's start) on.

    Nobody is on duty before the first time.
    """

    times: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def constant(cls, agents: int) -> Staffing:
        """The same agents at all times."""
        return cls((float("-inf"),), (agents,))

    @classmethod
    def of_shifts(cls, shifts: Iterable[tuple[float, float, int]]) -> Staffing:
        """From shifts of so many agents each (from, to, agents); where shifts overlap they add up."""
        changes: Counter[float] = Counter()
        for begin, end, agents in shifts:
            changes[begin] += agents
            changes[end] -= agents
        times, counts, on_duty = [], [], 0
        for time in sorted(changes):
            if changes[time]:
                on_duty += changes[time]
                times.append(time)
                counts.append(on_duty)
        return cls(tuple(times), tuple(counts))

    def at(self, time: float) -> int:
        """How many are on duty then."""
        index = bisect_right(self.times, time)
        return self.counts[index - 1] if index else 0

    def seconds(self, begin: float, end: float) -> float:
        """Agents' seconds on duty between two moments."""
        inner = self.times[bisect_right(self.times, begin) : bisect_right(self.times, end)]
        return sum(self.at(a) * (b - a) for a, b in pairwise([begin, *inner, end]))
