"""Whose a conversation is: the one place that changes it, together with its history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.models import Assignment
from hub.conversations.attachments import want_files
from hub.conversations.models import Conversation
from hub.database import Base, nudge

RECORD = Base.metadata.tables["assignments"].insert()
"""Writes assignments that follow from a statement; built once, and so compiled once."""


def own(
    session: Session,
    conversation: Conversation,
    user: User,
    now: datetime,
    *,
    how: str,
    reasons: Sequence[str] = (),
    by: User | None = None,
) -> None:
    """Make it theirs, accepted at once; whoever had it before no longer has it."""
    if conversation.owner_id is not None:
        end(session, [conversation.id], now, "answered_by_another" if how == "answered" else "sent_on")
    conversation.owner_id, conversation.owned_since = user.id, now
    conversation.accept_by = conversation.held_until = None
    # Who takes what was only overheard means to answer it.
    if conversation.listening:
        want_files(session, conversation.id, now)
    conversation.listening = False
    conversation.updated_at = now
    session.add(
        Assignment(
            conversation_id=conversation.id,
            user_id=user.id,
            how=how,
            by_id=by.id if by else None,
            lane=conversation.lane,
            reasons=list(reasons),
            policy_version_id=conversation.policy_version_id,
            assigned_at=now,
            accepted_at=now,
        )
    )
    session.flush()
    nudge(session, "plan")
    nudge(session, "assign")


def disown(session: Session, conversation: Conversation, now: datetime, ended: str) -> None:
    """Make it nobody's: it stands in the queue again, at its place."""
    if conversation.owner_id is None:
        return
    end(session, [conversation.id], now, ended)
    conversation.owner_id = conversation.owned_since = conversation.accept_by = None
    conversation.updated_at = now
    nudge(session, "plan")
    nudge(session, "assign")


def accept(session: Session, conversation: Conversation, now: datetime) -> None:
    """Its owner means to answer it. Nothing happens where that was clear already."""
    if conversation.accept_by is None:
        return
    conversation.accept_by = None
    conversation.updated_at = now
    session.execute(
        update(Assignment)
        .where(Assignment.conversation_id == conversation.id, Assignment.ended_at.is_(None))
        .values(accepted_at=now)
    )


def answered_by(session: Session, conversation: Conversation, user: User, now: datetime) -> None:
    """Somebody answers it: theirs where it was nobody's, or was offered to somebody else and not accepted."""
    if conversation.owner_id == user.id:
        accept(session, conversation, now)
    elif conversation.owner_id is None or conversation.accept_by is not None:
        own(session, conversation, user, now, how="answered", reasons=["answered it"])


def end(session: Session, conversation_ids: Collection[int], now: datetime, ended: str) -> None:
    """End what assignments of these conversations are open."""
    session.execute(
        update(Assignment)
        .where(Assignment.conversation_id.in_(conversation_ids), Assignment.ended_at.is_(None))
        .values(ended_at=now, ended=ended)
    )


def record_claim(
    session: Session,
    conversation_id: int,
    user_id: int,
    now: datetime,
    why: list[str],
    version_id: int,
    lane: str = "",
) -> None:
    """Write down that somebody who asked for the next got this one, which nobody had."""
    session.connection().execute(
        RECORD,
        {
            "conversation_id": conversation_id,
            "user_id": user_id,
            "how": "next",
            "lane": lane,
            "reasons": why,
            "assigned_at": now,
            "accepted_at": now,
            "policy_version_id": version_id,
        },
    )
