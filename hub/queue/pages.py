"""The queue for people."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select

from hub.accounts.models import User
from hub.accounts.service import set_away
from hub.assignment.claiming import claim_next, why_nothing
from hub.channels.models import Channel
from hub.clock import utcnow
from hub.http import PageUser, SessionDep
from hub.pages import go, page, toast
from hub.paging import MAX_LIMIT
from hub.policies.service import active_policy
from hub.queue.queries import Filters, QueueRow, list_queue, reasons_of, summarise

router = APIRouter()
PAGE_ROWS = 50


@router.get("/queue")
def queue_page(
    request: Request,
    session: SessionDep,
    user: PageUser,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = PAGE_ROWS,
    rank: Annotated[int, Query(ge=1)] = 1,
    owner: str = "all",
    channel: str = "",
    tier: str = "",
    sentiment: str = "",
) -> Response:
    now = utcnow()
    filters = Filters(owner, user.id, channel, tier, sentiment)
    found = list_queue(session, filters, now, cursor=cursor, limit=limit)
    chosen = {"owner": owner, "channel": channel, "tier": tier, "sentiment": sentiment}
    # The queue moves while it is read: a longer page has nobody twice, where a further one might.
    grows = limit < MAX_LIMIT
    more: dict[str, Any] = {**chosen, "cursor": found.next_cursor, "rank": rank + len(found.items)}
    if grows:
        here = {"cursor": cursor, "rank": rank} if cursor else {}
        more = {**chosen, **here, "limit": min(limit + PAGE_ROWS, MAX_LIMIT)}
    return page(
        request,
        session,
        user,
        "queue.html",
        "queue",
        now=now,
        summary=summarise(session, now),
        filters=chosen,
        channels=session.scalars(select(Channel).order_by(Channel.name)).all(),
        tiers=active_policy(session).policy.tiers,
        first_rank=rank,
        rows=[row_view(row, user) for row in found.items],
        more_url=f"/queue?{urlencode(more)}" if found.next_cursor else None,
        grows=grows,
    )


@router.post("/queue/next")
def take_next(request: Request, session: SessionDep, user: PageUser) -> Response:
    now = utcnow()
    # Who asks for work is there for it.
    if user.away:
        set_away(session, user.id, False, now)
    claimed = claim_next(session, user.id, now)
    if claimed is None:
        toast(request, why_nothing(session, user.id, now), "info")
        return go("/queue")
    return go(f"/conversations/{claimed}")


def row_view(row: QueueRow, me: User) -> dict[str, Any]:
    """A queue row as the templates want it."""
    conversation, analysis = row.conversation, row.analysis
    return {
        "id": conversation.id,
        "url": f"/conversations/{conversation.id}",
        "subject": conversation.subject,
        "preview": row.preview,
        "language": analysis.language if analysis else None,
        "unanswered": row.unanswered,
        "customer": conversation.customer,
        "tier": conversation.customer.tier,
        "spend_percentile": row.spend_percentile,
        "channel": conversation.goes_by,
        "sentiment": {"label": analysis.sentiment, "confidence": analysis.sentiment_confidence}
        if analysis
        else None,
        "intents": analysis.intents if analysis else [],
        "waiting_since": conversation.waiting_since,
        "reply_by": conversation.reply_by,
        "promise": row.promise,
        "weight": conversation.weight,
        "reasons": reasons_of(conversation),
        "gave_way_at": conversation.gave_way_at,
        "gave_way_to": conversation.gave_way_to,
        "owner": {"name": conversation.owner.name, "is_me": conversation.owner.id == me.id}
        if conversation.owner
        else None,
    }
