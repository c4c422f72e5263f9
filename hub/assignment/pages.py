"""Offers, sending on, and who can do what, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment import service
from hub.assignment.models import Assignment
from hub.assignment.queries import AgentRow, candidates, find_agent, list_agents, needs_in_words, offer_views
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation
from hub.errors import Invalid
from hub.http import PageUser, RowId, SessionDep
from hub.pages import back, go, page, toast, view_of_me
from hub.policies.service import active_policy
from hub.web.render import render
from routing.assignment_rules import HIGHEST_LEVEL
from routing.policy import Policy

router = APIRouter()
HOWS = {
    "next": "asked for the next",
    "push": "was offered it",
    "taken": "took it",
    "answered": "answered it",
    "sent": "was sent it",
}
ENDS = {
    "released": "gave it back",
    "declined": "declined",
    "not_accepted": "did not accept it in time",
    "away": "went away",
    "sent_on": "sent on",
    "answered_by_another": "somebody else answered",
}


async def _fields(request: Request) -> dict[str, list[str]]:
    async with request.form() as form:
        return {name: [str(value) for value in form.getlist(name)] for name in form}


Fields = Annotated[dict[str, list[str]], Depends(_fields)]


@router.get("/offers")
def offers(session: SessionDep, user: PageUser) -> Response:
    now = utcnow()
    return HTMLResponse(
        render(
            "_offers.html",
            offers=offer_views(session, user.id, now),
            away_because=user.away_because,
            me=view_of_me(user),
            by_itself=True,
            now=now,
        )
    )


@router.post("/conversations/{conversation_id}/accept")
def accept(session: SessionDep, user: PageUser, conversation_id: RowId) -> Response:
    service.accept_offer(session, get_conversation(session, conversation_id), user, utcnow())
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/decline")
def decline(request: Request, session: SessionDep, user: PageUser, conversation_id: RowId) -> Response:
    service.decline_offer(session, get_conversation(session, conversation_id), user, utcnow())
    toast(request, "Declined: it goes to somebody else, at its place.", "info")
    return go(back(request))


@router.post("/conversations/{conversation_id}/send")
def send(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    to: Annotated[str, Form()],
    note: Annotated[str, Form(max_length=100_000)] = "",
) -> Response:
    kind, _, name = to.partition(":")
    if kind not in ("agent", "team") or (kind == "agent" and not name.isdigit()):
        raise Invalid("choose a colleague or a team", field="to")
    service.send_on(
        session,
        get_conversation(session, conversation_id),
        by=user,
        now=utcnow(),
        to=find_agent(session, int(name)) if kind == "agent" else None,
        team=name if kind == "team" else None,
        text=note.replace("\r\n", "\n"),
    )
    whom = find_agent(session, int(name)).name if kind == "agent" else f"team {name}"
    toast(request, f"Sent to {whom}.")
    return go(f"/conversations/{conversation_id}")


@router.get("/agents")
def agents_page(request: Request, session: SessionDep, user: PageUser) -> Response:
    service.may_manage(user)
    now = utcnow()
    policy = active_policy(session).policy
    rows = list_agents(session, now)
    return page(
        request,
        session,
        user,
        "agents.html",
        "agents",
        now=now,
        agents=[_agent_view(row, policy) for row in rows],
        teams=policy.teams,
        skills=policy.skills,
        levels=range(1, HIGHEST_LEVEL + 1),
        default_capacity=policy.capacity.default if policy.capacity else None,
        mode=policy.assignment.mode,
    )


@router.post("/agents/{user_id}")
def change_agent(
    request: Request, session: SessionDep, user: PageUser, user_id: RowId, fields: Fields
) -> Response:
    service.may_manage(user)
    agent = find_agent(session, user_id)
    skills = {
        name.removeprefix("skill:"): int(values[0])
        for name, values in fields.items()
        if name.startswith("skill:") and values[0].isdigit() and values[0] != "0"
    }
    capacity = (fields.get("capacity") or [""])[0].strip()
    if capacity and not capacity.isdigit():
        raise Invalid("a capacity is a whole number of units", field="capacity")
    service.set_abilities(
        session,
        agent,
        teams=fields.get("team", []),
        skills=skills,
        capacity=int(capacity) if capacity else None,
    )
    toast(request, f"Saved what {agent.name} does.")
    return go("/agents")


def assignment_view(
    session: Session, conversation: Conversation, me: User, history: list[Assignment]
) -> Mapping[str, Any]:
    """Whose a conversation is and why, what it needs, and to whom it can be sent."""
    now = utcnow()
    current = history[0] if history and history[0].ended_at is None else None
    mine = conversation.owner_id == me.id
    return {
        "needs": needs_in_words(conversation),
        "rule": conversation.needs_rule,
        "sent_to_team": conversation.sent_to_team,
        "since": current.assigned_at if current else None,
        "how": _how(current) if current else "",
        "reasons": _why(current) if current else [],
        "accept_by": conversation.accept_by if mine else None,
        "may_send": conversation.status != "closed"
        and (conversation.owner_id in (None, me.id) or me.role in service.MANAGING),
        "colleagues": [
            {"id": each.user.id, "name": each.user.name, "why_not": "; ".join(each.why_not)}
            for each in candidates(session, conversation, now)
        ],
        "teams": active_policy(session).policy.teams,
        "history": [
            {
                "name": each.user.name,
                "how": _how(each),
                "at": each.assigned_at,
                "ended": ENDS.get(each.ended or "", ""),
            }
            for each in history
        ],
    }


def _how(assignment: Assignment) -> str:
    by = f" by {assignment.by.name}" if assignment.by else ""
    return HOWS[assignment.how] + by


def _why(assignment: Assignment) -> list[str]:
    """The reasons, but for those that say no more than how it came to them."""
    said = {HOWS[assignment.how], f"sent by {assignment.by.name}" if assignment.by else ""}
    return [reason for reason in assignment.reasons if reason not in said]


def _agent_view(row: AgentRow, policy: Policy) -> dict[str, Any]:
    user, agent = row.user, row.agent
    weights = policy.capacity.weights if policy.capacity else {}
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "presence": row.presence,
        "seen_at": user.seen_at,
        "away_since": user.away_since,
        "away_because": user.away_because,
        "teams": user.teams,
        "skills": user.skills,
        "own_capacity": user.capacity,
        "capacity": agent.capacity,
        "used": agent.used,
        "beyond": [name for name, units in weights.items() if units > (agent.capacity or units)],
        "conversations": row.conversations,
        "offered": row.offered,
        "last_assigned_at": agent.last_assigned_at,
    }
