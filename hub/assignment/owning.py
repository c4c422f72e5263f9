"""Whose a conversation is: the one place that changes it, together with its history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, Update, bindparam, case, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.models import Assignment
from hub.conversations.attachments import want_files
from hub.conversations.models import Conversation
from hub.database import Base, UtcDateTime, nudge

RECORD = Base.metadata.tables["assignments"].insert()
"""Writes assignments that follow from a statement; built once, and so compiled once."""
KNOWS = ["knows the customer"]


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


def claim(session: Session, statement: Update, values: Mapping[str, Any]) -> int | None:
    """Have a claim make its conversation the one of who asked for the next: its id, None where there is none.

    It returns `id`, `lane`, the `version_id` of the policy, and whether who asked `knows` the customer;
    `values` say besides what it asks for the reasons by lane, `because`. Its history is written with it.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        recorded: int | None = connection.execute(_recorded(statement), values).scalar_one_or_none()
        return recorded
    row = connection.execute(statement, values).one_or_none()
    if row is None:
        return None
    connection.execute(
        RECORD,
        {
            "conversation_id": row.id,
            "user_id": values["user_id"],
            "how": "next",
            "lane": row.lane,
            "reasons": values["because"][row.lane] + KNOWS * bool(row.knows),
            "policy_version_id": row.version_id,
            "assigned_at": values["now"],
            "accepted_at": values["now"],
        },
    )
    claimed: int = row.id
    return claimed


@lru_cache(maxsize=32)
def _recorded(statement: Update) -> Select[int]:
    """A claim and its history as one statement, which SQLite has not."""
    claimed = statement.cte("claimed")
    knows = case((claimed.c.knows, literal(KNOWS, JSONB)), else_=literal([], JSONB))
    now = bindparam("now", type_=UtcDateTime)
    history = {
        "conversation_id": claimed.c.id,
        "user_id": bindparam("user_id", type_=Integer),
        "how": literal("next"),
        "lane": claimed.c.lane,
        "reasons": bindparam("because", type_=JSONB).op("->")(claimed.c.lane).op("||")(knows),
        "policy_version_id": claimed.c.version_id,
        "assigned_at": now,
        "accepted_at": now,
    }
    written = RECORD.from_select(list(history), select(*history.values()), include_defaults=False)
    recorded = written.returning(Assignment.conversation_id).cte("recorded")
    return select(recorded.c.conversation_id)
