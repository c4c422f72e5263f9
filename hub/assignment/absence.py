"""Who stays away gives back what they have, and who lets offers pass is taken to be away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.models import REFUSALS, Assignment
from hub.assignment.service import go_away
from hub.conversations.models import Conversation
from hub.conversations.service import add_activity, release
from hub.policies.service import active_policy

BATCH = 200
# Of so many offers that lie with somebody at the same time, those before are not looked at.
MOST_AT_ONCE = 50


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


def take_as_away(session: Session, passed: Mapping[int, Conversation], now: datetime) -> None:
    """Set those away who let offers pass too often in a row; `passed` are the users who let some pass now,
    each with the last of those conversations, whose history tells of it."""
    most = active_policy(session).policy.assignment.away_after_offers
    if not most or not passed:
        return
    # Locked, so that who passes elsewhere at this moment is counted too.
    users = session.scalars(
        select(User)
        .where(User.id.in_(passed.keys()), User.away.is_(False))
        .order_by(User.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    for user in users:
        if _let_pass(session, user, most):
            because = f"let offers pass {most} times in a row" if most > 1 else "let an offer pass"
            go_away(session, user, True, now, because)
            told = f"{user.name} was set away: they {because}"
            add_activity(session, passed[user.id], told, None, now)


def _let_pass(session: Session, user: User, most: int) -> bool:
    """Whether they let offers pass `most` times in a row since they came back. What lay with them at the
    same time was let pass at once: who is gone for three minutes is gone once."""
    answered = or_(Assignment.accepted_at.is_not(None), Assignment.ended.in_(REFUSALS))
    newest_first = session.execute(
        select(Assignment.ended, Assignment.accepted_at, Assignment.assigned_at, Assignment.ended_at)
        .where(
            Assignment.user_id == user.id,
            answered,
            Assignment.assigned_at >= (user.back_at or user.created_at),
        )
        .order_by(Assignment.id.desc())
        .limit(most * MOST_AT_ONCE)
    )
    times, before = 0, None
    for row in newest_first:
        if row.ended != "not_accepted" or row.accepted_at is not None:
            break
        if before is None or row.ended_at <= before:
            times, before = times + 1, row.assigned_at
    return times >= most
