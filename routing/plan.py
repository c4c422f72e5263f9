"""The plan: in which order to answer, so that the most valuable promises are kept.

After Moore and Hodgson (1968), with weights and several agents, where it is a heuristic. Conversations are
walked in the order of their promises, counting agents and expected work. Where one would come too late, the
one of least weight per minute of work among those so far gives way: it competes again, with less weight,
for a promise one more target later. A promise is taken to be kept if the work before it, shared among the
agents, plus its own work ends in time; no list schedule can be later than that (Graham 1969), so what the
plan keeps is kept.

A conversation whose promise has passed competes for the next one that is still to come. The second counts
`second_weight_factor` of the weight, and every further one as much again, up to the whole weight: who was
let down before is not let down for ever by newer ones of the same worth. Who cannot be given either of two
promises is placed where serving it breaks none that is kept, the longest waiting first.

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
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
# A promise that gave way returns only with this much room, in its own work: else it would come and go.
_MARGIN_TO_RETURN = 0.5
_BUCKET = 128


class _Bid(NamedTuple):
    """A conversation competing for a promise; `due` is in seconds from now. Sorts by promise, then id."""

    due: float
    id: int
    number: int
    retry: bool
    reply_by: datetime
    waiting: Waiting


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
    kept, rest = _choose(ordered, agents, now, second_weight_factor)
    places = _places(sorted(kept + _fit_in(rest, kept, agents, now)), now)
    breaking = tuple(place.id for place in places if place.gave_way_at is not None)
    return Plan(places, agents, breaking, needed)


def _all_in_time(ordered: Sequence[Waiting], dues: Sequence[float], agents: int) -> bool:
    load = 0.0
    for w, due in zip(ordered, dues, strict=True):
        if load / agents + _room_needed(w) > due:
            return False
        load += w.work_seconds
    return True


def _room_needed(w: Waiting) -> float:
    return w.work_seconds if w.gave_way_at is None else w.work_seconds * (1 + _MARGIN_TO_RETURN)


def _choose(
    ordered: Sequence[Waiting], agents: int, now: datetime, factor: float
) -> tuple[list[_Slot], list[_Bid]]:
    """The slots of those whose promise will be kept, and the bids of those for whom there is none."""
    bids = [_first_bid(w, now) for w in ordered]
    heapify(bids)
    # The least worth per minute of work first; among equals the one promised latest gives way.
    kept: list[tuple[float, float, int, _Bid]] = []
    rest: list[_Bid] = []
    load = longest = 0.0
    front = -math.inf

    def give_way(bid: _Bid) -> None:
        if bid.retry:
            rest.append(bid)
        else:
            heappush(bids, _bid(bid.waiting, bid.number + 1, now, retry=True))

    while bids:
        bid = heappop(bids)
        w = bid.waiting
        room = _room_needed(w) if bid.number == 1 else float(w.work_seconds)
        if bid.due < front:
            # It goes before work that is already planned: it may only use what nobody has, and with room for
            # the longest of those it delays.
            room = max(room, longest) + load / agents
        if room > bid.due:
            give_way(bid)
            continue
        heappush(kept, (_worth(bid, factor) / w.work_seconds, -bid.due, -bid.id, bid))
        longest, front = max(longest, w.work_seconds), max(front, bid.due)
        while load / agents + room > bid.due >= front:
            *_, loser = heappop(kept)
            give_way(loser)
            if loser is bid:
                break
            load -= loser.waiting.work_seconds
        else:
            load += w.work_seconds
    return sorted(_Slot(bid.reply_by, bid.id, bid.waiting) for *_, bid in kept), rest


def _first_bid(w: Waiting, now: datetime) -> _Bid:
    """The bid for the first of its promises that it could keep if it were alone."""
    earliest = now + timedelta(seconds=w.work_seconds)
    if w.due_at >= earliest:
        return _bid(w, 1, now)
    late_by = max(timedelta(0), earliest - w.second_due_at)
    return _bid(w, 2 + math.ceil(late_by / _step(w)), now)


def _bid(w: Waiting, number: int, now: datetime, *, retry: bool = False) -> _Bid:
    reply_by = w.due_at if number == 1 else w.second_due_at + (number - 2) * _step(w)
    return _Bid((reply_by - now).total_seconds(), w.id, number, retry, reply_by, w)


def _step(w: Waiting) -> timedelta:
    # A target may span a weekend of the calendar: a promise after the second is at most a day later.
    return min(max(w.second_due_at - w.due_at, _SECOND), _DAY)


def _worth(bid: _Bid, factor: float) -> float:
    if bid.number == 1:
        return bid.waiting.weight
    return bid.waiting.weight * min(1.0, factor * (bid.number - 1))


def _fit_in(rest: Sequence[_Bid], kept: Sequence[_Slot], agents: int, now: datetime) -> list[_Slot]:
    """Slots for those without a promise: as early as breaks none that is kept, the longest waiting first."""
    rooms = _rooms(kept, agents, now)
    slots: list[_Slot] = []
    load, behind = 0.0, 0
    for bid in sorted(rest, key=lambda bid: (bid.waiting.due_at, bid.id)):
        load += bid.waiting.work_seconds
        while rooms[behind] < load / agents:
            behind += 1
        earliest = kept[behind - 1].reply_by + _SECOND if behind else bid.reply_by
        slots.append(_Slot(max(bid.reply_by, earliest), bid.id, bid.waiting))
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
