"""What a replay found: who was answered when, under each order of serving, and what changes between two."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from routing.policy import Policy
from routing.replay.changes import Changes, changes
from routing.replay.disciplines import (
    PlannedQueue,
    earliest_deadline,
    first_come,
    strict_levels,
)
from routing.replay.jobs import Jobs, Staffing
from routing.replay.metrics import Replies, replies
from routing.replay.needs import (
    AgentGroup,
    NeedGroup,
    agent_groups,
    demand_of,
    in_words,
    need_groups,
    nobody_for,
)
from routing.replay.ours import REPLAN_SHARE, ours
from routing.replay.promising import promise_all, tier_name
from routing.replay.records import Record
from routing.replay.simulator import Discipline, Outcome, simulate

Rival = Literal["first-come", "strict", "deadline"]
Order = Literal["plan", "first-come", "strict", "deadline"]
RIVALS: Mapping[Rival, Discipline] = {
    "first-come": first_come,
    "strict": strict_levels,
    "deadline": earliest_deadline,
}
_WORST = 100
_MOST_BUCKETS = 240
_BUCKETS = (900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400)

Progress = Callable[[str, int, int], None]
"""Called with what is done now, how much of it, and of how much."""


@dataclass(frozen=True, slots=True)
class Group:
    """The replies of one tier on one channel."""

    tier: str
    channel: str
    replies: Replies


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of time: arrivals within it; how many wait, and how many of them past their promise, at its
    end; hours of agents on duty, and those they worked. Who finishes after a shift works more than it has."""

    begins_at: datetime
    arrived: int
    waiting: int
    overdue: int
    staffed_hours: float
    worked_hours: float


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that is not kept; `answered_at` and `late_seconds` are None where nobody answers at all.

    `needs` is what it takes to answer, in words, None where nothing in particular. `nobody`: it stays without
    an answer since nobody who could give it was on duty after it arrived.
    """

    ref: int
    arrived_at: datetime
    channel: str
    tier: str
    due_at: datetime
    answered_at: datetime | None
    late_seconds: float | None
    weight: float
    gave_way: bool
    needs: str | None
    nobody: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One order of serving on the whole trace, measured by the promises of its own policy.

    `by_first_promises` measures it by those of the first policy, None where they are its own. `agent_load` is
    the share of time on duty that agents worked, None without any. `breaches` are the worst of all, by
    weight and how late; `gave_way` counts those whose first promise the plan gave up, None for a rival.
    `needs` and `agents` tell of conversations by what they need and of agents by what they can do, empty
    where that makes no difference; `nobody` counts conversations that nobody on duty could ever answer.
    """

    name: str
    order: Order
    all: Replies
    by_first_promises: Replies | None
    tiers: Mapping[str, Replies]
    channels: Mapping[str, Replies]
    groups: Sequence[Group]
    needs: Sequence[NeedGroup]
    agents: Sequence[AgentGroup]
    nobody: int
    agent_load: float | None
    gave_way: int | None
    breached: int
    breaches: Sequence[Breach]
    timeline: Sequence[Bucket]
    bucket_seconds: int


@dataclass(frozen=True, slots=True)
class Report:
    """Every run, and how each after the first changes who is answered when."""

    conversations: int
    begins_at: datetime | None
    ends_at: datetime | None
    mean_handle_seconds: float | None
    runs: Sequence[Run]
    changes: Sequence[Changes]


def replay(
    records: Sequence[Record],
    staffing: Staffing,
    policies: Mapping[str, Policy],
    rivals: Sequence[Rival] = (),
    share: float = REPLAN_SHARE,
    progress: Progress = lambda step, done, total: None,
) -> Report:
    """Run the records, in the order of their arrival, through every policy's plan and every rival.

    Staffing counts seconds since the first arrival. The first policy is the yardstick: rivals keep its
    promises, and its tiers' factors are what customers are worth. Raises: ValueError without a policy,
    routing.calendars.NeverOpen.
    """
    if not policies:
        raise ValueError("a replay needs a policy")
    yardstick = next(iter(policies.values()))
    tiers = [tier_name(yardstick, record.facts.tier) for record in records]
    done: list[tuple[Run, Jobs, Outcome]] = []
    promised: dict[str, Jobs] = {}
    for name, policy in policies.items():
        count = _counter(progress, f"{name}: promises", len(records))
        promised[name] = promise_all(records, policy, yardstick, count)
    first = next(iter(promised.values()))
    orders: list[tuple[str, Order, Jobs, Discipline]] = [
        (name, "plan", jobs, ours(policies[name], share)) for name, jobs in promised.items()
    ]
    orders += [(rival, rival, first, RIVALS[rival]) for rival in rivals]
    for name, order, jobs, discipline in orders:
        outcome = simulate(jobs, staffing, discipline, _counter(progress, f"{name}: order", len(records)))
        done.append((_run(name, order, records, tiers, jobs, first, staffing, outcome), jobs, outcome))
    base, *others = done
    return Report(
        conversations=len(records),
        begins_at=records[0].arrived_at if records else None,
        ends_at=records[-1].arrived_at if records else None,
        mean_handle_seconds=math.fsum(first.handle) / len(first) if len(first) else None,
        runs=[run for run, _, _ in done],
        changes=[
            changes(
                records,
                tiers,
                (base[0].name, base[1], base[2], yardstick),
                (run.name, jobs, outcome, policies[run.name] if run.order == "plan" else None),
            )
            for run, jobs, outcome in others
        ],
    )


