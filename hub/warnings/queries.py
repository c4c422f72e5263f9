"""Reading warnings."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from hub.accounts.models import User
from hub.conversations.models import Conversation
from hub.paging import Page, after, page
from hub.warnings.models import PromiseWarning


def list_warnings(
    session: Session, user: User, *, unread: bool = False, cursor: str | None = None, limit: int = 50
) -> Page[PromiseWarning]:
    """What this user was warned of, the newest first. Raises: Invalid for a cursor that is not ours."""
    query = (
        select(PromiseWarning)
        .where(PromiseWarning.user_id == user.id)
        .options(
            joinedload(PromiseWarning.promise),
            joinedload(PromiseWarning.mail),
            joinedload(PromiseWarning.conversation).joinedload(Conversation.customer),
            joinedload(PromiseWarning.conversation).joinedload(Conversation.channel),
        )
    )
    if unread:
        query = query.where(PromiseWarning.read_at.is_(None))
    query = after(query, (PromiseWarning.id,), (int,), cursor, descending=True)
    return page(session.scalars(query.limit(limit + 1)).all(), limit, lambda each: (each.id,))


def count_unread(session: Session, user_id: int) -> int:
    """How many warnings this user has not read."""
    query = select(func.count()).where(PromiseWarning.user_id == user_id, PromiseWarning.read_at.is_(None))
    return session.scalar(query) or 0
