"""What the clocks know of a conversation, read from its row and kept there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import cast

from sqlalchemy.orm import object_session

from hub.automations.happening import happened
from hub.conversations.models import Conversation
from routing.calendars import Calendar
from routing.clocks import ConversationState, StatusChange, changed
from routing.promises import ENDED, measure
from routing.types import Status

_WALL_CLOCK = Calendar.always()


def state_of(conversation: Conversation) -> ConversationState:
    """What the clocks know of a stored conversation."""
    return ConversationState(
        status=cast("Status", conversation.status),
        waiting_since=conversation.waiting_since,
        first_replied_at=conversation.first_replied_at,
        last_incoming_at=conversation.last_incoming_at,
        answered_until=conversation.answered_until,
        snoozed_until=conversation.snoozed_until,
        last_replied_at=conversation.last_replied_at,
        history=history_of(conversation),
    )


def history_of(conversation: Conversation) -> tuple[StatusChange, ...]:
    """The changes of its status since a customer first wrote."""
    return tuple(
        StatusChange(cast("Status", status), datetime.fromisoformat(at))
        for status, at in conversation.history or ()
    )


def store_state(conversation: Conversation, state: ConversationState, now: datetime) -> None:
    """Keep what the clocks say of it now."""
    if state.status == "solved" and conversation.status != "solved":
        conversation.solved_at = now
    _become(conversation, state.status, now)
    conversation.waiting_since = state.waiting_since
    conversation.first_replied_at = state.first_replied_at
    conversation.last_incoming_at = state.last_incoming_at
    conversation.answered_until = state.answered_until
    conversation.snoozed_until = state.snoozed_until
    conversation.last_replied_at = state.last_replied_at
    keep_history(conversation, state.history)


def become(conversation: Conversation, status: Status, now: datetime) -> None:
    """Change the status, without what else a person's choice of it would do."""
    _become(conversation, status, now)
    keep_history(conversation, changed(history_of(conversation), status, now))


def _become(conversation: Conversation, status: Status, now: datetime) -> None:
    before, conversation.status = conversation.status, status
    session = object_session(conversation)
    if session is not None and before is not None and before != status:
        happened(session, conversation, "status_changed", now, before=before)


def keep_history(conversation: Conversation, history: Iterable[StatusChange]) -> None:
    """Keep the changes of status, and once it is solved the times that follow from them."""
    told = [[status, at.isoformat()] for status, at in history]
    if told == (conversation.history or []):
        return
    conversation.history = told
    times = measure(history_of(conversation), _WALL_CLOCK, history_of(conversation)[-1].at)
    if times is None or conversation.status not in ENDED or times.first_resolution is None:
        return
    conversation.first_resolution_seconds = round(times.first_resolution.total_seconds())
    conversation.resolution_seconds = round(times.resolution.total_seconds())
    conversation.requester_wait_seconds = round(times.requester_wait.total_seconds())
    conversation.agent_work_seconds = round(times.agent_work.total_seconds())
