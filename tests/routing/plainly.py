"""The plan as it is told, one conversation after the other, in no haste: `routing.plan` is held to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from routing.plan_rules import PlanRules
from routing.types import Fullest, Place, Waiting

GRID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass
class Bid:
    w: Waiting
    aim: datetime
    room: float
    least: float
    worth: float


def plainly(
    waiting: Sequence[Waiting],
    agents: int,
    now: datetime,
    returning: float,
    rules: PlanRules,
    before: Fullest | None,
) -> list[Place]:
    """The places, as `routing.plan.plan` gives them where somebody is on duty."""
    through = sum(w.work_seconds for w in waiting) / agents
    full: float = sum(w.work_seconds for w in waiting if left(w, now) <= through)
    if before is not None:
        full = max(full, before.seconds * 0.5 ** ((now - before.at) / rules.memory))
    full /= agents
    served: list[tuple[datetime, Waiting]] = []
    bids: list[Bid] = []
    for w in waiting:
        step = target(w).total_seconds()
        least = min(w.work_seconds * 0.75, step * rules.room_of_target)
        room = max(min(w.work_seconds * rules.room, step * rules.room_of_target), least)
        if w.gave_way_at is not None:
            room += w.work_seconds * rules.room_to_return
        safe = left(w, now) >= room
        if not safe and w.gave_way_at is None:
            room = least
        if left(w, now) >= room:
            early = int(step * (1 - w.weight**-rules.early)) if w.weight > 1 else 0
            worth = w.weight / w.work_seconds
            if w.gave_way_at is not None:
                worth *= returning
            elif not safe:
                worth *= 0.75
            bids.append(Bid(w, w.due_at - early * SECOND, room, least, worth))
        else:
            served.append((owed_by(w, full, now, rules), w))
    hopeless = {w.id for _, w in served}
    kept: list[Bid] = []
    for bid in sorted(bids, key=lambda bid: (bid.aim, bid.w.due_at, bid.w.id)):
        kept.append(bid)
        while True:
            ahead = [w for at, w in served if at <= bid.aim] + [other.w for other in kept if other is not bid]
            wait = sum(w.work_seconds for w in ahead) / agents if len(ahead) >= agents else 0.0
            if bid.room + wait <= left(bid.w, now):
                break
            back = bid.w.gave_way_at is not None
            loser = min(kept, key=lambda other: (other.worth, GRID_FROM - other.w.due_at, -other.w.id))
            if back:
                loser = bid
            if loser is bid and not back and bid.least < bid.room and bid.least + wait <= left(bid.w, now):
                break
            kept.remove(loser)
            served.append((max(owed_by(loser.w, full, now, rules), loser.aim), loser.w))
            if loser is bid:
                break
    standing = {bid.w.id for bid in kept}
    served += [(bid.aim, bid.w) for bid in kept]
    served.sort(key=lambda each: (each[0], each[1].id))
    places = []
    for number, (at, w) in enumerate(served):
        if w.id in standing:
            places.append(Place(w.id, at))
        elif w.gave_way_at is not None:
            places.append(Place(w.id, at, w.gave_way_at, w.gave_way_to))
        else:
            ahead = [other for _, other in served[:number] if other.id in standing]
            heavier = sum(other.weight > w.weight for other in ahead)
            places.append(Place(w.id, at, now, 0 if w.id in hopeless else heavier))
    return places


def target(w: Waiting) -> timedelta:
    given = w.second_due_at - w.due_at if w.target_seconds is None else w.target_seconds * SECOND
    return min(max(given, SECOND), DAY)


def left(w: Waiting, now: datetime) -> float:
    return (w.due_at - now).total_seconds()


def owed_by(w: Waiting, full: float, now: datetime, rules: PlanRules) -> datetime:
    step = target(w).total_seconds()
    patience = rules.patience * 1.1 ** math.ceil(math.log(max(full, 1.0), 1.1)) / max(w.weight, 1)
    owed = w.due_at + int(max(patience, rules.least_patience * step) - step) * SECOND
    half = rules.behind / 2
    behind = GRID_FROM + half * ((now - GRID_FROM) // half + 2)
    return owed if owed >= behind else behind + (owed - behind) / 100
