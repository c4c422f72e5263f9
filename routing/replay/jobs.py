"""What a simulation is given: conversations as columns, and who is there to answer them.

Columns, since a million conversations as objects take longer to make than to simulate.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from routing.assignment import Agent, Needs, can_answer
from sentiment.types import IntentLabel

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday, where a trace that names no dates begins."""


@dataclass(frozen=True, slots=True)
class Demanded:
    """What some conversations need by the policy's rule of that name ("" where none matches).

    First `needs`; who has waited `relax_seconds` needs only `relaxed`. None: `needs` stays.
    """

    rule: str
    needs: Needs
    relaxed: Needs | None = None
    relax_seconds: float = math.inf

    @property
    def least(self) -> Needs:
        """What is needed after any wait."""
        return self.relaxed or self.needs


@dataclass(frozen=True, slots=True)
class Jobs:
    """Conversations in the order of their arrival, one index for all columns; times in seconds since `start`.

    `handle` is how long an agent really works on each, which no order may look at; `work` is what is
    expected, with the policy's safety. `level` is the loyalty tier as strict levels count it, 0 the best.
    `due` is the promise and `second_due` one more target later, `weight` what keeping it is worth by the
    policy. `value` is what attainment is weighted by, so that policies are measured with one yardstick.
    `intents` are those that the policy is sure of, where handling times are learnt by them. `demand` says of
    each which of `demands` it has; both are empty where anybody may answer everything.
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
    demand: Sequence[int] = ()
    demands: tuple[Demanded, ...] = ()

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What agents can do: of which teams they are, their skills with levels, the units they can have in hand.

    None: nobody says, and it stands in no conversation's way.
    """

    teams: frozenset[str] | None = None
    skills: tuple[tuple[str, int], ...] | None = None
    capacity: int | None = None

    def can(self, needs: Needs) -> bool:
        """Whether they may be given what needs this, when they have nothing else in hand."""
        if self.capacity is not None and self.capacity < needs.weight:
            return False
        teams = frozenset(filter(None, [needs.team])) if self.teams is None else self.teams
        skills = needs.skills if self.skills is None else self.skills
        return can_answer(Agent(0, teams=teams, skills=dict(skills)), needs)


@dataclass(frozen=True, slots=True)
class Staffing:
    """How many agents are on duty: `counts[i]` from `times[i]` (seconds since the trace's start) on.

    Nobody is on duty before the first time. `groups` say who of them can do what, where anybody says; they
    add up to the whole.
    """

    times: tuple[float, ...]
    counts: tuple[int, ...]
    groups: tuple[tuple[Abilities, Staffing], ...] = ()

    @property
    def ends(self) -> float:
        """When the last agent leaves for good; infinite where somebody stays."""
        return self.times[-1] if self.times and not self.counts[-1] else float("inf")

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

    @classmethod
    def of_groups(cls, groups: Iterable[tuple[Abilities, Staffing]]) -> Staffing:
        """From shifts of agents who can do different things; those who can do the same are one group."""
        alike: dict[Abilities, list[Staffing]] = {}
        for abilities, staffing in groups:
            alike.setdefault(abilities, []).append(staffing)
        whole = cls.together([each for some in alike.values() for each in some])
        return cls(
            whole.times,
            whole.counts,
            tuple((abilities, cls.together(some)) for abilities, some in alike.items()),
        )

    @classmethod
    def together(cls, parts: Sequence[Staffing]) -> Staffing:
        """All of these at once, whoever can do what."""
        if len(parts) == 1:
            return cls(parts[0].times, parts[0].counts)
        times: list[float] = []
        counts: list[int] = []
        for time in sorted({time for part in parts for time in part.times}):
            on_duty = sum(part.at(time) for part in parts)
            if on_duty != (counts[-1] if counts else 0):
                times.append(time)
                counts.append(on_duty)
        return cls(tuple(times), tuple(counts))

    def at(self, time: float) -> int:
        """How many are on duty then."""
        index = bisect_right(self.times, time)
        return self.counts[index - 1] if index else 0

    @property
    def last(self) -> float:
        """From when on nobody is on duty; minus infinity where nobody ever is, infinity where some stay."""
        if self.counts and self.counts[-1]:
            return math.inf
        return self.times[-1] if any(self.counts) else -math.inf

    def seconds(self, begin: float, end: float) -> float:
        """Agents' seconds on duty between two moments."""
        inner = self.times[bisect_right(self.times, begin) : bisect_right(self.times, end)]
        return sum(self.at(a) * (b - a) for a, b in pairwise([begin, *inner, end]))
