"""The policy for managers: its text, its versions, what changes between two, and letting another rule."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.clock import utcnow
from hub.http import PageUser, SessionDep
from hub.pages import go, page, toast
from hub.paging import LARGEST
from hub.policies.models import PolicyVersion
from hub.policies.queries import compare, compare_texts, list_activations, replacing
from hub.policies.service import (
    activate,
    activate_version,
    active_since,
    active_version,
    check,
    find_version,
    may_change,
    version_before,
)
from routing.located_yaml import MOST_CHARACTERS

router = APIRouter()

Text = Annotated[str, Form(max_length=MOST_CHARACTERS)]
Version = Annotated[int, Form(ge=1, le=LARGEST)]


@router.get("/policy")
def policy_page(request: Request, session: SessionDep, user: PageUser, cursor: str | None = None) -> Response:
    may_change(user)
    active = active_since(session)
    before = version_before(session)
    ruled = list_activations(session, cursor, 20)
    return page(
        request,
        session,
        user,
        "policy.html",
        "policy",
        version=active.version_id,
        since=active.activated_at,
        by=active.user.name if active.user else None,
        origin=active.origin,
        before=before.id if before else None,
        replacing=replacing(session),
        lines=active.version.source.splitlines(),
        versions=[
            {
                "id": each.activation.version_id,
                "at": each.activation.activated_at,
                "by": each.activation.user.name if each.activation.user else None,
                "origin": each.activation.origin,
                "active": each.active,
            }
            for each in ruled.items
        ],
        next_cursor=ruled.next_cursor,
    )


@router.get("/policy/compare")
def compare_page(
    request: Request,
    session: SessionDep,
    user: PageUser,
    new: Annotated[int, Query(ge=1, le=LARGEST)],
    old: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    may_change(user)
    active = active_version(session)
    first = find_version(session, old) if old is not None else active
    second = find_version(session, new)
    return page(
        request,
        session,
        user,
        "policy_compare.html",
        "policy",
        old=first.id,
        new=second.id,
        active=active.id,
        lines=compare(first, second),
        text=second.source.splitlines(),
        problems=check(second.source, ruled=True),
    )


@router.post("/policy/activate")
def do_activate(
    request: Request, session: SessionDep, user: PageUser, version: Version, instead_of: Version
) -> Response:
    may_change(user)
    made = activate_version(session, version, utcnow(), user.id, instead_of=instead_of)
    undo = ("/policy/activate", {"version": str(instead_of), "instead_of": str(made.version_id)})
    toast(request, f"Version {made.version_id} rules now.", undo=undo)
    return go("/policy")


@router.get("/policy/edit")
def edit_page(request: Request, session: SessionDep, user: PageUser) -> Response:
    may_change(user)
    active = active_version(session)
    return _edit(request, session, user, active, active.source, checked=False)


@router.post("/policy/edit")
def do_edit(
    request: Request,
    session: SessionDep,
    user: PageUser,
    source: Text,
    instead_of: Version,
    act: Annotated[str, Form()] = "check",
) -> Response:
    may_change(user)
    # A browser sends lines as RFC 7578 has them, with CR LF.
    text = source.replace("\r\n", "\n")
    if act != "activate" or check(text):
        return _edit(request, session, user, find_version(session, instead_of), text, checked=True)
    made = activate(session, text, utcnow(), user_id=user.id, instead_of=instead_of)
    if made.version_id == instead_of:
        toast(request, "Nothing was changed.", "info")
    else:
        undo = ("/policy/activate", {"version": str(instead_of), "instead_of": str(made.version_id)})
        toast(request, f"Version {made.version_id} rules now.", undo=undo)
    return go("/policy")


def _edit(
    request: Request, session: Session, user: User, base: PolicyVersion, text: str, *, checked: bool
) -> Response:
    context: dict[str, Any] = {
        "base": base.id,
        "source": text,
        "checked": checked,
        "problems": check(text) if checked else (),
        "lines": compare_texts(base.source, text) if checked else [],
    }
    return page(request, session, user, "policy_edit.html", "policy", **context)
