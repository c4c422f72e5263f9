"""How many agents it takes to keep the promises of the hours ahead, and which will break with those on duty.

Erlang's formula takes each hour by itself, and serves customers in the order of their coming. Here work may
wait as long as its promise lets it, and the plan chooses whom to serve. So the number of agents is the load
plus so many of its square roots (Halfin and Whitt 1981, "Heavy-traffic limits for queues with many
exponential servers"), and how many is found by replaying the hours ahead, drawn several times from the
forecast.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import fmean, median
from typing import NamedTuple

from routing.calendars import Calendar
from routing.erlang import agents_for
from routing.forecast import HOUR, RANGE_Z, HourAhead
from routing.replay.jobs import Jobs, Staffing
from routing.replay.simulator import Discipline, simulate
from routing.types import Waiting

_SECONDS = 3600.0
_FEWEST_ROOTS, _MOST_ROOTS = -3.0, 8.0
_STEPS = 7
# Beyond this mean a Poisson count is as good as normal.
_NORMAL_FROM = 500.0
_MOST_AGENTS = 1000
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation as they come: what an agent works on it, what it weighs, and what it is promised."""

    handle_seconds: float
    work_seconds: int
    weight: float
    target: timedelta
    calendar: Calendar


class Queued(NamedTuple):
    """Who waits already, and the calendar that their promise counts in."""

    waiting: Waiting
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class HourNeed:
    """Agents for an hour: `needed` by replay, `erlang` by Erlang's formula; `load` is the work in agents."""

    starts_at: datetime
    load: float
    erlang: int
    needed: int


