"""The promises of a stored conversation: rows that follow from its state, and how each of them stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import update
from sqlalchemy.orm import Session, object_session
from sqlalchemy.orm.attributes import set_committed_value

from hub.conversations.models import Conversation, Promise
from hub.conversations.state import history_of
from hub.database import among
from hub.policies.service import policy_of
from routing.calendars import Calendar
from routing.clocks import ConversationState
from routing.policy import Policy
from routing.promises import (
    ENDED,
    REPLIES,
    UPDATE_FROM,
    Owed,
    Pause,
    Settlement,
    Standing,
    asks_for_agent,
    due_at,
    governing,
    owed,
    pauses,
    settle,
)
from routing.targets import Promised, Target
from routing.types import Metric
from routing.warnings import WarningStep, coming

NOTHING = Promised("", {})


def warnings_of(promise: Promise, policy: Policy) -> list[tuple[datetime, WarningStep]]:
    """The warnings of a promise that are still to come, each with when, the earliest first."""
    return _warnings(promise, policy, calendar_of(promise), _stood(promise))


def _warnings(
    promise: Promise, policy: Policy, calendar: Calendar, stood: Sequence[Pause]
) -> list[tuple[datetime, WarningStep]]:
    metric = cast("Metric", promise.metric)
    return coming(
        policy.warnings,
        metric,
        promise.warned or (),
        promise.started_at,
        timedelta(seconds=promise.target_seconds),
        calendar,
        stood,
        policy.calendar,
    )


def calendar_of(promise: Promise) -> Calendar:
    """What a stored promise counts in, by the version of the policy that placed it, whatever rules now."""
    session = object_session(promise)
    if session is None:
        raise LookupError("a promise that is in no session counts in no calendar")
    return policy_of(session, promise.policy_version_id).calendar_of(
        promise.policy, cast("Metric", promise.metric)
    )


def _stood(promise: Promise) -> tuple[Pause, ...]:
    metric = cast("Metric", promise.metric)
    history = () if metric in REPLIES else history_of(promise.conversation)
    return pauses(metric, promise.started_at, history)


def standing(promise: Promise, now: datetime) -> Settlement:
    """How a promise stands at `now`, or stood when it ended: what badge, warning and report say of it."""
    settled = _settled(promise, now)
    if promise.is_open or promise.breached_at is None:
        return settled
    # How late it was in the end is what was stored then.
    late_by = promise.late_by_seconds or 0
    return replace(
        settled,
        outcome="breached",
        breached_at=promise.breached_at,
        late_by_seconds=late_by,
        used=1 + late_by / promise.target_seconds,
    )


def _settled(promise: Promise, now: datetime) -> Settlement:
    return settle(
        promise.due_at,
        promise.target_seconds,
        calendar_of(promise),
        now=promise.cancelled_at or now,
        met_at=promise.met_at,
        stood=_stood(promise),
    )


def is_running(promise: Promise, now: datetime) -> bool:
    """Whether its time is passing now."""
    return promise.is_open and promise.paused_at is None and calendar_of(promise).is_open(now)


def close(promise: Promise, now: datetime, met_at: datetime | None = None) -> None:
    """End a promise: met, or else cancelled now."""
    promise.met_at, promise.cancelled_at = met_at, None if met_at else now
    settled = _settled(promise, now)
    promise.breached_at = settled.breached_at
    promise.late_by_seconds = settled.late_by_seconds if settled.breached_at else None
    promise.end()


def follow(
    session: Session,
    conversation: Conversation,
    state: ConversationState,
    rows: Sequence[Promise],
    terms: Promised,
    policy: Policy,
    now: datetime,
) -> bool:
    """Have the promises of a conversation be what its state and the policy say, and the one that governs.

    `rows` are all that it has, and its `policy_version_id` is that of the policy. Gives whether it has a
    place in the queue. The clocks keep what has elapsed: each counts from when it began, whatever changes
    later. Of those rows that stay open the caller says by which version that is (`by_version`).
    """
    found = owed(state)
    standings: dict[Promise, Standing] = {}
    for metrics in (REPLIES, {"periodic_update_time"}, {"resolution_time"}):
        mine = [row for row in rows if row.metric in metrics]
        wanted = next((each for each in found if each.metric in metrics), None)
        term = terms.target(wanted.metric) if wanted else None
        if wanted is None or term is None:
            for row in mine:
                if row.is_open:
                    _drop(session, conversation, row, state, now)
            continue
        row = _row_for(session, conversation, wanted, mine, now)
        row.policy, row.tier = terms.policy, conversation.customer.tier
        standings[row] = _fill(row, wanted, term, policy, state, now)
    chosen = governing(standings.values(), state.status, now)
    governs = next((row for row, stands in standings.items() if stands is chosen), None)
    if governs is not conversation.promise:
        # What gave way was the other promise.
        conversation.gave_way_at, conversation.gave_way_to = None, 0
        conversation.promise = governs
    return asks_for_agent(standings.values(), state, now)


def by_version(session: Session, rows: Iterable[Promise], version_id: int) -> None:
    """Say of stored promises that this version of the policy placed them; in one statement for all."""
    others = [row for row in rows if row.policy_version_id != version_id]
    if others:
        session.execute(
            update(Promise)
            .where(among(Promise.id, [row.id for row in others]))
            .values(policy_version_id=version_id)
            .execution_options(synchronize_session=False)
        )
    for row in others:
        set_committed_value(row, "policy_version_id", version_id)


def _row_for(
    session: Session,
    conversation: Conversation,
    wanted: Owed,
    rows: Sequence[Promise],
    now: datetime,
) -> Promise:
    """The one open promise of its kind."""
    running = next((row for row in rows if row.is_open), None)
    if wanted.metric == "resolution_time":
        # One a conversation, however often it is opened again.
        same = running or next(iter(rows), None)
    else:
        same = next((row for row in rows if (row.metric, row.started_at) == wanted), None)
        updated = wanted.metric == "periodic_update_time" and running is not same
        if updated and running is not None and wanted.started_at > running.started_at:
            # A later reply was the update.
            close(running, now, met_at=wanted.started_at)
            running = None
    if same is None:
        # The same wait, which may turn out to have begun earlier, or after a first reply we had not seen.
        same = running
        if same is None:
            same = Promise(
                conversation_id=conversation.id,
                conversation=conversation,
                policy_version_id=conversation.policy_version_id,
                warned=[],
            )
            session.add(same)
    elif running is not None and running is not same:
        session.delete(running)
    if not same.is_open:
        # Opened again, or answered before another message of the same moment came in, which was not.
        same.reopen()
    return same


def _drop(
    session: Session,
    conversation: Conversation,
    row: Promise,
    state: ConversationState,
    now: datetime,
) -> None:
    """Nothing is owed of this kind any more."""
    if row.metric == "resolution_time" and state.status in ENDED:
        close(row, now, met_at=state.history[-1].at if state.history else now)
    elif state.status in ENDED or row.breached_at is not None:
        close(row, now)
    else:
        # The policy promises it no more, or the customer took back what they had asked.
        session.delete(row)


def _fill(
    row: Promise, wanted: Owed, term: Target, policy: Policy, state: ConversationState, now: datetime
) -> Standing:
    stood = pauses(wanted.metric, wanted.started_at, state.history)
    row.metric, row.started_at = wanted
    row.target_seconds = int(term.time.total_seconds())
    row.due_at = due_at(wanted.started_at, term.time, term.calendar, stood)
    row.second_due_at = term.calendar.deadline(row.due_at, term.time)
    row.paused_at = stood[-1].begin if stood and stood[-1].end is None else None
    if row.breached_at is not None:
        row.breached_at = settle(
            row.due_at, row.target_seconds, term.calendar, now=now, stood=stood
        ).breached_at
    asks_at: datetime | None = None if row.paused_at else wanted.started_at
    if asks_at is not None and wanted.metric == "periodic_update_time":
        asks_at = due_at(wanted.started_at, term.time * UPDATE_FROM, term.calendar, stood)
        row.asks_at = asks_at if asks_at > now else None
    else:
        row.asks_at = None
    coming_next = _warnings(row, policy, term.calendar, stood) if policy.warnings else []
    row.warn_at = coming_next[0][0] if coming_next else None
    return Standing(wanted.metric, row.due_at, asks_at)
