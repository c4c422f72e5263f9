"""Which conversations are answered earlier or later under another order, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from routing.policy import Policy
from routing.priority import prioritise
from routing.replay.disciplines import PlannedQueue
from routing.replay.jobs import Jobs
from routing.replay.needs import ANYBODY, demand_of, in_words
from routing.replay.records import Record
from routing.replay.simulator import Outcome
from routing.types import Priority

# Less than this nobody notices.
_NOTICED_SECONDS = 60
_SHOWN = 100

Side = tuple[str, Jobs, Outcome, Policy | None]
"""A run: its name, promises, outcome, and the policy that planned it; None for a rival."""


@dataclass(frozen=True, slots=True)
class Change:
    """A conversation whose answer moves; places count from 1, in the order in which work began."""

    ref: int
    arrived_at: datetime
    channel: str
    tier: str
    place_before: int | None
    place_after: int | None
    answered_before_at: datetime | None
    answered_after_at: datetime | None
    kept_before: bool
    kept_after: bool
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Changes:
    """From one run to another: how many are answered at least a minute earlier or later, which promises are
    won and lost (each run by its own), and the conversations that matter most, each with its reasons."""

    before: str
    after: str
    earlier: int
    later: int
    won: int
    lost: int
    conversations: Sequence[Change]


def changes(records: Sequence[Record], tiers: Sequence[str], before: Side, after: Side) -> Changes:
    """Compare two runs of the same records."""
    old, new = before[2].answered, after[2].answered
    moves = [_moved(a, b) for a, b in zip(old, new, strict=True)]
    kept_old = [a <= due for a, due in zip(old, before[1].due, strict=True)]
    kept_new = [a <= due for a, due in zip(new, after[1].due, strict=True)]
    moved = [
        job
        for job, move in enumerate(moves)
        if abs(move) >= _NOTICED_SECONDS or kept_old[job] != kept_new[job]
    ]
    # Promises won or lost come first, then whose answer moves most, the valuable before the others.
    value = before[1].value
    moved.sort(key=lambda job: (kept_old[job] == kept_new[job], -value[job], -abs(moves[job]), job))
    shown = moved[:_SHOWN]
    places_old, places_new = _places(before[2], shown), _places(after[2], shown)
    start = before[1].start
    return Changes(
        before=before[0],
        after=after[0],
        earlier=sum(move <= -_NOTICED_SECONDS for move in moves),
        later=sum(move >= _NOTICED_SECONDS for move in moves),
        won=sum(b and not a for a, b in zip(kept_old, kept_new, strict=True)),
        lost=sum(a and not b for a, b in zip(kept_old, kept_new, strict=True)),
        conversations=[
            Change(
                ref=records[job].ref,
                arrived_at=records[job].arrived_at,
                channel=records[job].facts.channel,
                tier=tiers[job],
                place_before=places_old[job],
                place_after=places_new[job],
                answered_before_at=_moment(start, old[job]),
                answered_after_at=_moment(start, new[job]),
                kept_before=kept_old[job],
                kept_after=kept_new[job],
                why=_why(job, records[job], before, after),
            )
            for job in shown
        ],
    )


def _moved(old: float, new: float) -> float:
    return 0.0 if old == new else new - old


def _places(outcome: Outcome, shown: Sequence[int]) -> dict[int, int | None]:
    order = sorted(range(len(outcome.started)), key=outcome.started.__getitem__)
    wanted = set(shown)
    found = {job: place for place, job in enumerate(order, start=1) if job in wanted}
    return {job: found[job] if outcome.started[job] < math.inf else None for job in shown}


def _moment(start: datetime, seconds: float) -> datetime | None:
    return None if seconds == math.inf else start + timedelta(seconds=seconds)


def _why(job: int, record: Record, before: Side, after: Side) -> list[str]:
    policies = before[3], after[3]
    why: list[str] = []
    for name, _, _, policy in (before, after):
        if policy is None:
            why.append(f"{name} looks at no weight and gives no promise up")
    if policies[0] is not None and policies[1] is not None:
        old, new = (prioritise(record.facts, record.arrived_at, policy) for policy in policies if policy)
        why += _differences(old, new)
        why += _other_needs(job, before[1], after[1])
    gave_way = [
        isinstance(side[2].queue, PlannedQueue) and job in side[2].queue.gave_way for side in (before, after)
    ]
    for gave, (name, *_) in zip(gave_way, (before, after), strict=True):
        if gave:
            why.append(f"gave way under {name}")
    return why or ["its own promise and weight are the same; others around it moved"]


def _other_needs(job: int, before: Jobs, after: Jobs) -> list[str]:
    old, new = demand_of(before, job), demand_of(after, job)
    words = [in_words(each.needs) if each else ANYBODY for each in (old, new)]
    return [f"needs {words[1]}, before {words[0]}"] if words[0] != words[1] else []


def _differences(old: Priority, new: Priority) -> list[str]:
    why = []
    if old.due_at != new.due_at:
        why.append(
            f"promised within {_minutes(new)} by {new.policy!r}, before {_minutes(old)} by {old.policy!r}"
        )
    elif old.policy != new.policy:
        why.append(f"policy {new.policy!r}, before {old.policy!r}, with the same promise")
    if old.weight != new.weight:
        was = {reason.text: reason.factor for reason in old.reasons}
        now = {reason.text: reason.factor for reason in new.reasons}
        texts = [text for text in {**was, **now} if was.get(text, 1.0) != now.get(text, 1.0)]
        changed = ", ".join(f"{text} ×{now.get(text, 1.0):g} (×{was.get(text, 1.0):g})" for text in texts)
        why.append(f"weight {new.weight:.3g}, before {old.weight:.3g}" + (f": {changed}" if changed else ""))
    if old.work_seconds != new.work_seconds:
        why.append(f"{new.work_seconds} s of work expected, before {old.work_seconds} s")
    return why


def _minutes(priority: Priority) -> str:
    return f"{priority.target_seconds / 60:g} min"
