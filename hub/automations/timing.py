"""When automations that wait for a time are to be asked: kept beside each conversation, found by an index."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.automations.causes import chain_of
from hub.automations.keeping import keep, kept
from hub.automations.models import AutomationRound, AutomationTimer
from hub.conversations.models import Conversation
from hub.conversations.state import state_of
from hub.database import nudge
from hub.policies.service import ActivePolicy
from routing.automations import after_a_change, timers
from routing.policy import Policy

ROUND_BATCH = 200
THE_ROUND = 1


def set_timers(
    session: Session, conversations: Collection[Conversation], policy: Policy, now: datetime
) -> None:
    """Have the timers of these conversations be what their states and the policy say. They are locked.

    What missed its time is asked again, since something of them may have changed.
    """
    heard = [conversation for conversation in conversations if not conversation.listening]
    if not policy.timed_automations or not heard:
        return
    ids = [conversation.id for conversation in heard]
    rows = {
        row.conversation_id: row
        for row in session.scalars(select(AutomationTimer).where(AutomationTimer.conversation_id.in_(ids)))
    }
    for conversation in heard:
        row = rows.get(conversation.id)
        before = kept(row) if row is not None else ()
        chain = chain_of(session)
        found = timers(policy, state_of(conversation), conversation.created_at, now, before, chain)
        found = after_a_change(found, now, chain)
        if row is None and found:
            row = AutomationTimer(conversation_id=conversation.id)
            session.add(row)
        if row is not None and found != before:
            keep(row, found)
            if row.due_at is not None and row.due_at <= now:
                nudge(session, "automate")


def timers_due(now: datetime) -> Select[AutomationTimer]:
    """Where an automation is to be asked now."""
    return select(AutomationTimer).where(AutomationTimer.due_at <= now).order_by(AutomationTimer.due_at)


def is_new(session: Session, active: ActivePolicy) -> bool:
    """Whether this version has automations that wait for a time, and not every conversation knows of them."""
    if not active.policy.timed_automations:
        return False
    row = session.get(AutomationRound, THE_ROUND)
    return row is None or row.policy_version_id != active.version_id or not row.done


def go_round(session: Session, active: ActivePolicy, now: datetime) -> int:
    """Set the timers of the next conversations that a new policy has not looked at; how many.

    Each change of the policy is followed by one round through what is not closed. What comes in meanwhile
    has its timers set as it is placed.
    """
    if not is_new(session, active):
        return 0
    row = session.get(AutomationRound, THE_ROUND)
    if row is None:
        row = AutomationRound(id=THE_ROUND)
        session.add(row)
    if row.policy_version_id != active.version_id:
        row.policy_version_id, row.up_to_id, row.done = active.version_id, 0, False
    found = session.scalars(
        select(Conversation)
        .where(
            Conversation.id > row.up_to_id,
            Conversation.status != "closed",
            Conversation.listening.is_(False),
        )
        .order_by(Conversation.id)
        .limit(ROUND_BATCH)
        .with_for_update(of=Conversation)
    ).all()
    set_timers(session, found, active.policy, now)
    row.done = len(found) < ROUND_BATCH
    row.up_to_id = found[-1].id if found else row.up_to_id
    if not row.done:
        nudge(session, "automate")
    return len(found)
