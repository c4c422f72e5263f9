"""The plan: in which order to answer, so that the most valuable promises are kept.

After Moore and Hodgson (1968), with weights and several agents, where it is a heuristic. Everybody has an
aim: the promise, or earlier the more they are worth. Conversations are walked in the order of their aims,
counting agents and expected work. Where one would come too late, the one of least weight per minute of work
among those so far gives way. A promise is safe while several times its expected work is left of it, since
work may take longer; a tight one is kept only where no safe one must give way for it. What the plan keeps is
kept if work takes as long as expected: no list schedule is later than the work before, shared among the
agents, plus one's own (Graham 1969).

Who gave way is owed an answer by a time of their own, a multiple of the time that everybody who waited
would have taken, at the fullest of late. Until then they are served when nobody else waits, who waits longest
first: nothing is spent on lost promises while others can still be kept. Then they go before all but the most
valuable, who are aimed at within minutes. So the longest wait is bound to how full the queue was, as under
any order.

Places depend on `now` only where something happens, so that they do not flicker. An aim stands still; what
is owed moves when the queue gets fuller by a tenth; a promise that gave way returns only with less weight and
with room to spare; who stands behind the most valuable is moved on once in half that time.

Pure: `before`, how full the queue was, is handed from one plan to the next.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush, heapreplace

from routing.plan_rules import DEFAULT_RULES, PlanRules
from routing.types import Fullest, Place, Plan, Waiting

_HOUR_SECONDS = 3600
_DAY_SECONDS = 86_400.0
# A tight promise is worth so little beside any safe one, and yet the more the heavier it is.
_TIGHT = 1e-9
# How full the queue was counts in steps of a tenth, or what is owed would move with every arrival.
_STEP_OF_FULLNESS = 1.1
# Who waits longer than is owed comes nearer to the head by this part of it: in the end nobody is before them.
_SQUEEZE = 100
_GRID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_BUCKET = 128


# Where a conversation is served: sorts as the queue does, by `reply_by`, then id. Last, whether it is kept.
_Slot = tuple[datetime, int, Waiting, bool]


def plan(
    waiting: Sequence[Waiting],
    agents: int,
    now: datetime,
    second_weight_factor: float = 0.5,
    rules: PlanRules = DEFAULT_RULES,
    before: Fullest | None = None,
) -> Plan:
    """Place every conversation. Deterministic: the order of `waiting` does not matter.

    `second_weight_factor` is how much of its weight a promise that gave way has when it might return. Without
    agents nothing gives way and all stand at their promises, although none will be kept.
    """
    ordered = sorted(waiting, key=lambda w: (w.due_at, w.id))
    dues = [(w.due_at - now).total_seconds() for w in ordered]
    needed = _agents_needed(ordered, dues)
    if agents <= 0:
        places = tuple([Place(w.id, w.due_at) for w in ordered])
        return Plan(places, 0, tuple([w.id for w in ordered]), needed, before)
    fullest = _fullest(sum([w.work_seconds for w in ordered]) / agents, now, rules, before)
    debts = _Debts(rules, fullest.seconds, now)
    slots = _serve(ordered, dues, agents, now, second_weight_factor, rules, debts)
    slots.sort()
    places = _places(slots, now)
    breaking = tuple([place.id for place in places if place.gave_way_at is not None])
    return Plan(places, agents, breaking, needed, fullest)


def aim(w: Waiting, rules: PlanRules = DEFAULT_RULES) -> datetime:
    """When the plan wants to serve a conversation whose promise stands: where a new one stands until then."""
    return w.due_at - timedelta(seconds=_early(w, _step(w), rules)) if w.weight > 1 else w.due_at


def _early(w: Waiting, step: float, rules: PlanRules) -> int:
    return int(step * (1 - w.weight**-rules.early)) if w.weight > 1 else 0


def _step(w: Waiting) -> float:
    """One target in seconds, at most a day: a target may span a weekend of its calendar."""
    step = (w.second_due_at - w.due_at).total_seconds()
    return step if 1.0 <= step <= _DAY_SECONDS else min(max(step, 1.0), _DAY_SECONDS)


def _fullest(seconds: float, now: datetime, rules: PlanRules, before: Fullest | None) -> Fullest:
    """Now, or before if that still counts for more."""
    if before is not None:
        faded = before.seconds * 0.5 ** (max((now - before.at) / rules.memory, 0.0))
        seconds = max(seconds, faded)
    return Fullest(seconds, now)


class _Debts:
    """By when those are answered who gave way."""

    def __init__(self, rules: PlanRules, full_seconds: float, now: datetime) -> None:
        steps = math.ceil(math.log(max(full_seconds, 1.0), _STEP_OF_FULLNESS))
        self._patience = rules.patience * _STEP_OF_FULLNESS**steps
        self._least = rules.least_patience
        half = rules.behind / 2
        # A moment that stays for half of `behind`, and is no less than that away.
        self._behind = _GRID_FROM + half * (math.floor((now - _GRID_FROM) / half) + 2)
        self._after: dict[float, timedelta] = {}

    def owed_by(self, w: Waiting, step: float) -> datetime:
        """When, if they began to wait one target before the promise."""
        after = self._after.get(step)
        if after is None:
            after = timedelta(seconds=int(max(self._patience, self._least * step) - step))
            self._after[step] = after
        owed, behind = w.due_at + after, self._behind
        return owed if owed >= behind else behind + (owed - behind) / _SQUEEZE


def _serve(
    ordered: Sequence[Waiting],
    dues: Sequence[float],
    agents: int,
    now: datetime,
    returning: float,
    rules: PlanRules,
    debts: _Debts,
) -> list[_Slot]:
    """Walk along the aims, deciding who is kept."""
    slots: list[_Slot] = []
    # What is owed, in seconds from now, and its work, that is not yet counted.
    owed: list[tuple[float, int]] = []
    bids: list[tuple[float, int, float, float, float]] = []
    early = [0] * len(ordered)
    room_factor, target_factor, return_factor = rules.room, rules.room_of_target, rules.room_to_return
    for i, (w, due) in enumerate(zip(ordered, dues, strict=True)):
        step, work = _step(w), w.work_seconds
        # Work that seems to fill the whole target is tried all the same: estimates can be wrong.
        least = min(work, step * target_factor)
        if due >= least:
            room = max(min(work * room_factor, step * target_factor), least)
            worth = w.weight / work
            if w.gave_way_at is not None:
                worth *= returning
                room += work * return_factor
            elif due < room:
                room, worth = least, worth * _TIGHT
            if due >= room:
                early[i] = _early(w, step, rules)
                bids.append((due - early[i], i, worth, room, least))
                continue
        owed_by = debts.owed_by(w, step)
        slots.append((owed_by, w.id, w, False))
        owed.append(((owed_by - now).total_seconds(), work))
    heapify(owed)
    bids.sort()
    # Least worth per second of work first; among equals the one promised latest gives way.
    kept: list[tuple[float, float, int]] = []
    load, ahead = 0.0, 0
    for aim_seconds, i, worth, room, least in bids:
        due, work = dues[i], ordered[i].work_seconds
        while owed and owed[0][0] <= aim_seconds:
            load += heappop(owed)[1]
            ahead += 1
        heappush(kept, (worth, -due, -i))
        ahead += 1
        load += work
        # A free agent is away no longer than the work before, shared; nobody waits where fewer are ahead.
        while room + (before := (load - work) / agents if ahead > agents else 0.0) > due:
            lowest, _, negative = heappop(kept)
            loser = ordered[-negative]
            if -negative == i and room > least and least + before <= due and loser.gave_way_at is None:
                heappush(kept, (lowest * _TIGHT, -due, -i))
                break
            load -= loser.work_seconds
            ahead -= 1
            # Not before its aim: those kept there count on that.
            aimed_at = loser.due_at - timedelta(seconds=early[-negative])
            owed_by = max(debts.owed_by(loser, _step(loser)), aimed_at)
            slots.append((owed_by, loser.id, loser, False))
            heappush(owed, ((owed_by - now).total_seconds(), loser.work_seconds))
            if -negative == i:
                break
    for _, _, negative in kept:
        w, seconds = ordered[-negative], early[-negative]
        slots.append((w.due_at - timedelta(seconds=seconds) if seconds else w.due_at, w.id, w, True))
    return slots


def _places(served: Sequence[_Slot], now: datetime) -> tuple[Place, ...]:
    """Count for each that gives way now how many of more weight come before it, in buckets of ranks."""
    if not [w for _, _, w, kept in served if not kept and w.gave_way_at is None]:
        return tuple([_place(slot) for slot in served])
    ranks = {weight: rank for rank, weight in enumerate(sorted({w.weight for _, _, w, _ in served}))}
    counts = [0] * len(ranks)
    buckets = [0] * (len(ranks) // _BUCKET + 1)
    places = []
    for slot in served:
        reply_by, number, w, kept = slot
        rank = ranks[w.weight]
        bucket = rank // _BUCKET
        if kept or w.gave_way_at is not None:
            places.append(_place(slot))
        else:
            heavier = sum(counts[rank + 1 : (bucket + 1) * _BUCKET]) + sum(buckets[bucket + 1 :])
            places.append(Place(number, reply_by, now, heavier))
        counts[rank] += 1
        buckets[bucket] += 1
    return tuple(places)


def _place(slot: _Slot) -> Place:
    reply_by, number, w, kept = slot
    return Place(number, reply_by) if kept else Place(number, reply_by, w.gave_way_at, w.gave_way_to)


def _agents_needed(ordered: Sequence[Waiting], dues: Sequence[float]) -> int:
    """The fewest agents who keep every promise of the next hour that one agent alone could still keep."""
    hour = [
        (w.work_seconds, due)
        for w, due in zip(ordered, dues, strict=True)
        if w.work_seconds <= due <= _HOUR_SECONDS
    ]
    # No fewer than the work needs by each promise; no more than the bound by Graham, or one for each.
    fewest, most, load = 0, 0, 0.0
    for number, (work, due) in enumerate(hour, start=1):
        fewest = max(fewest, math.ceil((load + work) / due))
        spare = due - work
        most = max(most, min(number, max(1, math.ceil(load / spare)) if spare else number))
        load += work
    return fewest + bisect_left(range(fewest, most), True, key=lambda agents: _kept_by(hour, agents))


def _kept_by(jobs: Sequence[tuple[int, float]], agents: int) -> bool:
    free_at = [0.0] * agents
    for work, due in jobs:
        done = free_at[0] + work
        if done > due:
            return False
        heapreplace(free_at, done)
    return True
