"""The policy for programs: what rules, its versions, what changed, and letting another rule."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hub.clock import utcnow
from hub.errors import Invalid
from hub.http import ApiUser, RowId, SessionDep
from hub.paging import LARGEST, MAX_LIMIT
from hub.policies.queries import Replacing, compare, list_activations, replacing
from hub.policies.service import (
    activate,
    activate_version,
    active_since,
    check,
    find_version,
    may_change,
    step_back,
)
from hub.queue.models import Decision
from hub.queue.queries import decisions_of
from routing.explanations import from_text
from routing.located_yaml import MOST_CHARACTERS

router = APIRouter(tags=["policy"])
VersionId = Annotated[int, Query(ge=1, le=LARGEST)]


class ReplacingOut(BaseModel):
    """How many open conversations have been placed by the version that rules, and how many are left."""

    open: int
    placed: int
    left: int


class PolicyOut(BaseModel):
    """The version that rules, its text in YAML, and since when."""

    version: int
    source: str
    activated_at: datetime
    by: str | None
    origin: str
    replacing: ReplacingOut


class RuledOut(BaseModel):
    """That a version began to rule; `by` is null where it was the command line or the hub itself."""

    version: int
    activated_at: datetime
    by: str | None
    origin: str
    active: bool


class RuledPage(BaseModel):
    items: list[RuledOut]
    next_cursor: str | None


class VersionOut(BaseModel):
    version: int
    source: str
    created_at: datetime


class LineOut(BaseModel):
    """A line of a diff with its number in either text; `gap` stands for equal lines that are left out."""

    kind: Literal["same", "added", "removed", "gap"]
    old: int | None
    new: int | None
    text: str


class DiffOut(BaseModel):
    old: int
    new: int
    lines: list[LineOut]


class SourceIn(BaseModel):
    """A policy in YAML."""

    source: Annotated[str, Field(max_length=MOST_CHARACTERS)]


class ProblemOut(BaseModel):
    line: int
    column: int
    field: str
    message: str


class CheckOut(BaseModel):
    valid: bool
    problems: list[ProblemOut]


class ActivateIn(BaseModel):
    """What is to rule: a version by its number or a new text; only if `instead_of` rules now, if given."""

    version: Annotated[int | None, Field(ge=1, le=LARGEST)] = None
    source: Annotated[str | None, Field(max_length=MOST_CHARACTERS)] = None
    instead_of: int | None = None


class ReasonOut(BaseModel):
    factor: float
    text: str


class DecisionOut(BaseModel):
    """What was decided at a time, by which version of the policy, and why."""

    decided_at: datetime
    version: int
    metric: str
    policy: str
    target_seconds: int
    due_at: datetime
    weight: float
    reasons: list[ReasonOut]


class DecisionList(BaseModel):
    items: list[DecisionOut]


@router.get("/policy")
def get_policy(user: ApiUser, session: SessionDep) -> PolicyOut:
    """The policy that rules now, and how many open conversations are placed by it."""
    active = active_since(session)
    return PolicyOut(
        version=active.version_id,
        source=active.version.source,
        activated_at=active.activated_at,
        by=active.user.name if active.user else None,
        origin=active.origin,
        replacing=_replacing(replacing(session)),
    )


@router.get("/policy/versions")
def get_versions(
    user: ApiUser,
    session: SessionDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> RuledPage:
    """Which version ruled since when, the newest first."""
    found = list_activations(session, cursor, limit)
    items = [
        RuledOut(
            version=each.activation.version_id,
            activated_at=each.activation.activated_at,
            by=each.activation.user.name if each.activation.user else None,
            origin=each.activation.origin,
            active=each.active,
        )
        for each in found.items
    ]
    return RuledPage(items=items, next_cursor=found.next_cursor)


@router.get("/policy/versions/{version}")
def get_version(user: ApiUser, session: SessionDep, version: RowId) -> VersionOut:
    """A version with its text."""
    found = find_version(session, version)
    return VersionOut(version=found.id, source=found.source, created_at=found.created_at)


@router.get("/policy/diff")
def get_diff(user: ApiUser, session: SessionDep, old: VersionId, new: VersionId) -> DiffOut:
    """What changed from one version to another."""
    lines = compare(find_version(session, old), find_version(session, new))
    return DiffOut(
        old=old,
        new=new,
        lines=[LineOut(kind=each.kind, old=each.old, new=each.new, text=each.text) for each in lines],
    )


@router.post("/policy/check")
def post_check(user: ApiUser, body: SourceIn) -> CheckOut:
    """Check a text; nothing is changed."""
    problems = [
        ProblemOut(line=each.line, column=each.column, field=each.field, message=each.message)
        for each in check(body.source)
    ]
    return CheckOut(valid=not problems, problems=problems)


@router.post("/policy/activate")
def post_activate(user: ApiUser, session: SessionDep, body: ActivateIn) -> PolicyOut:
    """Let a version or a new text rule; those who wait are placed anew in the background. For managers."""
    may_change(user)
    if (body.version is None) == (body.source is None):
        raise Invalid("give either a version or a source", field="version")
    now = utcnow()
    if body.version is not None:
        activate_version(session, body.version, now, user.id, instead_of=body.instead_of)
    elif body.source is not None:
        activate(session, body.source, now, user_id=user.id, instead_of=body.instead_of)
    return get_policy(user, session)


@router.post("/policy/back")
def post_back(user: ApiUser, session: SessionDep) -> PolicyOut:
    """Take the last change back: the version rules that ruled before. For managers."""
    may_change(user)
    step_back(session, utcnow(), user.id)
    return get_policy(user, session)


@router.get("/conversations/{conversation_id}/decisions")
def get_decisions(user: ApiUser, session: SessionDep, conversation_id: RowId) -> DecisionList:
    """What was promised in a conversation and what it was worth, each time that it changed, newest first."""
    return DecisionList(items=[decision_out(each) for each in decisions_of(session, conversation_id)])


def _replacing(found: Replacing) -> ReplacingOut:
    return ReplacingOut(open=found.open, placed=found.placed, left=found.left)


def decision_out(row: Decision) -> DecisionOut:
    """A decision as the API and `hub decisions --json` show it."""
    told = from_text(row.explanation)
    return DecisionOut(
        decided_at=row.decided_at,
        version=row.policy_version_id,
        metric=told.metric,
        policy=told.policy,
        target_seconds=told.target_seconds,
        due_at=told.due_at,
        weight=told.weight,
        reasons=[ReasonOut(factor=each.factor, text=each.text) for each in told.reasons],
    )
