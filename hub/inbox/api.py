"""Rejects for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from hub.http import ApiUser, RowId, SessionDep
from hub.inbox.models import Reject
from hub.inbox.queries import Filters, RejectRow, find_reject, list_rejects
from hub.paging import MAX_LIMIT

router = APIRouter(prefix="/rejects", tags=["rejects"])


class RejectItem(BaseModel):
    """A record that could not be read. `raw` is the first of it, with whatever is no text as escapes."""

    id: int
    channel: str
    reason: str
    detail: str
    where: str
    received_at: datetime
    size_bytes: int
    raw: str
    truncated: bool


class RejectPage(BaseModel):
    items: list[RejectItem]
    next_cursor: str | None


@router.get("")
def get_rejects(
    user: ApiUser,
    session: SessionDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    reason: str = "",
    channel: str = "",
) -> RejectPage:
    """Records that could not be read, the newest first."""
    found = list_rejects(session, Filters(reason, channel), cursor=cursor, limit=limit)
    return RejectPage(items=[to_item(row) for row in found.items], next_cursor=found.next_cursor)


@router.get(
    "/{reject_id}/raw",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def get_raw(user: ApiUser, session: SessionDep, reject_id: RowId) -> Response:
    """The whole record, byte for byte."""
    return download(find_reject(session, reject_id))


def download(reject: Reject) -> Response:
    """The whole record as a file: no browser shall take what a stranger sent for a page of ours."""
    return Response(
        reject.raw,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="reject-{reject.id}.bin"',
            "Content-Security-Policy": "sandbox",
        },
    )


def to_item(row: RejectRow) -> RejectItem:
    """A reject as the API and `hub rejects --json` show it."""
    reject = row.reject
    return RejectItem(
        id=reject.id,
        channel=row.channel.name,
        reason=reject.reason,
        detail=reject.detail,
        where=reject.source,
        received_at=reject.created_at,
        size_bytes=row.size_bytes,
        raw=row.text,
        truncated=row.truncated,
    )
