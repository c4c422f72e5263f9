"""Reading who has what, who could have it, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from hub.accounts.models import User
from hub.assignment.agents import ANSWERING, load_agents
from hub.assignment.models import Assignment
from hub.conversations.models import Conversation
from hub.errors import NotFound
from hub.policies.service import active_policy
from routing.assignment import Agent, Needs, needs_of_lane, why_not


@dataclass(frozen=True, slots=True)
class AgentRow:
    """Somebody who answers, and how they stand. Units are None where the policy sets no limit."""

    user: User
    agent: Agent
    conversations: int
    offered: int

    @property
    def presence(self) -> Literal["online", "away", "offline"]:
        """`online`, `away` (they said so) or `offline` (not seen lately)."""
        return "online" if self.agent.online else "away" if self.user.away else "offline"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent to whom a conversation could be sent, and all that speaks against it."""

    user: User
    why_not: Sequence[str]


def list_agents(session: Session, now: datetime, *, also: User | None = None) -> list[AgentRow]:
    """Everybody who answers and may sign in: those online first, by name; and `also` whoever they are."""
    policy = active_policy(session).policy
    users = [*_who_answer(session)]
    if also is not None and also not in users:
        users.append(also)
    agents = {each.id: each for each in load_agents(session, policy, now, ids=[user.id for user in users])}
    counts = {
        owner_id: (conversations, offered)
        for owner_id, conversations, offered in session.execute(
            select(
                Conversation.owner_id, func.count(), func.count().filter(Conversation.accept_by.is_not(None))
            )
            .where(Conversation.owner_id.is_not(None), Conversation.reply_by.is_not(None))
            .group_by(Conversation.owner_id)
        )
    }
    rows = [AgentRow(user, agents[user.id], *counts.get(user.id, (0, 0))) for user in users]
    return sorted(rows, key=lambda row: (not row.agent.online, row.user.name.casefold(), row.user.id))


def candidates(session: Session, conversation: Conversation, now: datetime) -> list[Candidate]:
    """To whom a conversation could be sent: those who could be given it first, by name; not its owner."""
    policy = active_policy(session).policy
    needs = needs_of_lane(conversation.lane)
    users = [user for user in _who_answer(session) if user.id != conversation.owner_id]
    agents = {each.id: each for each in load_agents(session, policy, now, ids=[user.id for user in users])}
    found = [Candidate(user, why_not(agents[user.id], needs)) for user in users]
    return sorted(found, key=lambda each: (bool(each.why_not), each.user.name.casefold(), each.user.id))


def find_agent(session: Session, user_id: int) -> User:
    """A user by id. Raises: NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(f"no user {user_id}")
    return user


def offer_views(session: Session, user_id: int, now: datetime) -> list[dict[str, Any]]:
    """What is offered to somebody and can still be accepted, the one that runs out first at the top, and of
    several the one that is to be answered first."""
    rows = session.execute(
        select(Conversation, Assignment)
        .join(Assignment, Assignment.conversation_id == Conversation.id)
        .where(
            Conversation.owner_id == user_id,
            Conversation.owner_id.is_not(None),
            Conversation.reply_by.is_not(None),
            Conversation.accept_by > now,
            Assignment.ended_at.is_(None),
        )
        .options(
            joinedload(Conversation.customer),
            joinedload(Conversation.channel),
            joinedload(Conversation.newest_message),
        )
        .order_by(Conversation.accept_by, Conversation.reply_by, Conversation.id)
    ).all()
    return [
        {
            "id": conversation.id,
            "url": f"/conversations/{conversation.id}",
            "customer": conversation.customer,
            "channel": conversation.goes_by,
            "preview": " ".join(conversation.newest_message.body[:400].split())[:200]
            if conversation.newest_message
            else "",
            "reply_by": conversation.reply_by,
            "accept_by": conversation.accept_by,
            "reasons": assignment.reasons,
        }
        for conversation, assignment in rows
    ]


def history(session: Session, conversation_id: int) -> list[Assignment]:
    """Who has had a conversation, the newest first."""
    found = session.scalars(
        select(Assignment)
        .where(Assignment.conversation_id == conversation_id)
        .options(joinedload(Assignment.user), joinedload(Assignment.by))
        .order_by(Assignment.id.desc())
    )
    return list(found)


def needs_in_words(conversation: Conversation) -> list[str]:
    """What it takes to answer a conversation; empty where anybody can."""
    needs: Needs = needs_of_lane(conversation.lane)
    words = [f"team {needs.team}"] if needs.team else []
    return words + [f"{name} {level}" for name, level in needs.skills]


def _who_answer(session: Session) -> Sequence[User]:
    query = select(User).where(User.role.in_(ANSWERING), User.disabled_at.is_(None)).order_by(User.id)
    return session.scalars(query).all()
