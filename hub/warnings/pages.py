"""Warnings for people."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response

from hub.accounts.service import choose_mails
from hub.clock import utcnow
from hub.conversations.models import Promise
from hub.conversations.promises import standing
from hub.errors import NotFound
from hub.http import HubDep, PageUser, RowId, SessionDep
from hub.pages import go, page, toast
from hub.paging import MAX_LIMIT
from hub.warnings.mailing import smtp_config
from hub.warnings.models import PromiseWarning
from hub.warnings.queries import list_warnings
from hub.warnings.service import mark_read

router = APIRouter()


@router.get("/warnings")
def warnings_page(
    request: Request,
    hub: HubDep,
    session: SessionDep,
    user: PageUser,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> Response:
    now = utcnow()
    found = list_warnings(session, user, cursor=cursor, limit=limit)

    def view(row: PromiseWarning) -> dict[str, Any]:
        return {
            "id": row.id,
            "customer": row.conversation.customer,
            "channel": row.conversation.goes_by,
            "step": row.step,
            "promise": of_promise(row.promise) if row.promise else None,
            "mail": {"state": row.mail.state, "detail": row.mail.detail} if row.mail else None,
            "created_at": row.created_at,
            "unread": row.read_at is None,
        }

    def of_promise(promise: Promise) -> dict[str, Any]:
        settled = standing(promise, now)
        return {
            "metric": promise.metric,
            "due_at": promise.due_at,
            "outcome": "over" if promise.cancelled_at and not settled.breached_at else settled.outcome,
            "late_by_seconds": settled.late_by_seconds,
            "answered": not promise.is_open,
        }

    return page(
        request,
        session,
        user,
        "warnings.html",
        "warnings",
        now=now,
        warnings=[view(each) for each in found.items],
        mails={"wanted": user.warning_mails, "to": user.email} if smtp_config(hub.settings) else None,
        more_url=f"/warnings?{urlencode({'cursor': found.next_cursor})}" if found.next_cursor else None,
    )


@router.post("/warnings/read")
def read_all(request: Request, session: SessionDep, user: PageUser) -> Response:
    count = mark_read(session, user, None, utcnow())
    toast(request, "All read." if count else "There was nothing unread.")
    return go("/warnings")


@router.post("/warnings/mails")
def mails(
    request: Request, session: SessionDep, user: PageUser, wanted: Annotated[bool, Form()] = False
) -> Response:
    choose_mails(user, wanted)
    toast(request, f"Warnings go to {user.email} too." if wanted else "No more warnings by mail.")
    return go("/warnings")


@router.post("/warnings/{warning_id}/open")
def open_warning(session: SessionDep, user: PageUser, warning_id: RowId) -> Response:
    """Mark it as read, and on to its conversation."""
    warning = session.get(PromiseWarning, warning_id)
    if warning is None or warning.user_id != user.id:
        raise NotFound("no such warning")
    mark_read(session, user, [warning_id], utcnow())
    return go(f"/conversations/{warning.conversation_id}")
