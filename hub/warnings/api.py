"""Warnings for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hub.accounts.service import choose_mails
from hub.clock import utcnow
from hub.conversations.promises import standing
from hub.http import ApiUser, SessionDep
from hub.paging import LARGEST, MAX_LIMIT
from hub.warnings.queries import list_warnings
from hub.warnings.service import mark_read

router = APIRouter(tags=["warnings"])


class WarningOut(BaseModel):
    """What the token's user was warned of; `step` as the policy writes it, `due_at` as of then. `outcome` is
    how the promise stands now. What an automation told them is of no promise: `step` is its name.
    `mail` is pending, sending, sent, failed, unknown or dropped (it was over, or read); null where
    none was wanted."""

    id: int
    conversation_id: int
    customer: str
    metric: str | None
    step: str
    automation: bool
    due_at: datetime | None
    outcome: str | None
    created_at: datetime
    read_at: datetime | None
    mail: str | None


class WarningPage(BaseModel):
    items: list[WarningOut]
    next_cursor: str | None


class ReadIn(BaseModel):
    """Which to mark as read; all where it is left out."""

    ids: Annotated[list[Annotated[int, Field(ge=1, le=LARGEST)]], Field(max_length=1000)] | None = None


class MailsIn(BaseModel):
    """Whether you want warnings by mail too, where the hub sends any."""

    wanted: bool


class ReadOut(BaseModel):
    read: int


@router.get("/warnings")
def get_warnings(
    user: ApiUser,
    session: SessionDep,
    unread: bool = False,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> WarningPage:
    """What you were warned of, the newest first."""
    now = utcnow()
    found = list_warnings(session, user, unread=unread, cursor=cursor, limit=limit)
    return WarningPage(
        items=[
            WarningOut(
                id=each.id,
                conversation_id=each.conversation_id,
                customer=each.conversation.customer.name,
                metric=each.metric,
                step=each.step,
                automation=each.run_id is not None,
                due_at=each.due_at,
                outcome=standing(each.promise, now).outcome if each.promise else None,
                created_at=each.created_at,
                read_at=each.read_at,
                mail=each.mail.state if each.mail else None,
            )
            for each in found.items
        ],
        next_cursor=found.next_cursor,
    )


@router.post("/warnings/read")
def post_read(user: ApiUser, session: SessionDep, body: ReadIn) -> ReadOut:
    """Mark warnings as read."""
    return ReadOut(read=mark_read(session, user, body.ids, utcnow()))


@router.put("/warnings/mails")
def put_mails(user: ApiUser, session: SessionDep, body: MailsIn) -> MailsIn:
    """Choose whether your warnings go out by mail too."""
    choose_mails(user, body.wanted)
    return MailsIn(wanted=user.warning_mails)
