"""Who stays away gives back what they have."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.conversations.models import Conversation
from hub.conversations.service import release
from hub.policies.service import active_policy

BATCH = 200


def release_absent(session: Session, now: datetime) -> int:
    """Give back what waits for an answer of somebody who has been away for too long; how much.

    Not what they were given since. Those who stay away are found first, and then what each has in hand.
    """
    since = now - active_policy(session).policy.assignment.release_after
    left = session.scalars(
        select(Conversation)
        .join(User, User.id == Conversation.owner_id)
        .where(
            Conversation.owner_id.is_not(None),
            Conversation.reply_by.is_not(None),
            Conversation.owned_since < since,
            or_(
                User.seen_at.is_(None),
                User.seen_at < since,
                User.disabled_at.is_not(None),
                and_(User.away, User.away_since < since),
            ),
        )
        .order_by(Conversation.id)
        .limit(BATCH)
        .with_for_update(of=Conversation, skip_locked=True)
    ).all()
    for conversation in left:
        release(session, conversation, user=None, now=now, why="its owner is away")
    return len(left)
