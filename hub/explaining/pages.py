"""Explanations for people: what the disclosure beside a mood holds."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from hub.errors import Invalid
from hub.explaining.service import explain_message
from hub.http import HubDep, PageCaller, RowId
from hub.web.render import render
from sentiment.types import Explanation

router = APIRouter()
# So many words are named of those that moved a mood.
MOST_WORDS = 6


@router.get("/messages/{message_id}/why")
def why(hub: HubDep, user: PageCaller, message_id: RowId) -> Response:
    try:
        found = explain_message(hub, message_id)
    except Invalid as error:
        return HTMLResponse(render("_why.html", why=None, detail=error.detail))
    # Who opens it again need not wait again.
    return HTMLResponse(
        render("_why.html", why=why_view(*found)), headers={"Cache-Control": "private, max-age=60"}
    )


def why_view(text: str, why: Explanation) -> dict[str, Any]:
    """The whole of `text` in parts, and those that matter most, the strongest first."""
    parts: list[dict[str, Any]] = []
    end = 0
    for word in why.words:
        parts.append({"text": text[end : word.start], "strength": 0})
        parts.append(
            {
                "text": word.text,
                "strength": why.strength(word),
                "way": "for" if word.contribution > 0 else "against",
                "contribution": word.contribution,
            }
        )
        end = word.end
    parts.append({"text": text[end:], "strength": 0})
    strongest = sorted(
        (part for part in parts if part["strength"]), key=lambda part: -abs(part["contribution"])
    )
    return {
        "label": why.label,
        "confidence": why.confidence,
        "parts": parts,
        "strongest": strongest[:MOST_WORDS],
    }