@dataclass(frozen=True, slots=True)
class Need:
    """Agents for the hours ahead. `attainment` is the share of promises they keep, the mean over the draws,
    and `worst` that of the worst; both None where no promise falls due."""

    hours: tuple[HourNeed, ...]
    attainment: float | None = None
    worst: float | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of the promises that fall due from now until `until`, with so many agents.

    `breaking` is how many will not be kept, the mean over the draws, of `due` in all; `first_at` is when the
    first of them breaks, in the middle of the draws, None where more than half of the draws keep all.
    `agents_needed` would keep the share that was asked for, of what one agent alone could still keep.
    """

    until: datetime
    agents: int
    due: float
    breaking: float
    first_at: datetime | None
    agents_needed: int


def need(
    hours: Sequence[HourAhead],
    cases: Sequence[Case],
    queue: Sequence[Queued],
    now: datetime,
    discipline: Discipline,
    attainment: float,
    draws: int = 5,
    seed: int = 1,
) -> Need:
    """The fewest agents, hour by hour, who keep this share of the promises that fall due in these hours.

    `cases` are those of the past, alike likely; `hours` follow one another, and `now` is within the first.
    Those who wait are owed an answer by the first of their two promises that can still be kept; who has none
    left is answered in what time the others leave, and the work counts all the same. What waits while its
    calendar is closed is answered when that opens, whoever is there for others before.
    """
    if not hours or not cases:
        return Need(())
    end = hours[-1].starts_at + HOUR
    handling = _handling(cases)
    waits = [_queued(each, handling, now, end) for each in queue]
    drawn = [
        _jobs([*waits, *_drawn(hours, cases, now, _dice(seed + number), opened=True)], now)
        for number in range(draws)
    ]
    loads = [
        expected + waiting
        for expected, waiting in zip(_loads(hours, cases), _loads_of(queue, waits, hours, now), strict=True)
    ]
    low, high = _FEWEST_ROOTS, _MOST_ROOTS
    for _ in range(_STEPS):
        middle = (low + high) / 2
        shares = _attained(drawn, _shifts(hours, _agents(loads, middle), now), discipline, end)
        if not shares or fmean(shares) >= attainment:
            high = middle
        else:
            low = middle
    agents = _agents(loads, high)
    shares = _attained(drawn, _shifts(hours, agents, now), discipline, end)
    handle = fmean(case.handle_seconds for case in cases)
    of_target = Counter(case.target.total_seconds() for case in cases)
    targets = [(count / len(cases), seconds) for seconds, count in of_target.items()]
    return Need(
        tuple(
            HourNeed(hour.starts_at, load, agents_for(load, handle, targets, attainment), needed)
            for hour, load, needed in zip(hours, loads, agents, strict=True)
        ),
        fmean(shares) if shares else None,
        min(shares, default=None),
    )


def outlook(
    waiting: Sequence[Waiting],
    hours: Sequence[HourAhead],
    cases: Sequence[Case],
    agents: int,
    now: datetime,
    discipline: Discipline,
    attainment: float,
    draws: int = 9,
    seed: int = 1,
) -> Outlook:
    """What becomes of those who wait and those who will come in `hours`, the first of which is going on."""
    until = hours[-1].starts_at + HOUR if hours else now + HOUR
    handling = _handling(cases)
    waits = [_waits(each, handling, now) for each in waiting]
    drawn = [
        _jobs([*waits, *_drawn(hours, cases, now, _dice(seed + number))], now) for number in range(draws)
    ]
    broken = [_broken(jobs, Staffing.constant(agents), discipline, until) for jobs in drawn]
    firsts = sorted(
        min((jobs.due[job] for job in lost), default=math.inf)
        for jobs, lost in zip(drawn, broken, strict=True)
    )
    first = median(firsts)
    enough = 0
    if any(_saveable(jobs, until) for jobs in drawn):
        # Twice as many until they are enough, then between the two.
        low, high = 0, max(agents, 1)
        while high < _MOST_AGENTS and not _enough(drawn, high, discipline, until, attainment):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if _enough(drawn, middle, discipline, until, attainment) else (middle, high)
            )
        enough = high
    return Outlook(
        until=until,
        agents=agents,
        due=fmean(len(_due_by(jobs, until)) for jobs in drawn),
        breaking=fmean(len(lost) for lost in broken),
        first_at=None if first == math.inf else max(now, now + timedelta(seconds=first)),
        agents_needed=enough,
    )


def _dice(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a simulation, no secret


class _Job(NamedTuple):
    """One to be answered; times in seconds since the start of what is replayed."""

    at: float
    handle: float
    due: float
    second_due: float
    weight: float
    work: int


def _handling(cases: Sequence[Case]) -> float:
    """What is worked for each second that is expected."""
    return fmean(case.handle_seconds / case.work_seconds for case in cases) if cases else 1.0


def _waits(waiting: Waiting, handling: float, now: datetime) -> _Job:
    return _Job(
        0.0,
        waiting.work_seconds * handling,
        (waiting.due_at - now).total_seconds(),
        (waiting.second_due_at - now).total_seconds(),
        waiting.weight,
        waiting.work_seconds,
    )


def _queued(queued: Queued, handling: float, now: datetime, end: datetime) -> _Job:
    """Who waits, from when they are open, with the promise that can be kept; else due after `end`."""
    job = _waits(queued.waiting, handling, now)
    at = (_opening(queued.calendar, now) - now).total_seconds()
    owed = (due for due in (job.due, job.second_due) if due - at >= job.handle)
    return job._replace(at=at, due=next(owed, (end - now).total_seconds() + 1))


def _opening(calendar: Calendar, at: datetime) -> datetime:
    """The first moment from `at` on at which the calendar is open."""
    return at if calendar.is_open(at) else calendar.deadline(at, _INSTANT) - _INSTANT


def _drawn(
    hours: Sequence[HourAhead],
    cases: Sequence[Case],
    start: datetime,
    random: Random,
    *,
    opened: bool = False,
) -> list[_Job]:
    """Who may come after `start` until the last of `hours` ends; where `opened`, as of when they are open."""
    coming = []
    for hour in hours:
        begins = max(hour.starts_at, start)
        left = (hour.starts_at + HOUR - begins).total_seconds()
        count = _count(hour, left / _SECONDS, random) if cases else 0
        coming += [(begins - start).total_seconds() + random.uniform(0, left) for _ in range(count)]
    coming.sort()
    jobs = []
    for seconds, case in zip(coming, random.choices(cases, k=len(coming)) if coming else (), strict=True):
        at = start + timedelta(seconds=seconds)
        due_at = case.calendar.deadline(at, case.target)
        jobs.append(
            _Job(
                (_opening(case.calendar, at) - start).total_seconds() if opened else seconds,
                case.handle_seconds,
                (due_at - start).total_seconds(),
                (case.calendar.deadline(due_at, case.target) - start).total_seconds(),
                case.weight,
                case.work_seconds,
            )
        )
    return jobs


def _jobs(jobs: list[_Job], start: datetime) -> Jobs:
    """These in the order of their coming."""
    jobs.sort(key=lambda job: job.at)
    weights = [job.weight for job in jobs]
    return Jobs(
        at=[job.at for job in jobs],
        handle=[job.handle for job in jobs],
        due=[job.due for job in jobs],
        second_due=[job.second_due for job in jobs],
        weight=weights,
        work=[job.work for job in jobs],
        level=[0] * len(jobs),
        value=weights,
        start=start,
    )


def _count(hour: HourAhead, share: float, random: Random) -> int:
    """How many come in that share of the hour: a mixture of Poissons with the forecast's mean and range."""
    if hour.expected <= 0:
        return 0
    deviation = (hour.high - hour.low) / (2 * RANGE_Z)
    excess = max(deviation * deviation - hour.expected, 1e-6 * hour.expected)
    shape = hour.expected * hour.expected / excess
    mean = share * random.gammavariate(shape, hour.expected / shape)
    if mean > _NORMAL_FROM:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, passed = 0, random.expovariate(1.0)
    while passed <= mean:
        count += 1
        passed += random.expovariate(1.0)
    return count


