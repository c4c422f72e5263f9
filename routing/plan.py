"""The plan: in which order to answer, so that the most valuable promises are kept.

After Moore and Hodgson (1968), with weights and several agents, where it is a heuristic. Conversations are
walked in the order of their promises, counting agents and expected work. Where one would come too late, the
one of least weight per minute of work among those so far gives way: it competes again, with less weight,
for a promise one more target later. A promise is taken to be kept if the work before it, shared among the
agents, plus its own work ends in time; no list schedule can be later than that (Graham 1969), so what the
plan keeps is kept.

A conversation whose promise has passed competes for the next one that is still to come. The second counts
`second_weight_factor` of the weight, every further one a tenth of that more, so that nobody is let down for
ever. Who can be given neither that promise nor the one after it is placed where serving it breaks none that
is kept, the longest waiting first.

Everything is computed afresh from promises, facts and `now`, so that promises come back when there is room.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush, heapreplace
from itertools import accumulate
from typing import NamedTuple

from routing.types import Place, Plan, Waiting

_HOUR_SECONDS = 3600
_DAY_SECONDS = 86_400.0
# A promise that gave way returns only with this much room, in its own work: else it would come and go.
_MARGIN_TO_RETURN = 2
# A promise after the second weighs this share more than the one before: who waits long enough is served.
_GROWTH = 0.1
_BUCKET = 128


# A conversation competing for its n-th promise: seconds until then, its index in order of first promises, n.
_Bid = tuple[float, int, int]


class _Slot(NamedTuple):
    """Where a conversation is served. Sorts as the queue does: by `reply_by`, then id."""

    reply_by: datetime
    id: int
    waiting: Waiting


def plan(waiting: Sequence[Waiting], agents: int, now: datetime, second_weight_factor: float = 0.5) -> Plan:
    """Place every conversation. Pure and deterministic: the order of `waiting` does not matter.

    Without agents nothing gives way and all stand at their promises, although none will be kept.
    """
    ordered = sorted(waiting, key=lambda w: (w.due_at, w.id))
    dues = [(w.due_at - now).total_seconds() for w in ordered]
    needed = _agents_needed(ordered, dues)
    if agents <= 0 or _all_in_time(ordered, dues, agents):
        places = tuple([Place(w.id, w.due_at) for w in ordered])
        return Plan(places, max(agents, 0), tuple(w.id for w in ordered) if agents <= 0 else (), needed)
    kept, rest = _choose(ordered, dues, agents, now, second_weight_factor)
    places = _places(sorted(kept + _fit_in(rest, kept, agents, now)), now)
    breaking = tuple([place.id for place in places if place.gave_way_at is not None])
    return Plan(places, agents, breaking, needed)


def _all_in_time(ordered: Sequence[Waiting], dues: Sequence[float], agents: int) -> bool:
    load = 0.0
    for ahead, (w, due) in enumerate(zip(ordered, dues, strict=True)):
        if _wait(load, ahead, agents) + _room_needed(w) > due:
            return False
        load += w.work_seconds
    return True


def _room_needed(w: Waiting) -> float:
    return w.work_seconds if w.gave_way_at is None else w.work_seconds * (1 + _MARGIN_TO_RETURN)


def _choose(
    ordered: Sequence[Waiting], dues: Sequence[float], agents: int, now: datetime, factor: float
) -> tuple[list[_Slot], list[_Slot]]:
    """Those whose n-th promise will be kept; and those for whom there is none, at the last they asked for."""
    seconds = [(w.second_due_at - now).total_seconds() for w in ordered]
    steps = [_step(w) for w in ordered]
    bids: list[_Bid] = [
        _first_bid(i, w.work_seconds, dues[i], seconds[i], steps[i]) for i, w in enumerate(ordered)
    ]
    first = [number for _, _, number in bids]
    heapify(bids)
    # The least worth per second of work first; among equals the one promised latest gives way.
    kept: list[tuple[float, float, int, int]] = []
    rest: list[tuple[int, int]] = []
    load = longest = 0.0
    front = -math.inf

    def give_way(due: float, i: int, number: int) -> None:
        if number > first[i]:
            rest.append((i, number))
        else:
            heappush(bids, (seconds[i] if number == 1 else due + steps[i], i, number + 1))

    while bids:
        due, i, number = heappop(bids)
        w = ordered[i]
        work = w.work_seconds
        worth = w.weight
        room: float = work
        if number == 1:
            room = _room_needed(w)
        else:
            worth *= factor * (1 + _GROWTH * (number - 2))
        if due < front:
            # It goes before work that is already planned: it may only use what nobody has, and with room for
            # the longest of those it delays.
            room = max(room, longest) + load / agents
        if room > due:
            give_way(due, i, number)
            continue
        heappush(kept, (worth / work, -due, -i, number))
        load += work
        longest, front = max(longest, work), max(front, due)
        while due >= front and room + _wait(load - work, len(kept) - 1, agents) > due:
            _, loser_due, loser, loser_number = heappop(kept)
            load -= ordered[-loser].work_seconds
            give_way(-loser_due, -loser, loser_number)
            if -loser == i:
                break
    return (
        sorted([_slot(ordered[-i], number, steps[-i]) for _, _, i, number in kept]),
        [_slot(ordered[i], number, steps[i]) for i, number in sorted(rest)],
    )


def _wait(load: float, ahead: int, agents: int) -> float:
    """The longest that a free agent can be away, in seconds, with so much work and so many ahead."""
    return load / agents if ahead >= agents else 0.0


def _first_bid(i: int, work: float, due: float, second: float, step: float) -> _Bid:
    """The bid for the first of its promises that it could keep if it were alone."""
    if due >= work:
        return due, i, 1
    if second >= work:
        return second, i, 2
    further = math.ceil((work - second) / step)
    return second + further * step, i, 2 + further


def _step(w: Waiting) -> float:
    """Seconds from the second promise to the third, and so on: one more target, at most a day.

    At most, because a target may span a weekend of its calendar.
    """
    return min(max((w.second_due_at - w.due_at).total_seconds(), 1.0), _DAY_SECONDS)


def _slot(w: Waiting, number: int, step: float) -> _Slot:
    if number == 1:
        return _Slot(w.due_at, w.id, w)
    if number == 2:
        return _Slot(w.second_due_at, w.id, w)
    return _Slot(w.second_due_at + timedelta(seconds=(number - 2) * step), w.id, w)


def _fit_in(rest: Sequence[_Slot], kept: Sequence[_Slot], agents: int, now: datetime) -> list[_Slot]:
    """Put those without a promise where they break none that is kept, and the longest waiting first."""
    rooms = _rooms(kept, agents, now)
    slots: list[_Slot] = []
    load, behind = 0.0, 0
    for number, slot in enumerate(rest, start=1):
        load += slot.waiting.work_seconds
        while rooms[behind] < load / agents:
            behind += 1
        reply_by = slot.reply_by
        if behind:
            # The microseconds keep those who follow the same one in their order.
            reply_by = max(reply_by, kept[behind - 1].reply_by + number * timedelta.resolution)
        slots.append(_Slot(reply_by, slot.id, slot.waiting))
    return slots


def _rooms(kept: Sequence[_Slot], agents: int, now: datetime) -> list[float]:
    """For each slot, and after the last, by how many seconds it and all behind it can be put off."""
    rooms = []
    load = 0.0
    for slot in kept:
        rooms.append((slot.reply_by - now).total_seconds() - load / agents - slot.waiting.work_seconds)
        load += slot.waiting.work_seconds
    rooms.append(math.inf)
    return list(accumulate(reversed(rooms), min))[::-1]


def _places(served: Sequence[_Slot], now: datetime) -> tuple[Place, ...]:
    """Count for each that gave way how many of more weight come before it, in buckets of ranks for speed."""
    ranks = {weight: rank for rank, weight in enumerate(sorted({slot.waiting.weight for slot in served}))}
    counts = [0] * len(ranks)
    buckets = [0] * (len(ranks) // _BUCKET + 1)
    places = []
    for reply_by, _, w in served:
        rank = ranks[w.weight]
        bucket = rank // _BUCKET
        if reply_by > w.due_at:
            heavier = sum(counts[rank + 1 : (bucket + 1) * _BUCKET]) + sum(buckets[bucket + 1 :])
            places.append(Place(w.id, reply_by, w.gave_way_at or now, heavier))
        else:
            places.append(Place(w.id, reply_by))
        counts[rank] += 1
        buckets[bucket] += 1
    return tuple(places)


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
