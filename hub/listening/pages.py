"""Moods and search for people."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response

from hub.clock import utcnow
from hub.conversations.models import Conversation, Message
from hub.errors import Invalid
from hub.http import PageUser, RowId, SessionDep
from hub.listening.languages import language_name
from hub.listening.queries import moods
from hub.listening.saved import (
    Found,
    find_search,
    found_by_searches,
    list_searches,
    remove_search,
    rename_search,
    save_search,
)
from hub.listening.search import read_query, search
from hub.pages import go, page, toast
from hub.period import Range

router = APIRouter()
EXCERPT = 280


@router.get("/listening")
def listening_page(request: Request, session: SessionDep, user: PageUser, range: Range = "14d") -> Response:
    now = utcnow()
    found = moods(session, range, now)
    return page(
        request,
        session,
        user,
        "listening.html",
        "listening",
        now=now,
        range=range,
        totals={**found.totals.fields(), "negative_before": found.before.negative_share},
        over_time={
            "unit": found.period.unit,
            # An hour is one everywhere, and told by the reader's clock.
            "zone": found.period.zone if found.period.unit == "day" else "",
            "points": [{"at": at, **tally.fields()} for at, tally in found.over_time],
        },
        by_channel=[{"channel": channel, **tally.fields()} for channel, tally in found.by_channel],
        languages=[
            {"language": code, "name": language_name(code), **tally.fields()}
            for code, tally in found.by_language
        ],
        intents=found.intents,
        worst=[_worst_view(message, conversation) for message, conversation in found.worst],
        searches=[_saved_view(each) for each in found_by_searches(session, range, now)],
    )


@router.get("/listening/search")
def search_page(
    request: Request, session: SessionDep, user: PageUser, q: str = "", cursor: str | None = None
) -> Response:
    found, problem = None, ""
    if q.strip():
        try:
            query = read_query(q)
        except Invalid as error:
            problem = error.detail
        else:
            found = search(session, query, cursor=cursor)
    more = found.next_cursor if found else None
    return page(
        request,
        session,
        user,
        "listening_search.html",
        "listening",
        now=utcnow(),
        q=q,
        problem=problem,
        found=[_found_view(*each) for each in found.items] if found else [],
        looked_until=found.looked_until if found else None,
        saved=[
            {"id": each.id, "name": each.name, "query": each.query, "url": _url(each.query)}
            for each in list_searches(session)
        ],
        more_url=f"/listening/search?{urlencode({'q': q, 'cursor': more})}" if more else None,
    )


@router.post("/listening/searches")
def do_save(
    request: Request,
    session: SessionDep,
    user: PageUser,
    name: Annotated[str, Form()],
    query: Annotated[str, Form()],
) -> Response:
    saved = save_search(session, name, query, user=user, now=utcnow())
    toast(request, f"Saved. “{saved.name}” counts what comes in from now on, and looks back over 90 days.")
    return go(_url(saved.query))


@router.post("/listening/searches/{search_id}/rename")
def do_rename(
    request: Request, session: SessionDep, user: PageUser, search_id: RowId, name: Annotated[str, Form()]
) -> Response:
    saved = find_search(session, search_id)
    before = saved.name
    rename_search(session, saved, name)
    if saved.name != before:
        undo = (f"/listening/searches/{saved.id}/rename", {"name": before})
        toast(request, f"“{before}” is “{saved.name}” now.", undo=undo)
    return go(_url(saved.query))


@router.post("/listening/searches/{search_id}/remove")
def do_remove(request: Request, session: SessionDep, user: PageUser, search_id: RowId) -> Response:
    saved = find_search(session, search_id)
    undo = ("/listening/searches", {"name": saved.name, "query": saved.query})
    remove_search(session, saved)
    toast(request, f"“{saved.name}” is counted no more.", undo=undo)
    return go(_url(saved.query))


def _url(query: str) -> str:
    return f"/listening/search?{urlencode({'q': query})}"


def _saved_view(found: Found) -> dict[str, Any]:
    saved = found.saved
    return {
        "name": saved.name,
        "url": _url(saved.query),
        "query": saved.query,
        "before": found.before,
        "looking": saved.filled_at is None,
        "looked_until": saved.looked_until,
        **found.tally.fields(),
    }


def _found_view(message: Message, conversation: Conversation) -> dict[str, Any]:
    analysis = message.analysis
    return {
        **_view(message, conversation),
        "id": message.id,
        "overheard": conversation.listening,
        "sentiment": {"label": analysis.sentiment, "confidence": analysis.sentiment_confidence}
        if analysis
        else None,
    }


def _worst_view(message: Message, conversation: Conversation) -> dict[str, Any]:
    analysis = message.analysis
    assert analysis is not None
    return {
        **_view(message, conversation),
        "sentiment": {"label": analysis.sentiment, "confidence": analysis.sentiment_confidence},
    }


def _view(message: Message, conversation: Conversation) -> dict[str, Any]:
    return {
        "url": f"/conversations/{conversation.id}",
        "customer": conversation.customer,
        "tier": conversation.customer.tier,
        "channel": conversation.channel,
        "text": " ".join(message.body[: 2 * EXCERPT].split())[:EXCERPT],
        "at": message.sent_at,
    }
