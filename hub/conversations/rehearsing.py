"""How conversations stand, and how they would after a merge or a split: it is done, read, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.channels.models import Channel
from hub.conversations.merging import merge, split
from hub.conversations.models import Conversation, Message, Promise
from hub.database import Database
from hub.errors import NotFound
from routing.promises import REPLIES


@dataclass(frozen=True, slots=True)
class Owed:
    """A promise that is open."""

    metric: str
    started_at: datetime
    due_at: datetime
    paused: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What somebody weighs before two conversations become one, or one becomes two.

    `messages` counts what was said; `promises` are those that are open, the reply first.
    """

    id: int
    subject: str | None
    channel: Channel
    status: str
    owner: str | None
    waiting_since: datetime | None
    reply_by: datetime | None
    messages: int
    promises: Sequence[Owed]


def outlook(session: Session, conversation_id: int) -> Outlook:
    """How a conversation stands. Raises: NotFound."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound(f"no conversation {conversation_id}")
    spoken = select(func.count()).where(
        Message.conversation_id == conversation.id, Message.direction != "activity"
    )
    promises = session.scalars(
        select(Promise).where(
            Promise.conversation_id == conversation.id,
            Promise.met_at.is_(None),
            Promise.cancelled_at.is_(None),
        )
    )
    return Outlook(
        conversation.id,
        conversation.subject,
        conversation.goes_by,
        conversation.status,
        conversation.owner.name if conversation.owner else None,
        conversation.waiting_since,
        conversation.reply_by,
        session.scalar(spoken) or 0,
        sorted(
            (
                Owed(each.metric, each.started_at, each.due_at, each.paused_at is not None)
                for each in promises
            ),
            key=lambda each: (each.metric not in REPLIES, each.due_at),
        ),
    )


def rehearse_merge(
    database: Database, source_id: int, target_id: int, *, user: User, now: datetime
) -> Outlook:
    """How the other would stand. Raises: as `hub.conversations.merging.merge`."""

    def act(session: Session) -> Sequence[Conversation]:
        return [merge(session, source_id, target_id, user=user, now=now)]

    (after,) = _rehearsed(database, act)
    return after


def rehearse_split(
    database: Database, conversation_id: int, message_ids: Collection[int], *, user: User, now: datetime
) -> tuple[Outlook, Outlook]:
    """How the old one and the new one would stand. Raises: as `hub.conversations.merging.split`."""

    def act(session: Session) -> Sequence[Conversation]:
        new = split(session, conversation_id, message_ids, user=user, now=now)
        return [session.get_one(Conversation, conversation_id), new]

    old, new = _rehearsed(database, act)
    return old, new


class _TakenBackError(Exception):
    """Nothing of a rehearsal is kept."""


def _rehearsed(database: Database, act: Callable[[Session], Sequence[Conversation]]) -> list[Outlook]:
    found: list[Outlook] = []
    with suppress(_TakenBackError), database.session() as session:
        changed = act(session)
        session.flush()
        found = [outlook(session, each.id) for each in changed]
        # What was read stays readable.
        session.expunge_all()
        raise _TakenBackError
    return found
