"""Corrections for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from hub.clock import utcnow
from hub.conversations.models import Message
from hub.conversations.queries import find_message
from hub.http import PageUser, RowId, SessionDep
from hub.learning.corrections import correct, find_correction, withdraw
from hub.pages import go, toast
from hub.paging import LARGEST

router = APIRouter()


@router.post("/corrections")
def do_correct(
    request: Request,
    session: SessionDep,
    user: PageUser,
    message_id: Annotated[int, Form(ge=1, le=LARGEST)],
    sentiment: Annotated[str | None, Form()] = None,
    intents: Annotated[list[str] | None, Form()] = None,
) -> Response:
    message = find_message(session, message_id)
    chosen = _main_first(intents or [], message)
    made = correct(session, message, user=user, now=utcnow(), sentiment=sentiment, intents=chosen or None)
    toast(request, "Corrected.", undo=(f"/corrections/{made.id}/withdraw", {}))
    return go(f"/conversations/{message.conversation_id}")


@router.post("/corrections/{correction_id}/withdraw")
def do_withdraw(session: SessionDep, user: PageUser, correction_id: RowId) -> Response:
    correction = find_correction(session, correction_id)
    withdraw(session, correction, utcnow())
    message = session.get_one(Message, correction.message_id)
    return go(f"/conversations/{message.conversation_id}")


def _main_first(chosen: Sequence[str], message: Message) -> list[str]:
    """Boxes have no order: what was said before goes first; displeasure stands beside a topic."""
    said = [each["label"] for each in message.analysis.intents] if message.analysis else []
    return sorted(
        chosen,
        key=lambda each: (each == "complaint", said.index(each) if each in said else len(said)),
    )
