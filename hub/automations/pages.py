"""Automations for managers: how often each ran, and what they did."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from hub.automations.models import AutomationRun
from hub.automations.queries import cause_of, list_automations, list_runs, trouble_of
from hub.clock import utcnow
from hub.http import PageUser, SessionDep
from hub.pages import page
from hub.paging import LARGEST, MAX_LIMIT
from hub.policies.service import may_change

router = APIRouter()


@router.get("/automations")
def automations_page(
    request: Request,
    session: SessionDep,
    user: PageUser,
    name: Annotated[str, Query(max_length=40)] = "",
    conversation: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
    trouble: bool = False,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> Response:
    may_change(user)
    now = utcnow()
    found = list_runs(
        session, automation=name, conversation_id=conversation, trouble=trouble, cursor=cursor, limit=limit
    )
    asked = {
        "name": name,
        "conversation": conversation or "",
        "trouble": "true" if trouble else "",
        "cursor": found.next_cursor,
    }
    more = urlencode({key: value for key, value in asked.items() if value})
    return page(
        request,
        session,
        user,
        "automations.html",
        "policy",
        now=now,
        automations=[
            {
                "name": state.automation.name,
                "asked": state.asked,
                "when": state.automation.when.text if state.automation.when else None,
                "do": [action.told for action in state.automation.do],
                "ran": state.ran,
                "last_at": state.last.ran_at if state.last else None,
                "trouble": trouble_of(state.last_trouble) if state.last_trouble else None,
                "trouble_at": state.last_trouble.ran_at if state.last_trouble else None,
            }
            for state in list_automations(session, now)
        ],
        filters={"name": name, "conversation": conversation, "trouble": trouble},
        runs=[_view(run) for run in found.items],
        more_url=f"/automations?{more}" if found.next_cursor else None,
    )


def _view(run: AutomationRun) -> dict[str, object]:
    return {
        "id": run.id,
        "automation": run.automation,
        "cause": cause_of(run),
        "conversation_id": run.conversation_id,
        "customer": run.conversation.customer,
        "channel": run.conversation.channel,
        "version": run.policy_version_id,
        "result": run.result,
        "why": run.why,
        "actions": run.actions,
        "ran_at": run.ran_at,
    }
