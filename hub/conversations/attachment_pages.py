"""What a conversation's page asks for besides: files, a mail as it was sent, how long a reply is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse

from hub.clock import utcnow
from hub.conversations import formatted
from hub.conversations.attachments import fetch_again, find_attachment, is_safe_image
from hub.conversations.attachments_api import hand_out
from hub.conversations.lengths import Length, measure
from hub.conversations.models import Conversation, Message
from hub.conversations.service import answerable
from hub.errors import NotFound
from hub.http import HubDep, PageCaller, PageUser, RowId, SessionDep
from hub.pages import go, toast
from hub.web.render import asset

router = APIRouter()


@router.get("/attachments/{attachment_id}")
def attachment(
    session: SessionDep, user: PageUser, hub: HubDep, attachment_id: RowId, inline: bool = False
) -> Response:
    return hand_out(hub.files, find_attachment(session, attachment_id), inline=inline)


@router.post("/attachments/{attachment_id}/fetch")
def fetch(request: Request, session: SessionDep, user: PageUser, attachment_id: RowId) -> Response:
    row = fetch_again(session, attachment_id, utcnow())
    toast(request, f"{row.name} is being fetched.")
    return go(f"/conversations/{session.get_one(Message, row.message_id).conversation_id}")


@router.get("/messages/{message_id}/html")
def as_sent(session: SessionDep, user: PageUser, message_id: RowId, remote: bool = False) -> Response:
    message = session.get(Message, message_id)
    if message is None or message.html is None:
        raise NotFound(f"message {message_id} has no HTML")
    pictures = {
        each.content_id.strip("<>"): f"/attachments/{each.id}?inline=1"
        for each in message.attachments
        if each.content_id and is_safe_image(each)
    }
    shown = formatted.formatted(message.html, pictures, remote=remote)
    language = message.analysis.language if message.analysis else None
    return HTMLResponse(
        formatted.page(shown, asset("mail.css"), language), headers=formatted.headers(remote=remote)
    )


@router.post("/conversations/{conversation_id}/length")
def length(
    user: PageCaller, hub: HubDep, conversation_id: RowId, text: Annotated[str, Form()] = ""
) -> Length:
    """How long a reply is as its vendor counts; nobody's transaction is open while it is counted."""
    with hub.database.reading() as session:
        conversation = session.get(Conversation, conversation_id)
        if conversation is None:
            raise NotFound(f"no conversation {conversation_id}")
        channel, answers = conversation.goes_by, answerable(session, conversation)
        meta = answers.meta if answers else {}
        session.expunge(channel)
    return measure(channel, text.replace("\r\n", "\n"), meta)
