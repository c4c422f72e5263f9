"""How steady a plan is: what moves from one plan to the next while nothing happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations

from routing.plan_rules import PlanRules
from routing.replay.disciplines import Planner
from routing.types import Fullest, Plan, Waiting

LOOKED_AT = 50
_APART = timedelta(seconds=1)


class Watched:
    """A planner that looks, with every so many plans, at the plan a second later if nobody came or went.

    `looks` counts these, `pairs` the pairs among the first 50 of the earlier plan, `swapped` those of them
    that stand the other way round in the later one.
    """

    def __init__(self, planner: Planner, every: int = 20) -> None:
        self._planner, self._every = planner, every
        self._plans = 0
        self.looks = self.pairs = self.swapped = 0

    def __call__(
        self,
        waiting: Sequence[Waiting],
        agents: int,
        now: datetime,
        second_weight_factor: float,
        rules: PlanRules,
        before: Fullest | None,
    ) -> Plan:
        planned = self._planner(waiting, agents, now, second_weight_factor, rules, before)
        self._plans += 1
        if self._plans % self._every == 0:
            given = {place.id: (place.gave_way_at, place.gave_way_to) for place in planned.places}
            same = [replace(w, gave_way_at=given[w.id][0], gave_way_to=given[w.id][1]) for w in waiting]
            later = self._planner(same, agents, now + _APART, second_weight_factor, rules, planned.fullest)
            self.looks += 1
            first = [place.id for place in planned.places[:LOOKED_AT]]
            self.pairs += len(first) * (len(first) - 1) // 2
            self.swapped += swaps(first, [place.id for place in later.places])
        return planned


def swaps(before: Sequence[int], after: Sequence[int]) -> int:
    """How many pairs of `before` stand the other way round in `after`."""
    places = {number: place for place, number in enumerate(after)}
    return sum(places[a] > places[b] for a, b in combinations(before, 2))
