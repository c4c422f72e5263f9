"""What a message or a decision does to a conversation's status and to how long its customer has waited.

Messages may arrive out of order. Two rules keep the clocks honest:

- A reply written in the hub answers what the hub had shown by then. A customer message that was written
  before it and comes in after it has been read by nobody: it waits, since it was written.
- A reply written elsewhere, in the vendor's own pages, answers what the vendor showed by then: every
  customer message written before it, also one that reaches us later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from routing.calendars import Calendar
from routing.types import Metric, Status

_PAUSED: frozenset[Status] = frozenset({"pending", "on_hold", "snoozed", "solved"})


class FollowUpNeeded(Exception):
    """The conversation is closed for good: open a new one and link it."""


class NotAllowed(ValueError):
    """A conversation cannot go from its status to the one that was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class ConversationState:
    """What the clocks know of a conversation.

    `waiting_since` is when the oldest unanswered customer message was written, None where nobody waits.
    `last_incoming_at` is when the newest customer message was written. `answered_until`: customer messages
    written up to then were answered elsewhere, whenever they reach us.
    """

    status: Status = "new"
    waiting_since: datetime | None = None
    first_replied_at: datetime | None = None
    last_incoming_at: datetime | None = None
    answered_until: datetime | None = None
    snoozed_until: datetime | None = None

    @property
    def metric(self) -> Metric:
        """The promise that governs: the first reply until it is given, then the next."""
        return "first_reply_time" if self.first_replied_at is None else "next_reply_time"

    @property
    def in_queue(self) -> bool:
        """Whether an agent should answer now."""
        return self.status in ("new", "open") and self.waiting_since is not None


def take_message(
    state: ConversationState,
    sent_at: datetime,
    *,
    incoming: bool,
    private: bool = False,
    automatic: bool = False,
    elsewhere: bool = False,
) -> ConversationState:
    """The state after a message. Notes and automatic messages, of either side, change nothing.

    `elsewhere`: the reply was written in the vendor's pages and not in the hub.
    Raises: FollowUpNeeded, where a customer writes to a closed conversation.
    """
    if private or automatic:
        return state
    if incoming:
        return _take_customer_message(state, sent_at)
    return _take_reply(state, sent_at, elsewhere)


def _take_customer_message(state: ConversationState, sent_at: datetime) -> ConversationState:
    newest = sent_at if state.last_incoming_at is None else max(state.last_incoming_at, sent_at)
    if state.answered_until is not None and sent_at <= state.answered_until:
        first = state.first_replied_at or state.answered_until
        return replace(state, last_incoming_at=newest, first_replied_at=first)
    if state.status == "closed":
        raise FollowUpNeeded
    return replace(
        state,
        status="open" if state.status in _PAUSED else state.status,
        waiting_since=sent_at if state.waiting_since is None else min(state.waiting_since, sent_at),
        last_incoming_at=newest,
        snoozed_until=None,
    )


def _take_reply(state: ConversationState, sent_at: datetime, elsewhere: bool) -> ConversationState:
    status: Status = "open" if state.status == "new" else state.status
    first = state.first_replied_at
    if state.last_incoming_at is not None:
        first = sent_at if first is None else min(first, sent_at)
    waiting_since, answered_until = None, state.answered_until
    if elsewhere:
        answered_until = sent_at if answered_until is None else max(answered_until, sent_at)
        if state.waiting_since is not None and state.last_incoming_at is not None:
            if sent_at < state.waiting_since:
                first, waiting_since = state.first_replied_at, state.waiting_since
            elif sent_at < state.last_incoming_at:
                # Of the messages after the reply only the newest is known; mostly it is the only one.
                waiting_since = state.last_incoming_at
    return replace(
        state,
        status=status,
        waiting_since=waiting_since,
        first_replied_at=first,
        answered_until=answered_until,
    )


def set_status(
    state: ConversationState, status: Status, now: datetime, snoozed_until: datetime | None = None
) -> ConversationState:
    """The state after a person chose a status. Solving and closing end the wait. Raises: NotAllowed."""
    if state.status == "closed" and status != "closed":
        raise NotAllowed("a closed conversation stays closed; a new message makes a follow-up")
    if status == "new" and state.status != "new":
        raise NotAllowed("a conversation is new only until somebody has touched it")
    if status == "snoozed" and (snoozed_until is None or snoozed_until <= now):
        raise NotAllowed("say until when to snooze, a time that is still to come")
    return replace(
        state,
        status=status,
        waiting_since=None if status in ("solved", "closed") else state.waiting_since,
        snoozed_until=snoozed_until if status == "snoozed" else None,
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a promise stands. `breached_at` is `due_at` once that has passed without an answer.

    `late_by_seconds` counts in the promise's calendar; so does `used`, the share of the target that is spent
    (over 1 where it is late).
    """

    outcome: Literal["running", "met", "breached"]
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
) -> Settlement:
    """Whether a promise is kept: the one definition behind badge, alert and report.

    An answer at `due_at` is in time. A late answer is a breach that has ended: `met_at` and `breached_at` are
    both set. For a wait that ended without an answer, `now` is when it ended.
    """
    at = now if met_at is None else met_at
    late = at > due_at
    late_by = calendar.elapsed(due_at, at).total_seconds()
    left = calendar.elapsed(at, due_at).total_seconds()
    return Settlement(
        outcome="breached" if late else "running" if met_at is None else "met",
        met_at=met_at,
        breached_at=due_at if late else None,
        late_by_seconds=math.ceil(late_by),
        used=max(0.0, 1 + (late_by - left) / target_seconds),
    )
