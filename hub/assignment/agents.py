"""Those who answer, as routing sees them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.models import Assignment
from hub.conversations.models import Conversation
from routing.assignment import Agent
from routing.policy import Policy

# Who is offered work; others take it, but are not given it.
ANSWERING = ("agent", "social")


def is_online(user: Any, policy: Policy, now: datetime) -> bool:
    """Whether a user, or a row of their columns, was seen lately, is not away and not locked out."""
    absent = user.disabled_at is not None or user.away or user.seen_at is None
    return not absent and bool(user.seen_at > now - policy.assignment.away_after)


def load_agents(
    session: Session,
    policy: Policy,
    now: datetime,
    *,
    ids: Collection[int] | None = None,
    lock: bool = False,
) -> list[Agent]:
    """These users, or all who are offered work and are online, with what they have in hand.

    Locked, they are given nothing by anybody else until this transaction ends: what they have in hand is
    counted after the lock was got.
    """
    query = select(User).order_by(User.id)
    if ids is not None:
        query = query.where(User.id.in_(ids))
    else:
        query = query.where(
            User.role.in_(ANSWERING),
            User.disabled_at.is_(None),
            User.away.is_(False),
            User.seen_at > now - policy.assignment.away_after,
        )
    if lock:
        # Not against the foreign keys that other rows have to them.
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    users = session.scalars(query).all()
    used = units_in_hand(session, [user.id for user in users])
    last = _last_assigned(session, [user.id for user in users])
    return [
        replace(
            to_agent(user, policy, now, used=used.get(user.id, 0)),
            last_assigned_at=last.get(user.id),
        )
        for user in users
    ]


def to_agent(user: Any, policy: Policy, now: datetime, *, used: int) -> Agent:
    """A user, or a row of their columns, who has so many units in hand; when they were given something last
    is not said."""
    default = policy.capacity.default if policy.capacity else None
    return Agent(
        id=user.id,
        name=user.name,
        online=is_online(user, policy, now),
        teams=frozenset(user.teams),
        skills=user.skills,
        capacity=None if default is None else user.capacity if user.capacity is not None else default,
        used=used,
    )


def asking() -> Select[*tuple[Any, ...]]:
    """The columns of one user, `user_id`, that `to_agent` reads; locked as in `load_agents`."""
    columns = (User.id, User.name, User.teams, User.skills, User.capacity)
    return (
        select(*columns, User.disabled_at, User.away, User.seen_at)
        .where(User.id == bindparam("user_id"))
        .with_for_update(key_share=True, of=User)
    )


def in_hand() -> Select[Any]:
    """The units that one user, `user_id`, has in hand."""
    return select(func.coalesce(func.sum(Conversation.load), 0)).where(
        Conversation.owner_id == bindparam("user_id"),
        Conversation.owner_id.is_not(None),
        Conversation.reply_by.is_not(None),
    )


def units_in_hand(session: Session, user_ids: Sequence[int]) -> dict[int, int]:
    """The units that each has in hand: what is theirs and waits for an answer of ours."""
    rows = session.execute(
        select(Conversation.owner_id, func.sum(Conversation.load))
        .where(
            Conversation.owner_id.in_(user_ids),
            Conversation.owner_id.is_not(None),
            Conversation.reply_by.is_not(None),
        )
        .group_by(Conversation.owner_id)
    )
    return {owner_id: int(units) for owner_id, units in rows if owner_id is not None}


def _last_assigned(session: Session, user_ids: Sequence[int]) -> dict[int, datetime]:
    newest = (
        select(Assignment.assigned_at)
        .where(Assignment.user_id == User.id)
        .order_by(Assignment.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(select(User.id, newest).where(User.id.in_(user_ids)))
    return {user_id: at for user_id, at in rows if at is not None}
