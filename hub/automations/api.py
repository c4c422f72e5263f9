"""Automations for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hub.automations.models import AutomationRun
from hub.automations.queries import AutomationState, list_automations, list_runs, trouble_of
from hub.clock import utcnow
from hub.http import ApiUser, SessionDep
from hub.paging import LARGEST, MAX_LIMIT
from hub.policies.service import may_change

router = APIRouter(tags=["automations"])


class AutomationOut(BaseModel):
    """An automation of the policy that rules; `ran` and `troubled` count the last 30 days. `asked` says when
    it is asked, `when` is its condition, and `do` what it does, in words."""

    name: str
    asked: str
    when: str | None
    do: list[str]
    ran: int
    troubled: int
    last_ran_at: datetime | None
    last_trouble_at: datetime | None
    last_trouble: str | None


class AutomationsOut(BaseModel):
    items: list[AutomationOut]


class ActionOut(BaseModel):
    """What was to be done, and what came of it: `done`, `unchanged` where it was so already, or `failed`."""

    what: str
    result: str
    why: str


class RunOut(BaseModel):
    """That an automation ran, or was stopped (`refused`) for the reason in `why`.

    `event` is what happened, or what had been so for a time since `since`; `before` the status or priority
    before, `tag` the tag that was added, `promise` what was promised. `chain` are the automations by which
    it came about.
    """

    id: int
    automation: str
    conversation_id: int
    policy_version: int
    event: str
    before: str | None
    tag: str | None
    promise: str | None
    since: datetime | None
    chain: list[str]
    result: str
    why: str
    actions: list[ActionOut]
    ran_at: datetime


class RunPage(BaseModel):
    items: list[RunOut]
    next_cursor: str | None


@router.get("/automations")
def get_automations(user: ApiUser, session: SessionDep) -> AutomationsOut:
    """The automations of the policy that rules, in its order."""
    may_change(user)
    return AutomationsOut(items=[automation_out(each) for each in list_automations(session, utcnow())])


@router.get("/automations/runs")
def get_runs(
    user: ApiUser,
    session: SessionDep,
    automation: Annotated[str, Query(max_length=40)] = "",
    conversation_id: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
    trouble: bool = False,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> RunPage:
    """What automations did, the newest first; with `trouble`, only what was stopped or could not be done."""
    may_change(user)
    found = list_runs(
        session,
        automation=automation,
        conversation_id=conversation_id,
        trouble=trouble,
        cursor=cursor,
        limit=limit,
    )
    return RunPage(items=[run_out(each) for each in found.items], next_cursor=found.next_cursor)


def automation_out(state: AutomationState) -> AutomationOut:
    """An automation as programs see it."""
    automation, last, trouble = state.automation, state.last, state.last_trouble
    return AutomationOut(
        name=automation.name,
        asked=state.asked,
        when=automation.when.text if automation.when else None,
        do=[action.told for action in automation.do],
        ran=state.ran,
        troubled=state.troubled,
        last_ran_at=last.ran_at if last else None,
        last_trouble_at=trouble.ran_at if trouble else None,
        last_trouble=trouble_of(trouble) if trouble else None,
    )


def run_out(run: AutomationRun) -> RunOut:
    """A run as programs see it."""
    return RunOut(
        id=run.id,
        automation=run.automation,
        conversation_id=run.conversation_id,
        policy_version=run.policy_version_id,
        event=run.event,
        before=run.before,
        tag=run.tag,
        promise=run.promise,
        since=run.since,
        chain=run.chain,
        result=run.result,
        why=run.why,
        actions=[ActionOut.model_validate(each) for each in run.actions],
        ran_at=run.ran_at,
    )
