"""Orders of serving: the rivals, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import ceil
from typing import Protocol

from routing.handling import Expected, Handling, HandlingTimes
from routing.plan import aim
from routing.plan_rules import DEFAULT_RULES, PlanRules
from routing.replay.jobs import Jobs
from routing.replay.lanes import Lanes
from routing.replay.simulator import Discipline, Queue
from routing.types import Fullest, Plan, Waiting


def first_come(jobs: Jobs) -> Queue:
    """Who waits longest is next."""
    return _Ranked(range(len(jobs)))


def strict_levels(jobs: Jobs) -> Queue:
    """The better tier first, whatever waits below; within a tier who waits longest.

    So Zendesk's omnichannel routing orders a queue: by the ticket's priority, then by its time in the queue.
    """
    return _Ranked(sorted(range(len(jobs)), key=jobs.level.__getitem__))


def earliest_deadline(jobs: Jobs) -> Queue:
    """Whose promise ends first is next, kept or not."""
    return _Ranked(sorted(range(len(jobs)), key=jobs.due.__getitem__))


def accumulating(rates: Sequence[float]) -> Discipline:
    """Kleinrock's delay-dependent priority (1964): that of level k grows by `rates[k]` each second."""
    return lambda jobs: _Accumulating(jobs, rates)


class _Ranked:
    """An order known from the beginning: `order` holds the jobs, first to last."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order
        self._ranks = [0] * len(order)
        for rank, job in enumerate(order):
            self._ranks[job] = rank
        self._lanes: Lanes[int] = Lanes()
        self._waiting = self._lanes.heap(None)
        self._count = 0

    def add(self, job: int, now: float, lane: int | None = None) -> None:
        self._count += 1
        if lane is None:
            heappush(self._waiting, self._ranks[job])
        else:
            self._lanes.push(self._ranks[job], lane)

    def take(self, now: float, agents: int, lanes: Sequence[int] | None = None) -> int:
        self._count -= 1
        return self._order[heappop(self._waiting) if lanes is None else self._lanes.pop(lanes)]

    def move(self, job: int, lane: int) -> None:
        self._lanes.move(self._ranks[job], lane)

    def waits(self, lanes: Sequence[int]) -> bool:
        return self._lanes.waits(lanes)

    def __len__(self) -> int:
        return self._count


class _Accumulating:
    def __init__(self, jobs: Jobs, rates: Sequence[float]) -> None:
        self._jobs, self._rates = jobs, rates
        # Who came first has the lower number.
        self._levels: list[Lanes[int]] = [Lanes() for _ in rates]
        self._count = 0

    def add(self, job: int, now: float, lane: int | None = None) -> None:
        self._levels[self._jobs.level[job]].push(job, lane)
        self._count += 1

    def take(self, now: float, agents: int, lanes: Sequence[int] | None = None) -> int:
        at = self._jobs.at
        _, level = max(
            ((now - at[first]) * rate, -level)
            for level, (waiting, rate) in enumerate(zip(self._levels, self._rates, strict=True))
            if (first := waiting.first(lanes)) is not None
        )
        self._count -= 1
        return self._levels[-level].pop(lanes)

    def move(self, job: int, lane: int) -> None:
        self._levels[self._jobs.level[job]].move(job, lane)

    def waits(self, lanes: Sequence[int]) -> bool:
        return any(waiting.waits(lanes) for waiting in self._levels)

    def __len__(self) -> int:
        return self._count


class Planner(Protocol):
    """What `routing.plan.plan` is."""

    def __call__(
        self,
        waiting: Sequence[Waiting],
        agents: int,
        now: datetime,
        second_weight_factor: float,
        rules: PlanRules,
        before: Fullest | None,
    ) -> Plan: ...


def planned(
    planner: Planner,
    second_weight_factor: float = 0.5,
    every_seconds: float = 1.0,
    share: float = 0.0,
    rules: PlanRules = DEFAULT_RULES,
    handling: Handling | None = None,
) -> Discipline:
    """The earliest `reply_by` first, as the hub does it, and `planner` says what that is.

    Planned anew before somebody is taken, if anybody arrived or the number of agents changed since the last
    plan, that is `every_seconds` old, and the arrivals since are more than `share` of those who wait. Until
    then who is new stands where they are aimed at. With a `handling` that learns, the expected work is what
    it says and what each answer teaches as it is given; else it is that of the jobs.
    """
    return lambda jobs: PlannedQueue(
        jobs, planner, second_weight_factor, every_seconds, share, rules, handling
    )


class PlannedQueue:
    """The queue of `planned`.

    `gave_way` holds whose promise had given way when they were taken; `plans` counts the plans, `changes` how
    often a promise gave way or returned.
    """

    def __init__(
        self,
        jobs: Jobs,
        planner: Planner,
        factor: float,
        every_seconds: float,
        share: float,
        rules: PlanRules,
        handling: Handling | None,
    ) -> None:
        self._jobs, self._planner, self._factor = jobs, planner, factor
        self._every, self._share = every_seconds, share
        self._waiting: dict[int, Waiting] = {}
        self._queue: Lanes[tuple[datetime, int]] = Lanes()
        # Where there are lanes: in which each waits, and its place in the order.
        self._lane: dict[int, int] = {}
        self._reply_by: dict[int, datetime] = {}
        self._arrived = 0
        self._agents = -1
        self._next_plan = -float("inf")
        self._rules = rules
        self._before: Fullest | None = None
        self._times = HandlingTimes(handling) if handling is not None and handling.learn else None
        self._expected: dict[int, Expected] = {}
        # What is being worked on: when it is answered, and which.
        self._busy: list[tuple[float, int]] = []
        self.gave_way: set[int] = set()
        self.plans = 0
        self.changes = 0

    def add(self, job: int, now: float, lane: int | None = None) -> None:
        jobs = self._jobs
        start = jobs.start
        due_at = start + timedelta(seconds=jobs.due[job])
        second_due_at = start + timedelta(seconds=jobs.second_due[job])
        # A night may lie before the promise or after it, seldom both.
        target = min(jobs.due[job] - jobs.at[job], jobs.second_due[job] - jobs.due[job])
        new = Waiting(
            job, due_at, second_due_at, jobs.weight[job], self._work(job, now), target_seconds=target
        )
        self._waiting[job] = new
        reply_by = aim(new, self._rules)
        self._queue.push((reply_by, job), lane)
        if lane is not None:
            self._lane[job], self._reply_by[job] = lane, reply_by
        self._arrived += 1

    def take(self, now: float, agents: int, lanes: Sequence[int] | None = None) -> int:
        changed = agents != self._agents or self._arrived > self._share * len(self._waiting)
        if changed and now >= self._next_plan:
            self._plan(now, agents)
        _, job = self._queue.pop(lanes)
        if lanes is not None:
            del self._lane[job], self._reply_by[job]
        if self._times is not None:
            heappush(self._busy, (now + self._jobs.handle[job], job))
        if self._waiting.pop(job).gave_way_at is not None:
            self.gave_way.add(job)
        return job

    def move(self, job: int, lane: int) -> None:
        self._lane[job] = lane
        self._queue.move((self._reply_by[job], job), lane)

    def waits(self, lanes: Sequence[int]) -> bool:
        return self._queue.waits(lanes)

    def __len__(self) -> int:
        return len(self._waiting)

    def _work(self, job: int, now: float) -> int:
        """What is expected now, by all that was answered until now."""
        times, jobs = self._times, self._jobs
        if times is None:
            return jobs.work[job]
        while self._busy and self._busy[0][0] <= now:
            _, done = heappop(self._busy)
            times.saw(self._expected.pop(done).intent, jobs.handle[done])
        expected = self._expected[job] = times.of(jobs.intents[job] if jobs.intents else ())
        return max(ceil(expected.seconds), 1)

    def _plan(self, now: float, agents: int) -> None:
        self.plans += 1
        self._arrived, self._agents, self._next_plan = 0, agents, now + self._every
        moment = self._jobs.start + timedelta(seconds=now)
        waiting = self._waiting
        planned = self._planner(
            list(waiting.values()), agents, moment, self._factor, self._rules, self._before
        )
        self._before = planned.fullest
        for place in planned.places:
            old = waiting[place.id]
            if old.gave_way_at != place.gave_way_at:
                self.changes += 1
                waiting[place.id] = replace(old, gave_way_at=place.gave_way_at, gave_way_to=place.gave_way_to)
        self._queue = Lanes()
        self._queue.fill(((place.reply_by, place.id), self._lane.get(place.id)) for place in planned.places)
        if self._lane:
            self._reply_by = {place.id: place.reply_by for place in planned.places}
