"""Moods and search for people."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from hub.clock import utcnow
from hub.conversations.models import Conversation, Message
from hub.errors import Invalid
from hub.http import PageUser, SessionDep
from hub.listening.languages import language_name
from hub.listening.queries import moods
from hub.listening.search import read_query, search
from hub.pages import page
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
            "points": [{"at": at, **tally.fields()} for at, tally in found.over_time],
        },
        by_channel=[{"channel": channel, **tally.fields()} for channel, tally in found.by_channel],
        languages=[
            {"language": code, "name": language_name(code), **tally.fields()}
            for code, tally in found.by_language
        ],
        intents=found.intents,
        worst=[_worst_view(message, conversation) for message, conversation in found.worst],
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
        more_url=f"/listening/search?{urlencode({'q': q, 'cursor': more})}" if more else None,
    )


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
