"""Offers, sending on, and who can do what, for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from hub.accounts.service import find_user
from hub.assignment import service
from hub.assignment.models import Assignment
from hub.assignment.queries import (
    AgentRow,
    find_agent,
    history,
    list_agents,
    offer_views,
)
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.conversations.queries import find_thread
from hub.conversations.service import get_conversation
from hub.http import ApiUser, RowId, SessionDep
from routing.assignment import needs_of_lane

router = APIRouter(tags=["assignment"])


class AssignmentOut(BaseModel):
    """Who had a conversation, from when to when, and why. `reasons` say why it was they."""

    id: int
    user: str
    how: str
    by: str | None
    reasons: list[str]
    policy_version_id: int | None
    assigned_at: datetime
    accept_by: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    ended: str | None

    @classmethod
    def of(cls, row: Assignment) -> Self:
        """An assignment as the API shows it."""
        return cls(
            id=row.id,
            user=row.user.email,
            how=row.how,
            by=row.by.email if row.by else None,
            reasons=row.reasons,
            policy_version_id=row.policy_version_id,
            assigned_at=row.assigned_at,
            accept_by=row.accept_by,
            accepted_at=row.accepted_at,
            ended_at=row.ended_at,
            ended=row.ended,
        )


class AssignmentsOut(BaseModel):
    """Whose a conversation is and was, the newest first; what it takes to answer it, by which rule."""

    conversation_id: int
    owner: str | None
    accept_by: datetime | None
    rule: str | None
    team: str | None
    skills: dict[str, int]
    load: int
    items: list[AssignmentOut]


class OfferOut(BaseModel):
    conversation_id: int
    customer: str
    preview: str
    reply_by: datetime
    accept_by: datetime
    reasons: list[str]


class AgentOut(BaseModel):
    """Somebody who answers; `used` and `capacity` in units, capacity null where there is no limit.

    `away_because` says why the hub set them away; null where it did not.
    """

    id: int
    email: str
    name: str
    presence: Literal["online", "away", "offline"]
    away_because: str | None
    seen_at: datetime | None
    teams: list[str]
    skills: dict[str, int]
    own_capacity: int | None
    capacity: int | None
    used: int
    conversations: int
    offered: int
    last_assigned_at: datetime | None

    @classmethod
    def of(cls, row: AgentRow) -> Self:
        """An agent as the API shows it."""
        return cls(
            id=row.user.id,
            email=row.user.email,
            name=row.user.name,
            presence=row.presence,
            away_because=row.user.away_because,
            seen_at=row.user.seen_at,
            teams=row.user.teams,
            skills=row.user.skills,
            own_capacity=row.user.capacity,
            capacity=row.agent.capacity,
            used=row.agent.used,
            conversations=row.conversations,
            offered=row.offered,
            last_assigned_at=row.agent.last_assigned_at,
        )


class AbilitiesIn(BaseModel):
    """All that somebody can do, by the policy's names; levels are 1 to 5. Capacity null: the policy's."""

    teams: list[str] = []
    skills: dict[str, int] = {}
    capacity: int | None = None


class SendIn(BaseModel):
    """To a colleague, by mail address, or to a team; with a note for them if you like."""

    user: str | None = None
    team: str | None = None
    note: Annotated[str, Field(max_length=100_000)] = ""


class PresenceIn(BaseModel):
    away: bool


@router.get("/offers")
def get_offers(user: ApiUser, session: SessionDep) -> list[OfferOut]:
    """What is offered to you and waits to be accepted, the one that runs out first at the top."""
    return [
        OfferOut(**{**each, "conversation_id": each["id"], "customer": each["customer"].name})
        for each in offer_views(session, user.id, utcnow())
    ]


@router.post("/conversations/{conversation_id}/accept")
def post_accept(user: ApiUser, session: SessionDep, conversation_id: RowId) -> AssignmentsOut:
    """Accept what was offered. 409 where it is no longer offered to you."""
    conversation = get_conversation(session, conversation_id)
    service.accept_offer(session, conversation, user, utcnow())
    return _assignments(session, conversation)


@router.post("/conversations/{conversation_id}/decline")
def post_decline(user: ApiUser, session: SessionDep, conversation_id: RowId) -> AssignmentsOut:
    """Pass on what was offered: it goes to somebody else. 409 where it is no offer to you."""
    conversation = get_conversation(session, conversation_id)
    service.decline_offer(session, conversation, user, utcnow())
    return _assignments(session, conversation)


@router.post("/conversations/{conversation_id}/send")
def post_send(user: ApiUser, session: SessionDep, conversation_id: RowId, body: SendIn) -> AssignmentsOut:
    """Hand a conversation to a colleague or a team. 403 where somebody else has it and you manage nobody."""
    conversation = get_conversation(session, conversation_id)
    service.send_on(
        session,
        conversation,
        by=user,
        now=utcnow(),
        to=find_user(session, body.user) if body.user is not None else None,
        team=body.team,
        text=body.note,
    )
    return _assignments(session, conversation)


@router.get("/conversations/{conversation_id}/assignments")
def get_assignments(user: ApiUser, session: SessionDep, conversation_id: RowId) -> AssignmentsOut:
    """Who has had a conversation, since when, and why."""
    return _assignments(session, find_thread(session, conversation_id).conversation)


@router.get("/agents")
def get_agents(user: ApiUser, session: SessionDep) -> list[AgentOut]:
    """Everybody who answers: whether they are here, what they can do and have in hand. For managers."""
    service.may_manage(user)
    return [AgentOut.of(row) for row in list_agents(session, utcnow())]


@router.put("/agents/{user_id}")
def put_agent(user: ApiUser, session: SessionDep, user_id: RowId, body: AbilitiesIn) -> AgentOut:
    """Say of which teams somebody is, what they can do, and how much at once. Managers only."""
    service.may_manage(user)
    agent = find_agent(session, user_id)
    service.set_abilities(session, agent, teams=body.teams, skills=body.skills, capacity=body.capacity)
    rows = {row.user.id: row for row in list_agents(session, utcnow(), also=agent)}
    return AgentOut.of(rows[user_id])


@router.put("/presence")
def put_presence(user: ApiUser, session: SessionDep, body: PresenceIn) -> PresenceIn:
    """Go away, or come back. What was offered to you and not accepted goes to somebody else at once."""
    service.go_away(session, user, body.away, utcnow())
    return body


def _assignments(session: Session, conversation: Conversation) -> AssignmentsOut:
    session.flush()
    session.refresh(conversation, ["owner"])
    needs = needs_of_lane(conversation.lane)
    return AssignmentsOut(
        conversation_id=conversation.id,
        owner=conversation.owner.email if conversation.owner else None,
        accept_by=conversation.accept_by,
        rule=conversation.needs_rule,
        team=needs.team,
        skills=dict(needs.skills),
        load=conversation.load,
        items=[AssignmentOut.of(row) for row in history(session, conversation.id)],
    )
