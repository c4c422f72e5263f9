"""From what is known of conversations to what a policy promises them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from routing.assignment import demand
from routing.calendars import Calendar
from routing.policy import Policy
from routing.priority import prioritise, wished
from routing.promise_rules import ALWAYS, DEFAULT
from routing.replay.jobs import Demanded, Jobs
from routing.replay.records import Record
from routing.types import Facts, Priority
from sentiment.types import IntentLabel

_STEP = 10_000
NO_TIER = "no tier"


def promise_all(
    records: Sequence[Record],
    policy: Policy,
    yardstick: Policy,
    progress: Callable[[int], None] | None = None,
) -> Jobs:
    """The records, in the order of their arrival, as `policy` promises and weighs them.

    `yardstick` says what a customer is worth: the factor of their tier, so that attainment by value means the
    same whatever a policy weighs. It also stands in for handling times that nobody knows: the expected ones,
    without safety. Raises: routing.calendars.NeverOpen.
    """
    if not records:
        return Jobs([], [], [], [], [], [], [], [])
    start = records[0].arrived_at
    judge = _Judge(policy)
    worth, expected = _worth(yardstick), _Judge(yardstick)
    at: list[float] = []
    handle: list[float] = []
    due: list[float] = []
    second_due: list[float] = []
    weight: list[float] = []
    work: list[int] = []
    level: list[int] = []
    value: list[float] = []
    intents: list[tuple[IntentLabel, ...]] = []
    needed: list[int] = []
    for number, record in enumerate(records, start=1):
        since = (record.arrived_at - start).total_seconds()
        known, to_due, to_second = judge.promise(record)
        at.append(since)
        due.append(since + to_due)
        second_due.append(since + to_second)
        weight.append(known.weight)
        work.append(known.work_seconds)
        seconds = record.handle_seconds
        if seconds is None:
            seconds = expected.promise(record)[0].work_seconds / yardstick.handling.factor
        handle.append(seconds)
        rank, tier_value = worth(record.facts)
        level.append(rank)
        value.append(tier_value)
        intents.append(judge.intents(record.facts))
        if judge.asks:
            needed.append(judge.demand(record.facts, record.arrived_at))
        if progress and number % _STEP == 0:
            progress(_STEP)
    if progress:
        progress(len(records) % _STEP)
    columns = at, handle, due, second_due, weight, work, level, value
    return Jobs(*columns, start, intents, needed, tuple(judge.demands))


def tier_name(policy: Policy, tier: str | None) -> str:
    """The tier as the policy spells it; as it was given where the policy has no such tier."""
    return policy.known_tier(tier) or tier or NO_TIER


class _Judge:
    """Asks the policy once for all who share the same facts, which are one object: only deadlines differ."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[int, tuple[Priority, float | None, Calendar]] = {}
        # What is in the cache must stay alive, or another object could take its id.
        self._alive: list[Facts] = []
        self._intents: dict[int, tuple[IntentLabel, ...]] = {}
        self._needed: dict[int, int] = {}
        self.asks = bool(policy.assignment.needs or policy.capacity)
        self.demands: dict[Demanded, int] = {}

    def intents(self, facts: Facts) -> tuple[IntentLabel, ...]:
        """What handling times are learnt by, of facts whose promise was asked."""
        return self._intents[id(facts)]

    def demand(self, facts: Facts, since: datetime) -> int:
        """Which of `demands` all with these facts have, whose promise was asked."""
        known = self._needed.get(id(facts))
        if known is None:
            found = demand(facts, since, self._policy, since)
            wait = (found.relax_at - since).total_seconds() if found.relax_at else math.inf
            demanded = Demanded(found.rule, found.needs, found.relaxed, wait)
            known = self._needed[id(facts)] = self.demands.setdefault(demanded, len(self.demands))
        return known

    def promise(self, record: Record) -> tuple[Priority, float, float]:
        """The priority of all with these facts, and from arrival the seconds to either promise."""
        facts, since = record.facts, record.arrived_at
        known = self._known.get(id(facts))
        if known is None:
            priority = prioritise(facts, since, self._policy)
            rules = {rule.name: rule.calendar_name(priority.metric) for rule in self._policy.policies}
            always = rules[priority.policy] == ALWAYS
            seconds = float(priority.target_seconds) if always else None
            known = (priority, seconds, self._policy.calendar(rules[priority.policy]))
            self._known[id(facts)] = known
            self._intents[id(facts)] = wished(facts, self._policy)
            self._alive.append(facts)
        priority, seconds, calendar = known
        if seconds is not None:
            return priority, seconds, 2 * seconds
        target = timedelta(seconds=priority.target_seconds)
        due_at = calendar.deadline(since, target)
        second_due_at = calendar.deadline(due_at, target)
        return priority, _seconds(since, due_at), _seconds(since, second_due_at)


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()


def _worth(policy: Policy) -> Callable[[Facts], tuple[int, float]]:
    """Of facts, the tier's level (0 the best) and what its customers are worth."""
    none = len(policy.tiers)
    factors = policy.weights.tier
    by_tier: dict[str | None, tuple[int, float]] = {}

    def worth(facts: Facts) -> tuple[int, float]:
        found = by_tier.get(facts.tier)
        if found is None:
            tier = policy.known_tier(facts.tier)
            level = policy.tiers.index(tier) if tier is not None else none
            found = level, factors.get(tier or DEFAULT, 1.0)
            by_tier[facts.tier] = found
        return found

    return worth
