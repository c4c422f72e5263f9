"""Moods for people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from hub.clock import utcnow
from hub.conversations.models import Conversation, Message
from hub.http import PageUser, SessionDep
from hub.listening.languages import language_name
from hub.listening.queries import moods
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


def _worst_view(message: Message, conversation: Conversation) -> dict[str, Any]:
    analysis = message.analysis
    assert analysis is not None
    return {
        "url": f"/conversations/{conversation.id}",
        "customer": conversation.customer,
        "tier": conversation.customer.tier,
        "channel": conversation.channel,
        "text": " ".join(message.body[: 2 * EXCERPT].split())[:EXCERPT],
        "at": message.sent_at,
        "sentiment": {"label": analysis.sentiment, "confidence": analysis.sentiment_confidence},
    }
