"""Tags, and tickets out of step with their vendor, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy.orm import Session

from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation
from hub.conversations.tags import change_tags
from hub.http import PageUser, RowId, SessionDep
from hub.pages import go, toast
from hub.tickets.service import find_ticket, leave_it, try_again

router = APIRouter()


@router.post("/conversations/{conversation_id}/tags")
def tags(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    add: Annotated[str, Form()] = "",
    remove: Annotated[str, Form()] = "",
) -> Response:
    conversation = get_conversation(session, conversation_id)
    added, removed = change_tags(
        session, conversation, add=_several(add), remove=_several(remove), user=user, now=utcnow()
    )
    if added or removed:
        toast(
            request,
            _told(added, removed),
            undo=(
                f"/conversations/{conversation_id}/tags",
                {"add": ",".join(removed), "remove": ",".join(added)},
            ),
        )
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/ticket/{act}")
def ticket(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    act: Literal["try-again", "leave-it"],
) -> Response:
    conversation = get_conversation(session, conversation_id)
    if act == "try-again":
        try_again(session, conversation, utcnow())
    else:
        leave_it(session, conversation, utcnow())
        toast(request, f"Left as it is at {conversation.channel.name}.")
    return go(f"/conversations/{conversation_id}")


def trouble_view(session: Session, conversation: Conversation) -> dict[str, Any] | None:
    """What a vendor did not take of a conversation's status and tags; None where all is well."""
    found = find_ticket(session, conversation)
    if found is None or found.trouble is None:
        return None
    return {
        "vendor": conversation.channel.name,
        "refused": found.trouble == "refused",
        "error": found.error,
        "next_try_at": found.due_at,
    }


def _several(text: str) -> list[str]:
    return [part for part in text.split(",") if part.strip()]


def _told(added: Sequence[str], removed: Sequence[str]) -> str:
    parts = [f"Tagged {', '.join(added)}."] if added else []
    parts += [f"No longer tagged {', '.join(removed)}."] if removed else []
    return " ".join(parts)
