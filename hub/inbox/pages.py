"""Rejects for people."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from hub.http import PageUser, RowId, SessionDep
from hub.inbox.api import download
from hub.inbox.queries import Filters, RejectRow, count_reasons, find_reject, list_rejects
from hub.pages import page
from hub.paging import MAX_LIMIT

router = APIRouter()
PAGE_ROWS = 50


@router.get("/rejects")
def rejects_page(
    request: Request,
    session: SessionDep,
    user: PageUser,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = PAGE_ROWS,
    reason: str = "",
    channel: str = "",
) -> Response:
    filters = Filters(reason, channel)
    found = list_rejects(session, filters, cursor=cursor, limit=limit)
    chosen = {"reason": reason, "channel": channel}
    more = urlencode({**chosen, "cursor": found.next_cursor})
    return page(
        request,
        session,
        user,
        "rejects.html",
        "rejects",
        filters=chosen,
        reasons=count_reasons(session, filters),
        rejects=[_view(row) for row in found.items],
        more_url=f"/rejects?{more}" if found.next_cursor else None,
    )


@router.get("/rejects/{reject_id}/raw")
def raw(session: SessionDep, user: PageUser, reject_id: RowId) -> Response:
    return download(find_reject(session, reject_id))


def _view(row: RejectRow) -> dict[str, Any]:
    reject = row.reject
    return {
        "id": reject.id,
        "channel": row.channel,
        "reason": reject.reason,
        "detail": reject.detail,
        "where": reject.source,
        "received_at": reject.created_at,
        "size_bytes": row.size_bytes,
        "raw": row.text,
        "truncated": row.truncated,
        "raw_url": f"/rejects/{reject.id}/raw",
    }
