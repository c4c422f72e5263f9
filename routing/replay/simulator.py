"""A discrete-event simulator: conversations arrive, agents take the next one whenever they are free."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Protocol

from routing.replay.desk import Desk, desk_of
from routing.replay.jobs import Jobs, Staffing

_STEP = 10_000


class Queue(Protocol):
    """Who waits, in some order of serving; in lanes where not everybody can answer everything."""

    def add(self, job: int, now: float, lane: int | None = None) -> None:
        """Somebody begins to wait."""

    def take(self, now: float, agents: int, lanes: Sequence[int] | None = None) -> int:
        """Remove whom to serve now, of those who wait (in these lanes); so many agents are on duty."""

    def move(self, job: int, lane: int) -> None:
        """Who waits in a lane waits in this one from now on, at the same place in the order."""

    def waits(self, lanes: Sequence[int]) -> bool:
        """Whether anybody waits in one of these lanes."""

    def __len__(self) -> int: ...


Discipline = Callable[[Jobs], Queue]
"""Makes the queue of an order of serving, empty, for these conversations."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """When work on each began and when it was answered, in seconds since the trace's start.

    Both are infinite where nobody was there to answer. The answer comes at the end of the work. `queue` is
    the queue as it was left, for what it noted of itself. `desk` says who could answer what, and `kind` which
    kind of its agents answered each, -1 where nobody did; None and empty where everybody could answer all.
    `ends` is when the last agent left for good.
    """

    started: Sequence[float]
    answered: Sequence[float]
    queue: Queue
    desk: Desk | None = None
    kind: Sequence[int] = ()
    ends: float = math.inf


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
    finishes what they have. Where not everybody can answer everything, they take the first that they can
    answer; of several who are free, who has been so for longest asks first. `progress` is called now and then
    with how many more have arrived.
    """
    desk = desk_of(jobs, staffing)
    if desk is not None:
        return replace(_simulate_in_lanes(jobs, desk, discipline, progress), ends=staffing.ends)
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
    return Outcome(started, answered, queue, ends=staffing.ends)


def _simulate_in_lanes(
    jobs: Jobs, desk: Desk, discipline: Discipline, progress: Callable[[int], None] | None
) -> Outcome:
    """The same, where agents of each kind answer what is in their lanes."""
    count = len(jobs)
    arrivals, handle = jobs.at, jobs.handle
    started, answered, answered_by = [math.inf] * count, [math.inf] * count, [-1] * count
    queue = discipline(jobs)
    lanes = [kind.lanes for kind in desk.kinds]
    numbers = range(len(lanes))
    on_duty, working = [0] * len(lanes), [0] * len(lanes)
    # Since when each is free of those who are, the longest first.
    free: list[deque[float]] = [deque() for _ in lanes]
    busy: list[tuple[float, int]] = []
    relaxing: list[tuple[float, int, int]] = []
    changes = sorted(
        (time, number, agents)
        for number, kind in enumerate(desk.kinds)
        for time, agents in zip(kind.staffing.times, kind.staffing.counts, strict=True)
    )
    changes.append((math.inf, 0, 0))
    arrived, change = 0, 0
    now = -math.inf
    while arrived < count or queue:
        coming = arrivals[arrived] if arrived < count else math.inf
        freed = busy[0][0] if busy and queue else math.inf
        relaxes = relaxing[0][0] if relaxing else math.inf
        now = max(now, min(coming, freed, relaxes, changes[change][0]))
        if now == math.inf:
            break
        while changes[change][0] <= now:
            _, number, on_duty[number] = changes[change]
            change += 1
        while busy and busy[0][0] <= now:
            since, number = heappop(busy)
            working[number] -= 1
            free[number].append(since)
        for number in numbers:
            room = max(on_duty[number] - working[number], 0)
            while len(free[number]) > room:
                free[number].popleft()
            while len(free[number]) < room:
                free[number].append(now)
        while arrived < count and arrivals[arrived] <= now:
            demand = jobs.demand[arrived]
            lane, later = desk.lanes[demand], desk.relaxed[demand]
            queue.add(arrived, now, lane)
            if lane != later:
                heappush(relaxing, (now + jobs.demands[demand].relax_seconds, arrived, later))
            arrived += 1
            if progress and arrived % _STEP == 0:
                progress(_STEP)
        while relaxing and relaxing[0][0] <= now:
            _, job, lane = heappop(relaxing)
            if started[job] == math.inf:
                queue.move(job, lane)
        while asking := [
            (free[each][0], each) for each in numbers if free[each] and queue.waits(lanes[each])
        ]:
            number = min(asking)[1]
            free[number].popleft()
            job = queue.take(now, sum(on_duty), lanes[number])
            started[job] = now
            answered[job] = now + handle[job]
            answered_by[job] = number
            working[number] += 1
            heappush(busy, (answered[job], number))
    if progress:
        progress(arrived % _STEP)
    return Outcome(started, answered, queue, desk, answered_by)
