"""A discrete-event simulator: conversations arrive, agents take the next one whenever they are free."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

from routing.replay.jobs import Jobs, Staffing

_STEP = 10_000


class Queue(Protocol):
    """Who waits, in some order of serving."""

    def add(self, job: int, now: float) -> None:
        """Somebody begins to wait."""

    def take(self, now: float, agents: int) -> int:
        """Remove whom to serve now, of those who wait; so many agents are on duty."""

    def __len__(self) -> int: ...


Discipline = Callable[[Jobs], Queue]
"""Makes the queue of an order of serving, empty, for these conversations."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """When work on each began and when it was answered, in seconds since the trace's start.

    Both are infinite where nobody was there to answer. The answer comes at the end of the work. `queue` is
    the queue as it was left, for what it noted of itself.
    """

    started: Sequence[float]
    answered: Sequence[float]
    queue: Queue


def simulate(
    jobs: Jobs,
    staffing: Staffing,
    discipline: Discipline,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Serve all `jobs` in the order of `discipline`; deterministic. Example:

        trace = generate(load=0.85, seed=1)
        outcome = simulate(trace.jobs(), Staffing.constant(10), planned(plan))
        measure(trace.jobs(), outcome).attainment

    An agent takes the first of the queue as soon as both are there; nobody is interrupted: who goes off duty
    finishes what they have. `progress` is called now and then with how many more have arrived.
    """
    count = len(jobs)
    arrivals, handle = jobs.at, jobs.handle
    started, answered = [math.inf] * count, [math.inf] * count
    queue = discipline(jobs)
    busy: list[float] = []
    arrived, agents, change = 0, 0, 0
    changes = [*zip(staffing.times, staffing.counts, strict=True), (math.inf, 0)]
    now = -math.inf
    while arrived < count or queue:
        coming = arrivals[arrived] if arrived < count else math.inf
        # What is done before the next arrival matters only where somebody waits.
        freed = busy[0] if busy and queue else math.inf
        now = max(now, min(coming, freed, changes[change][0]))
        if now == math.inf:
            break
        while changes[change][0] <= now:
            agents = changes[change][1]
            change += 1
        while busy and busy[0] <= now:
            heappop(busy)
        while arrived < count and arrivals[arrived] <= now:
            queue.add(arrived, now)
            arrived += 1
            if progress and arrived % _STEP == 0:
                progress(_STEP)
        while len(busy) < agents and queue:
            job = queue.take(now, agents)
            started[job] = now
            answered[job] = now + handle[job]
            heappush(busy, answered[job])
    if progress:
        progress(arrived % _STEP)
    return Outcome(started, answered, queue)