def _counter(progress: Progress, step: str, total: int) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(step, done, total)

    return count


def _run(
    name: str,
    order: Order,
    records: Sequence[Record],
    tiers: Sequence[str],
    jobs: Jobs,
    first: Jobs,
    staffing: Staffing,
    outcome: Outcome,
) -> Run:
    groups: dict[tuple[str, str], array[int]] = {}
    for job, (tier, record) in enumerate(zip(tiers, records, strict=True)):
        groups.setdefault((tier, record.facts.channel), array("q")).append(job)
    by_tier: dict[str, array[int]] = {}
    by_channel: dict[str, array[int]] = {}
    for (tier, channel), members in groups.items():
        by_tier.setdefault(tier, array("q")).extend(members)
        by_channel.setdefault(channel, array("q")).extend(members)
    level = {tier: (jobs.level[members[0]], tier) for tier, members in by_tier.items()}
    gave_way = outcome.queue.gave_way if isinstance(outcome.queue, PlannedQueue) else None
    everybody = replies(jobs, outcome)
    timeline, size = _timeline(jobs, staffing, outcome)
    staffed = math.fsum(bucket.staffed_hours for bucket in timeline)
    worked = math.fsum(bucket.worked_hours for bucket in timeline)
    begin = (timeline[0].begins_at - jobs.start).total_seconds() if timeline else 0.0
    nobody = nobody_for(jobs, staffing, outcome)
    return Run(
        name=name,
        order=order,
        all=everybody,
        by_first_promises=None if jobs is first else replies(first, outcome),
        tiers={
            tier: replies(jobs, outcome, by_tier[tier]) for tier in sorted(by_tier, key=level.__getitem__)
        },
        channels={channel: replies(jobs, outcome, by_channel[channel]) for channel in sorted(by_channel)},
        groups=[
            Group(tier, channel, replies(jobs, outcome, members))
            for (tier, channel), members in sorted(
                groups.items(), key=lambda item: (level[item[0][0]], item[0][1])
            )
        ],
        needs=need_groups(records, jobs, staffing, outcome, nobody),
        agents=agent_groups(jobs, outcome, begin, begin + len(timeline) * size),
        nobody=len(nobody),
        agent_load=worked / staffed if staffed else None,
        gave_way=None if gave_way is None else len(gave_way),
        breached=everybody.broken,
        breaches=_breaches(records, tiers, jobs, outcome, gave_way or set(), nobody),
        timeline=timeline,
        bucket_seconds=size,
    )


def _breaches(
    records: Sequence[Record],
    tiers: Sequence[str],
    jobs: Jobs,
    outcome: Outcome,
    gave_way: set[int],
    nobody: set[int],
) -> list[Breach]:
    late = [job for job, at in enumerate(outcome.answered) if at > jobs.due[job] <= outcome.ends]
    late.sort(key=lambda job: (-jobs.weight[job], jobs.due[job] - outcome.answered[job], job))
    found = []
    for job in late[:_WORST]:
        record, answered, demand = records[job], outcome.answered[job], demand_of(jobs, job)
        never = answered == math.inf
        found.append(
            Breach(
                ref=record.ref,
                arrived_at=record.arrived_at,
                channel=record.facts.channel,
                tier=tiers[job],
                due_at=jobs.start + timedelta(seconds=jobs.due[job]),
                answered_at=None if never else jobs.start + timedelta(seconds=answered),
                late_seconds=None if never else answered - jobs.due[job],
                weight=jobs.weight[job],
                gave_way=job in gave_way,
                needs=in_words(demand.needs) if demand else None,
                nobody=job in nobody,
            )
        )
    return found


def _timeline(jobs: Jobs, staffing: Staffing, outcome: Outcome) -> tuple[list[Bucket], int]:
    """From the first arrival until the last answer, in at most some hundreds of buckets."""
    if not len(jobs):
        return [], _BUCKETS[0]
    ends = max(jobs.at[-1], max((a for a in outcome.answered if a < math.inf), default=0.0))
    size = next((each for each in _BUCKETS if ends / each < _MOST_BUCKETS), _BUCKETS[-1])
    # Hours begin when the clock says so.
    zero = -(jobs.start.timestamp() % size)
    count = int((ends - zero) // size) + 1
    worked = [0.0] * count
    for began, answered in zip(outcome.started, outcome.answered, strict=True):
        if answered < math.inf:
            bucket = int((began - zero) // size)
            while began < answered:
                till = min(answered, zero + (bucket + 1) * size)
                worked[min(bucket, count - 1)] += till - began
                began, bucket = till, bucket + 1
    started = sorted(outcome.started)
    due = sorted(jobs.due)
    settled = sorted(max(d, a) for d, a in zip(jobs.due, outcome.started, strict=True))
    timeline, before = [], 0
    for bucket in range(count):
        begin, end = zero + bucket * size, zero + (bucket + 1) * size
        arrived = bisect_right(jobs.at, end)
        timeline.append(
            Bucket(
                begins_at=jobs.start + timedelta(seconds=begin),
                arrived=arrived - before,
                waiting=arrived - bisect_right(started, end),
                overdue=bisect_right(due, end) - bisect_right(settled, end),
                staffed_hours=staffing.seconds(begin, end) / 3600,
                worked_hours=worked[bucket] / 3600,
            )
        )
        before = arrived
    return timeline, size
