"""What is owed to a customer and since when: due times, pauses, how a promise stands, and the times measured.

A clock counts in its promise's calendar. It pauses while the conversation's status stops its metric
(https://support.zendesk.com/hc/en-us/articles/4408821871642, which knows no snoozing):

| metric | runs from | runs while |
|---|---|---|
| first_reply_time, next_reply_time | the oldest unanswered customer message | it is unanswered |
| periodic_update_time | the newest reply | new, open, on_hold, snoozed |
| resolution_time | the first customer message | new, open, on_hold, snoozed |
| requester_wait_time (measured) | the first customer message | new, open, on_hold, snoozed |
| agent_work_time (measured) | the first customer message | new, open |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from routing.calendars import Calendar
from routing.clocks import ConversationState, StatusChange
from routing.types import Metric, Status

REPLIES: frozenset[Metric] = frozenset({"first_reply_time", "next_reply_time"})
ENDED: frozenset[Status] = frozenset({"solved", "closed"})
_UNSOLVED: frozenset[Status] = frozenset({"new", "open", "on_hold", "snoozed"})
_AT_WORK: frozenset[Status] = frozenset({"new", "open"})
# An update is written when its time has nearly come: until then there is mostly nothing to say.
UPDATE_FROM = 0.8


class Pause(NamedTuple):
    """A time in which a clock stood still; `end` is None while it lasts."""

    begin: datetime
    end: datetime | None


class Owed(NamedTuple):
    """What the customer is owed, counted from `started_at`."""

    metric: Metric
    started_at: datetime


def owed(state: ConversationState) -> tuple[Owed, ...]:
    """Everything that is owed now, also what is paused, whether or not the policy promises it."""
    found = []
    if state.waiting_since is not None:
        found.append(Owed(state.metric, state.waiting_since))
    if state.history and state.status not in ENDED:
        if state.first_replied_at is not None and state.last_replied_at is not None:
            found.append(Owed("periodic_update_time", state.last_replied_at))
        found.append(Owed("resolution_time", state.history[0].at))
    return tuple(found)


def pauses(metric: Metric, started_at: datetime, history: Sequence[StatusChange]) -> tuple[Pause, ...]:
    """When the clock of a promise stood still since it started, in the order of time."""
    return () if metric in REPLIES else _outside(_UNSOLVED, started_at, history)


def _outside(
    statuses: frozenset[Status], started_at: datetime, history: Sequence[StatusChange]
) -> tuple[Pause, ...]:
    found: list[Pause] = []
    for index, change in enumerate(history):
        if change.status in statuses:
            continue
        end = history[index + 1].at if index + 1 < len(history) else None
        begin = max(change.at, started_at)
        if end is not None and end <= begin:
            continue
        if found and found[-1].end == begin:
            begin = found.pop().begin
        found.append(Pause(begin, end))
    return tuple(found)


def due_at(started_at: datetime, target: timedelta, calendar: Calendar, stood: Sequence[Pause]) -> datetime:
    """When `target` will have run. While the clock stands still: when it would be, had it gone on at once.

    Raises: routing.calendars.NeverOpen.
    """
    since, left = started_at, target
    for pause in stood:
        ran = calendar.elapsed(since, pause.begin)
        if ran >= left:
            break
        left -= ran
        since = pause.begin if pause.end is None else pause.end
    return calendar.deadline(since, left)


def elapsed(started_at: datetime, until: datetime, calendar: Calendar, stood: Sequence[Pause]) -> timedelta:
    """The open time that the clock ran from `started_at` to `until`."""
    ran = calendar.elapsed(started_at, until)
    for pause in stood:
        end = until if pause.end is None else min(pause.end, until)
        ran -= calendar.elapsed(max(started_at, pause.begin), end)
    return ran


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a promise stands. `breached_at` is `due_at` once that has passed without an answer.

    `late_by_seconds` counts in the promise's calendar and not while its clock stood still; so does `used`,
    the share of the target that is spent (over 1 where it is late).
    """

    outcome: Literal["running", "paused", "met", "breached"]
    met_at: datetime | None
    breached_at: datetime | None
    late_by_seconds: int
    used: float


def settle(
    due_at: datetime,
    target_seconds: int,
    calendar: Calendar,
    *,
    now: datetime,
    met_at: datetime | None = None,
    stood: Sequence[Pause] = (),
) -> Settlement:
    """Whether a promise is kept: the one definition behind badge, alert and report.

    An answer at `due_at` is in time. A late answer is a breach that has ended: `met_at` and `breached_at` are
    both set. For a wait that ended without an answer, `now` is when it ended.
    """
    at = now if met_at is None else met_at
    # A clock that stands still has got no further than where it stopped.
    paused = bool(stood) and stood[-1].end is None and stood[-1].begin <= at
    if paused:
        at = stood[-1].begin
    late = at > due_at
    late_by = elapsed(due_at, at, calendar, stood).total_seconds()
    left = calendar.elapsed(at, due_at).total_seconds()
    return Settlement(
        outcome="breached" if late else "met" if met_at else "paused" if paused else "running",
        met_at=met_at,
        breached_at=due_at if late else None,
        late_by_seconds=math.ceil(late_by),
        used=max(0.0, 1 + (late_by - left) / target_seconds),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """A promise that is still owed: what decides whether it governs.

    `asks_at` is when it asks for an answer, None while its clock stands still.
    """

    metric: Metric
    due_at: datetime
    asks_at: datetime | None


def governing(promises: Iterable[Standing], status: Status, now: datetime) -> Standing | None:
    """Which promise says by when the conversation is to be served: the one due first of what we owe now.

    A reply is owed as long as the customer waits for it; an update once `asks_at` has come, unless somebody
    put the conversation to sleep. To resolve it is no act of its own: where one of them is owed, the time
    for the resolution counts if it is earlier and has not passed.
    """
    promises = list(promises)
    owed_now = [each for each in promises if each.metric in REPLIES or _update_is_owed(each, status, now)]
    if owed_now:
        owed_now += [
            each
            for each in promises
            if each.metric == "resolution_time" and each.asks_at is not None and each.due_at > now
        ]
    return min(owed_now, key=lambda each: each.due_at, default=None)


def asks_for_agent(promises: Iterable[Standing], state: ConversationState, now: datetime) -> bool:
    """Whether an agent should write now: an answer to who waits, or an update, also while it is on hold."""
    return state.in_queue or any(_update_is_owed(each, state.status, now) for each in promises)


def _update_is_owed(standing: Standing, status: Status, now: datetime) -> bool:
    return (
        standing.metric == "periodic_update_time"
        and status in ("open", "on_hold")
        and standing.asks_at is not None
        and standing.asks_at <= now
    )


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a conversation in one calendar; what is not solved counts up to now.

    `first_resolution` is to the first time it was solved, None before; `resolution` is all the time until it
    was solved last, and goes on where it was opened again.
    """

    first_resolution: timedelta | None
    resolution: timedelta
    requester_wait: timedelta
    agent_work: timedelta


def measure(history: Sequence[StatusChange], calendar: Calendar, now: datetime) -> Times | None:
    """The times of a conversation with this history; None where no customer has written in it."""
    if not history:
        return None
    begin = history[0].at
    solved_at = next((change.at for change in history if change.status in ENDED), None)
    unsolved = _outside(_UNSOLVED, begin, history)
    waited = elapsed(begin, now, calendar, unsolved)
    return Times(
        first_resolution=None if solved_at is None else elapsed(begin, solved_at, calendar, unsolved),
        resolution=waited,
        requester_wait=waited,
        agent_work=elapsed(begin, now, calendar, _outside(_AT_WORK, begin, history)),
    )