def _loads(hours: Sequence[HourAhead], cases: Sequence[Case]) -> list[float]:
    """Agents' hours of work by hour, each conversation's spread over the open time until it is due."""
    groups: dict[tuple[timedelta, int], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.target, id(case.calendar)), []).append(case)
    loads = [0.0] * len(hours)
    for alike in groups.values():
        calendar, target = alike[0].calendar, alike[0].target
        work = sum(case.handle_seconds for case in alike) / len(cases) / _SECONDS
        for index, hour in enumerate(hours):
            middle = hour.starts_at + HOUR / 2
            due_at = calendar.deadline(middle, target)
            for later in range(index, len(hours)):
                begins = max(hours[later].starts_at, middle)
                if begins >= due_at:
                    break
                open_ = calendar.elapsed(begins, min(hours[later].starts_at + HOUR, due_at))
                loads[later] += hour.expected * work * (open_ / target)
    return loads


def _loads_of(
    queue: Sequence[Queued], jobs: Sequence[_Job], hours: Sequence[HourAhead], now: datetime
) -> list[float]:
    """Agents' hours of work by hour of those who wait, spread over the open time until they are due.

    What is left of the first hour counts as an hour of its own length.
    """
    edges = [now, *(hour.starts_at for hour in hours[1:]), hours[-1].starts_at + HOUR]
    lengths = [(till - since).total_seconds() for since, till in pairwise(edges)]
    end = sum(lengths)
    opens: dict[int, list[float]] = {}
    loads = [0.0] * len(hours)
    for (_, calendar), job in zip(queue, jobs, strict=True):
        if id(calendar) not in opens:
            opens[id(calendar)] = [calendar.elapsed(now, edge).total_seconds() for edge in edges]
        passed = opens[id(calendar)]
        left = passed[-1] if job.due > end else _elapsed(calendar, now, job.due)
        for index, length in enumerate(lengths):
            open_ = min(passed[index + 1], left) - passed[index]
            if open_ > 0:
                loads[index] += job.handle * (open_ / left) / length
    return loads


def _elapsed(calendar: Calendar, now: datetime, seconds: float) -> float:
    return calendar.elapsed(now, now + timedelta(seconds=seconds)).total_seconds()


def _agents(loads: Sequence[float], roots: float) -> list[int]:
    return [max(1, math.ceil(load + roots * math.sqrt(load))) if load > 0 else 0 for load in loads]


def _shifts(hours: Sequence[HourAhead], agents: Sequence[int], start: datetime) -> Staffing:
    """By the hour from the start on; after the last as many as in the busiest, so that all is served."""
    later = [(hour.starts_at - start).total_seconds() for hour in hours[1:]]
    end = (hours[-1].starts_at + HOUR - start).total_seconds()
    return Staffing((0.0, *later, end), (*agents, max(agents)))


def _due_by(jobs: Jobs, until: datetime) -> list[int]:
    end = (until - jobs.start).total_seconds()
    return [job for job in range(len(jobs)) if 0 <= jobs.due[job] <= end]


def _saveable(jobs: Jobs, until: datetime) -> list[int]:
    """Whose promise an agent who took them at once would keep."""
    return [job for job in _due_by(jobs, until) if jobs.due[job] - jobs.at[job] >= jobs.handle[job]]


def _broken(jobs: Jobs, staffing: Staffing, discipline: Discipline, until: datetime) -> list[int]:
    answered = simulate(jobs, staffing, discipline).answered
    return [job for job in _due_by(jobs, until) if answered[job] > jobs.due[job]]


def _attained(
    drawn: Sequence[Jobs], staffing: Staffing, discipline: Discipline, until: datetime
) -> list[float]:
    """The share kept of what can be kept, for each draw in which there is any."""
    shares = []
    for jobs in drawn:
        can = _saveable(jobs, until)
        if can:
            answered = simulate(jobs, staffing, discipline).answered
            shares.append(sum(answered[job] <= jobs.due[job] for job in can) / len(can))
    return shares


def _enough(
    drawn: Sequence[Jobs], agents: int, discipline: Discipline, until: datetime, attainment: float
) -> bool:
    return fmean(_attained(drawn, Staffing.constant(agents), discipline, until)) >= attainment
