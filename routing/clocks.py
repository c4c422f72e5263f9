"""What a message or a decision does to a conversation's status and to how long its customer has waited.

Messages may arrive out of order. Two rules keep the clocks honest:

- A reply written in the hub answers what the hub had shown by then. A customer message that was written
  before it and comes in after it has been read by nobody: it waits, since it was written.
- A reply written elsewhere, in the vendor's own pages, answers what the vendor showed by then: every
  customer message written before it, also one that reaches us later.

What follows for promises and measured times is in `routing.promises`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from routing.types import Metric, Status

_RESTING: frozenset[Status] = frozenset({"pending", "on_hold", "snoozed", "solved"})


class FollowUpNeeded(Exception):
    """The conversation is closed for good: open a new one and link it."""


class NotAllowed(ValueError):
    """A conversation cannot go from its status to the one that was asked for; the message says why."""


class StatusChange(NamedTuple):
    """From `at` on the conversation had this status, until the next change."""

    status: Status
    at: datetime


@dataclass(frozen=True, slots=True)
class ConversationState:
    """What the clocks know of a conversation.

    `waiting_since` is when the oldest unanswered customer message was written, None where nobody waits.
    `last_incoming_at` is when the newest customer message was written, `last_replied_at` the newest public
    reply by a person. `answered_until`: customer messages written up to then were answered elsewhere,
    whenever they reach us. `history` begins with the first customer message, in the order of time.
    """

    status: Status = "new"
    waiting_since: datetime | None = None
    first_replied_at: datetime | None = None
    last_incoming_at: datetime | None = None
    answered_until: datetime | None = None
    snoozed_until: datetime | None = None
    last_replied_at: datetime | None = None
    history: tuple[StatusChange, ...] = ()

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
        return replace(
            state,
            last_incoming_at=newest,
            first_replied_at=state.first_replied_at or state.answered_until,
            last_replied_at=state.last_replied_at or state.answered_until,
            history=_since(state, sent_at),
        )
    if state.status == "closed":
        raise FollowUpNeeded
    history = _since(state, sent_at)
    status: Status = "open" if state.status in _RESTING else state.status
    return replace(
        state,
        status=status,
        waiting_since=sent_at if state.waiting_since is None else min(state.waiting_since, sent_at),
        last_incoming_at=newest,
        snoozed_until=None,
        history=changed(history, status, sent_at),
    )


def _take_reply(state: ConversationState, sent_at: datetime, elsewhere: bool) -> ConversationState:
    status: Status = "open" if state.status == "new" else state.status
    first, last = state.first_replied_at, state.last_replied_at
    if state.last_incoming_at is not None:
        first = sent_at if first is None else min(first, sent_at)
        last = sent_at if last is None else max(last, sent_at)
    waiting_since, answered_until = None, state.answered_until
    if elsewhere:
        answered_until = sent_at if answered_until is None else max(answered_until, sent_at)
        if state.waiting_since is not None and state.last_incoming_at is not None:
            if sent_at < state.waiting_since:
                first, waiting_since = state.first_replied_at, state.waiting_since
                last = last if first is not None else None
            elif sent_at < state.last_incoming_at:
                # Of the messages after the reply only the newest is known; mostly it is the only one.
                waiting_since = state.last_incoming_at
    return replace(
        state,
        status=status,
        waiting_since=waiting_since,
        first_replied_at=first,
        last_replied_at=last,
        answered_until=answered_until,
        history=changed(state.history, status, sent_at),
    )


def _since(state: ConversationState, sent_at: datetime) -> tuple[StatusChange, ...]:
    """The history with a customer message in it, which may be older than what we knew."""
    if not state.history:
        return (StatusChange(state.status, sent_at),)
    first, *rest = state.history
    return (StatusChange(first.status, min(first.at, sent_at)), *rest)


def changed(history: tuple[StatusChange, ...], status: Status, at: datetime) -> tuple[StatusChange, ...]:
    """The history with a status from `at` on, or from when the one before it began; empty where it is."""
    if not history or history[-1].status == status:
        return history
    return (*history, StatusChange(status, max(at, history[-1].at)))


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
        history=changed(state.history, status, now),
    )
