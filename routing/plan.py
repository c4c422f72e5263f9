"""The plan: in which order to answer, so that the most valuable promises are kept.

After Moore and Hodgson (1968), with weights and several agents, where it is a heuristic. Everybody has an
aim: the promise, or earlier the more they are worth. Conversations are walked in the order of their aims,
counting agents and expected work. Where one would come too late, the one of least worth among those so far
gives way: its weight per minute of work. A promise is safe while several times its expected work is left of
it, since work may take longer; a tight one counts less, by how many of such are kept. What the plan keeps is
kept if work takes as long as expected: no list schedule is later than the work before, shared among
the agents, plus one's own (Graham 1969).

Who gave way is owed an answer by a time of their own, a multiple of the time that everybody who waited
would have taken, at the fullest of late; a share of it, the more they are worth. Until then they are served
when nobody else waits, who is owed one soonest first: nothing is spent on lost promises while others can
still be kept. Then they go before all but the most valuable, who are aimed at within minutes. So the longest
wait is bound to how full the queue was, as under any order, and nobody valuable waits it out.

Places depend on `now` only where something happens, so that they do not flicker. An aim stands still; what
is owed moves when the queue gets fuller by a tenth; a promise that gave way returns only with less weight,
with room to spare, and where nobody gives way for it; who stands behind the most valuable is moved on once in
half that time.

Pure: `before`, how full the queue was, is handed from one plan to the next. What is the same for all is done
in columns, an index for each conversation in the order of the promises; times are whole microseconds from
now, so that nothing hangs on rounding.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush, heapreplace

import numpy as np
import numpy.typing as npt

from routing.plan_rules import DEFAULT_RULES, PlanRules
from routing.types import Fullest, Place, Plan, Waiting

_HOUR_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0
# How full the queue was counts in steps of a tenth, or what is owed would move with every arrival.
_STEP_OF_FULLNESS = 1.1
# Who waits longer than is owed comes nearer to the head by this part of it: in the end nobody is before them.
_SQUEEZE = 100
# Work is log-normal in call centres (Brown et al. 2005, doi:10.1198/016214504000001808): of tight promises
# about so many are kept. By replay, the chance of each for itself brings nothing more, and moves places.
_TIGHT = 0.75
# A promise is tried while so much of its expected work is left of it: in four of ten cases that is enough.
_SHORTER = 0.75
_GRID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta.resolution
_BLOCK = 256
_A_SECOND = 1_000_000

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


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
    queue = _Queue.of(waiting, now)
    needed = _agents_needed(queue)
    if agents <= 0:
        places = tuple([Place(w.id, w.due_at) for w in queue.waiting])
        return Plan(places, 0, tuple([place.id for place in places]), needed, before)
    fullest = _fullest(_pressing(queue, agents), now, rules, before)
    owed = _owed(queue, fullest.seconds / agents, now, rules)
    serve_at, kept, outbid = _serve(queue, agents, second_weight_factor, rules, owed)
    places = _places(queue, serve_at, kept, outbid, now)
    breaking = tuple([place.id for place in places if place.gave_way_at is not None])
    return Plan(places, agents, breaking, needed, fullest)


def aim(w: Waiting, rules: PlanRules = DEFAULT_RULES) -> datetime:
    """When the plan wants to serve a conversation whose promise stands: where a new one stands until then."""
    if w.weight <= 1:
        return w.due_at
    return w.due_at - timedelta(seconds=_early(w.weight, _step(w), rules.early))


def _step(w: Waiting) -> float:
    """One target in seconds; at most a day, since it may span a weekend of its calendar."""
    between = (w.second_due_at - w.due_at).total_seconds() if w.target_seconds is None else w.target_seconds
    return min(max(between, 1.0), _DAY_SECONDS)


def _early(weight: float, step: float, early: float) -> int:
    """So many seconds before its promise a conversation of more weight than 1 is aimed at."""
    return int(step * (1 - weight**-early))


@dataclass(frozen=True, slots=True)
class _Queue:
    """The conversations in the order of their promises, then ids, as columns.

    `due_at` is in microseconds from now, `due` in seconds; `step` is one target in seconds; `gave_way` is
    whether it did before this plan.
    """

    waiting: list[Waiting]
    ids: _Ints
    due_at: _Ints
    due: _Floats
    step: _Floats
    work: _Floats
    weight: _Floats
    gave_way: _Flags

    @classmethod
    def of(cls, waiting: Sequence[Waiting], now: datetime) -> _Queue:
        ids = np.array([w.id for w in waiting], np.int64)
        due_at = np.array([(w.due_at - now) // _MICROSECOND for w in waiting], np.int64)
        order = np.lexsort((ids, due_at))
        ordered = [waiting[i] for i in order.tolist()]
        due_at = due_at[order]
        return cls(
            ordered,
            ids[order],
            due_at,
            due_at / _A_SECOND,
            np.array([_step(w) for w in ordered], np.float64),
            np.array([w.work_seconds for w in ordered], np.float64),
            np.array([w.weight for w in ordered], np.float64),
            np.array([w.gave_way_at is not None for w in ordered], np.bool_),
        )

    def early(self, rules: PlanRules) -> _Ints:
        """How many seconds before its promise each is aimed at."""
        facts = zip(self.weight.tolist(), self.step.tolist(), strict=True)
        return np.array(
            [_early(weight, step, rules.early) if weight > 1 else 0 for weight, step in facts], np.int64
        )


def _pressing(queue: _Queue, agents: int) -> float:
    """The seconds of work that wait, but of what is promised for when all are through with everything, such
    as mail that came on a Saturday for those of Monday."""
    through = float(queue.work.sum()) / agents
    return float(queue.work[queue.due <= through].sum())


def _fullest(seconds: float, now: datetime, rules: PlanRules, before: Fullest | None) -> Fullest:
    """Now, or before if that still counts for more."""
    if before is not None:
        faded = before.seconds * 0.5 ** (max((now - before.at) / rules.memory, 0.0))
        seconds = max(seconds, faded)
    return Fullest(seconds, now)


def _owed(queue: _Queue, fullest: float, now: datetime, rules: PlanRules) -> _Ints:
    """By when each is answered if it gives way, having begun to wait one target before its promise.

    `fullest` is how long the agents of now would have needed for the fullest queue of late: of how many there
    were then nothing is left, so that those of an early morning put off nobody for days.
    """
    steps = math.ceil(math.log(max(fullest, 1.0), _STEP_OF_FULLNESS))
    patience = rules.patience * _STEP_OF_FULLNESS**steps / np.maximum(queue.weight, 1.0)
    after = np.maximum(patience, rules.least_patience * queue.step) - queue.step
    owed: _Ints = queue.due_at + after.astype(np.int64) * _A_SECOND
    # A moment that stays for half of `behind`, and is no less than that away.
    half = rules.behind / 2
    behind = (_GRID_FROM + half * (math.floor((now - _GRID_FROM) / half) + 2) - now) // _MICROSECOND
    squeezed = behind + np.rint((owed - behind) / _SQUEEZE).astype(np.int64)
    return np.where(owed >= behind, owed, squeezed)


def _serve(
    queue: _Queue, agents: int, returning: float, rules: PlanRules, owed: _Ints
) -> tuple[_Ints, _Flags, _Flags]:
    """Walk along the aims, deciding who is kept.

    Gives when each is served, who is kept, and who is not because of others.
    """
    share = queue.step * rules.room_of_target
    # Work that seems to fill the whole target is tried all the same: estimates can be wrong.
    least = np.minimum(queue.work * _SHORTER, share)
    room = np.maximum(np.minimum(queue.work * rules.room, share), least)
    back = queue.gave_way
    worth = queue.weight / queue.work * np.where(back, returning, 1.0)
    room += np.where(back, queue.work * rules.room_to_return, 0.0)
    tight = ~back & (queue.due < room)
    room = np.where(tight, least, room)
    worth[tight] *= _TIGHT
    kept = queue.due >= room
    aims = queue.due_at - queue.early(rules) * _A_SECOND
    # Who loses is not served before their aim: those kept there count on that.
    owed = np.where(kept, np.maximum(owed, aims), owed)
    order = np.lexsort((aims, ~kept))[: np.count_nonzero(kept)]
    # By worth per second of work; among equals the one promised latest is worth least.
    by_worth = np.lexsort((-order, -queue.due[order], worth[order]))
    ranks = np.empty_like(order)
    ranks[by_worth] = np.arange(len(order))
    bids = zip(
        *(order.tolist(), aims[order].tolist(), queue.due[order].tolist(), queue.work[order].tolist()),
        *(room[order].tolist(), least[order].tolist(), ranks.tolist(), back[order].tolist()),
        strict=True,
    )
    lost_already = np.lexsort((owed, kept))[: len(kept) - len(order)][::-1]
    debts = owed[lost_already].tolist(), queue.work[lost_already].tolist()
    lost = _losers(list(bids), order[by_worth].tolist(), debts, owed.tolist(), queue.work.tolist(), agents)
    kept[lost] = False
    outbid = np.zeros_like(kept)
    outbid[lost] = True
    return np.where(kept, aims, owed), kept, outbid


_Bid = tuple[int, int, float, float, float, float, int, bool]
"""An index, its aim, promise, work, room, least room, rank by worth, and whether it came back."""


def _losers(
    bids: Sequence[_Bid],
    by_worth: Sequence[int],
    debts: tuple[list[int], list[float]],
    owed: Sequence[int],
    works: Sequence[float],
    agents: int,
) -> list[int]:
    """Who gives way of those who bid, along their aims.

    `debts` are what is owed to those who do not, and its work, the latest first; `by_worth` are the indices,
    the least worth first.
    """
    debts_due, debts_work = debts
    newly_owed: list[tuple[int, float]] = []
    # By rank.
    kept: list[int] = []
    lost: list[int] = []
    load, ahead = 0.0, 0
    for index, aimed_at, due, work, room, least, rank, back in bids:
        while debts_due and debts_due[-1] <= aimed_at:
            debts_due.pop()
            load += debts_work.pop()
            ahead += 1
        while newly_owed and newly_owed[0][0] <= aimed_at:
            load += heappop(newly_owed)[1]
            ahead += 1
        if back and room + (load / agents if ahead >= agents else 0.0) > due:
            # It returns where there is room, and has nobody give way: they would come back for it at once.
            lost.append(index)
            heappush(newly_owed, (owed[index], work))
            continue
        heappush(kept, rank)
        ahead += 1
        load += work
        # A free agent is away no longer than the work before, shared; nobody waits where fewer are ahead.
        while room + (before := (load - work) / agents if ahead > agents else 0.0) > due:
            loser = by_worth[heappop(kept)]
            if loser == index and room > least and least + before <= due:
                heappush(kept, rank)
                break
            load -= works[loser]
            ahead -= 1
            lost.append(loser)
            heappush(newly_owed, (owed[loser], works[loser]))
            if loser == index:
                break
    return lost


def _places(queue: _Queue, serve_at: _Ints, kept: _Flags, outbid: _Flags, now: datetime) -> tuple[Place, ...]:
    """In the order of serving; who gives way now is told to how many of more weight, if to any."""
    order = np.lexsort((queue.ids, serve_at))
    newly = (~kept & ~queue.gave_way)[order]
    asked = np.flatnonzero(newly & outbid[order])
    heavier = np.zeros(len(order), np.int64)
    heavier[asked] = _heavier(queue.weight[order], kept[order], asked)
    places = []
    ordered = [queue.waiting[i] for i in order.tolist()]
    columns = serve_at[order].tolist(), kept[order].tolist(), newly.tolist(), heavier.tolist()
    for w, micros, stays, new, ahead in zip(ordered, *columns, strict=True):
        reply_by = now + timedelta(0, 0, micros)
        if stays:
            places.append(Place(w.id, reply_by))
        elif new:
            places.append(Place(w.id, reply_by, now, ahead))
        else:
            places.append(Place(w.id, reply_by, w.gave_way_at, w.gave_way_to))
    return tuple(places)


def _heavier(weight: _Floats, kept: _Flags, asked: npt.NDArray[np.intp]) -> list[int]:
    """For each place that is asked, in order: how many kept before it weigh more."""
    found: list[int] = []
    counts = np.where(kept, weight, -np.inf)
    before = np.empty(0)
    for first in range(0, asked[-1] + 1 if len(asked) else 0, _BLOCK):
        block = counts[first : first + _BLOCK]
        within = asked[(asked >= first) & (asked < first + _BLOCK)] - first
        if len(within):
            mine = weight[first + within]
            inside = (block[None, :] > mine[:, None]) & (np.arange(len(block)) < within[:, None])
            found += (len(before) - np.searchsorted(before, mine, "right") + inside.sum(axis=1)).tolist()
        before = np.sort(np.concatenate((before, block)), kind="stable")
    return found


def _agents_needed(queue: _Queue) -> int:
    """The fewest agents who keep every promise of the next hour that one agent alone could still keep."""
    within = (queue.work <= queue.due) & (queue.due <= _HOUR_SECONDS)
    works, dues = queue.work[within].tolist(), queue.due[within].tolist()
    # No fewer than the work needs by each promise; no more than the bound by Graham, or one for each.
    fewest, most, load = 0, 0, 0.0
    for number, (work, due) in enumerate(zip(works, dues, strict=True), start=1):
        fewest = max(fewest, math.ceil((load + work) / due))
        spare = due - work
        most = max(most, min(number, max(1, math.ceil(load / spare)) if spare else number))
        load += work
    return fewest + bisect_left(range(fewest, most), True, key=lambda agents: _kept_by(works, dues, agents))


def _kept_by(works: Sequence[float], dues: Sequence[float], agents: int) -> bool:
    """Whether so many keep every one of these promises, in their order; each alone can be kept."""
    free_at = list(works[:agents])
    heapify(free_at)
    for work, due in zip(works[agents:], dues[agents:], strict=True):
        done = free_at[0] + work
        if done > due:
            return False
        heapreplace(free_at, done)
    return True
