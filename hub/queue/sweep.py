"""What time alone changes: promises fall due, snoozed conversations wake, absent owners give back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.assignment.absence import release_absent
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.conversations.service import set_status
from hub.customers.spend import refresh_expired
from hub.database import nudge
from hub.runtime import Hub

BATCH = 200


def sweep(hub: Hub) -> int:
    """One round of everything; how many rows changed."""
    with hub.database.session() as session:
        return pass_time(session, utcnow())


def pass_time(session: Session, now: datetime) -> int:
    """Do what is due by `now`; how many rows changed."""
    changed = _mark_breached(session, now) + _wake_snoozed(session, now) + release_absent(session, now)
    expired = refresh_expired(session, now)
    if expired:
        nudge(session, "replace")
    return changed + expired


def _mark_breached(session: Session, now: datetime) -> int:
    # What somebody holds is left for the next round: they hold the conversation too, and might wait for us.
    due = (
        select(Promise.id)
        .where(
            Promise.due_at < now,
            Promise.met_at.is_(None),
            Promise.breached_at.is_(None),
            Promise.cancelled_at.is_(None),
        )
        .with_for_update(skip_locked=True)
    )
    marked = session.scalars(
        update(Promise)
        .where(Promise.id.in_(due))
        .values(breached_at=Promise.due_at)
        .returning(Promise.id)
        .execution_options(synchronize_session=False)
    )
    return len(marked.all())


def _wake_snoozed(session: Session, now: datetime) -> int:
    due = session.scalars(
        select(Conversation)
        .where(Conversation.snoozed_until <= now)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for conversation in due:
        set_status(session, conversation, "open", user=None, now=now)
    return len(due)
