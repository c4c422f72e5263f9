"""Making two conversations one, parting them again, and splitting messages off, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.clock import utcnow
from hub.conversations import merging
from hub.conversations.models import Conversation, Message
from hub.conversations.queries import list_conversations
from hub.conversations.rehearsing import Outlook, outlook, rehearse_merge, rehearse_split
from hub.errors import HubError, NotFound
from hub.http import HubDep, PageUser, RowId, SessionDep
from hub.pages import go, page, toast
from hub.paging import LARGEST
from hub.queue.queries import SHOWN

router = APIRouter()
FOUND_AT_MOST = 20
PREVIEW = 160
RowIdField = Annotated[int, Form(ge=1, le=LARGEST)]


@router.get("/conversations/{conversation_id}/merge")
def merge_page(
    request: Request,
    hub: HubDep,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    q: str = "",
    into: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """Find the other conversation; with `into`, see what would come of it."""
    now = utcnow()
    source = _conversation(session, conversation_id)
    preview: dict[str, Any] | None = None
    if into is not None:
        target = _conversation(session, into)
        preview = {
            "why_not": merging.obstacle(source, target),
            "source": outlook(session, source.id),
            "target": outlook(session, target.id),
        }
        if not preview["why_not"]:
            preview["after"] = rehearse_merge(hub.database, source.id, target.id, user=user, now=now)
    return page(
        request,
        session,
        user,
        "conversation_merge.html",
        "conversations",
        now=now,
        conversation=source,
        q=q,
        found=[_candidate(source, each) for each in _find(session, source, q)] if into is None else [],
        preview=preview,
    )


@router.post("/conversations/{conversation_id}/merge")
def merge(
    request: Request, session: SessionDep, user: PageUser, conversation_id: RowId, into: RowIdField
) -> Response:
    merging.merge(session, conversation_id, into, user=user, now=utcnow())
    toast(
        request,
        f"Conversation {conversation_id} is merged into this one.",
        undo=(f"/conversations/{conversation_id}/unmerge", {}),
    )
    return go(f"/conversations/{into}")


@router.post("/conversations/{conversation_id}/unmerge")
def unmerge(request: Request, session: SessionDep, user: PageUser, conversation_id: RowId) -> Response:
    merging.unmerge(session, conversation_id, user=user, now=utcnow())
    toast(request, "Both conversations stand as they did before.")
    return go(f"/conversations/{conversation_id}")


@router.get("/conversations/{conversation_id}/split")
def split_page(
    request: Request,
    hub: HubDep,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    message: Annotated[list[Annotated[int, Query(ge=1, le=LARGEST)]], Query(max_length=1000)] = [],  # noqa: B006
) -> Response:
    """Choose messages, and see what would come of it."""
    now = utcnow()
    conversation = _conversation(session, conversation_id)
    before = outlook(session, conversation.id)
    after: tuple[Outlook, Outlook] | None = None
    why_not = "A closed conversation stays as it is." if conversation.status == "closed" else ""
    if message and not why_not:
        try:
            after = rehearse_split(hub.database, conversation.id, message, user=user, now=now)
        except HubError as error:
            why_not = error.detail[:1].upper() + error.detail[1:] + "."
    return page(
        request,
        session,
        user,
        "conversation_split.html",
        "conversations",
        now=now,
        conversation=conversation,
        messages=_spoken(session, conversation, set(message)),
        before=before,
        after={"old": after[0], "new": after[1]} if after else None,
        why_not=why_not,
    )


@router.post("/conversations/{conversation_id}/split")
def split(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    message: Annotated[list[RowIdField], Form(max_length=1000)] = [],  # noqa: B006
) -> Response:
    new = merging.split(session, conversation_id, message, user=user, now=utcnow())
    undo = (f"/conversations/{new.id}/merge", {"into": str(conversation_id)})
    toast(request, f"Split off conversation {conversation_id}.", undo=undo)
    return go(f"/conversations/{new.id}")


def _conversation(session: Session, conversation_id: int) -> Conversation:
    found = session.scalar(select(Conversation).where(Conversation.id == conversation_id).options(*SHOWN))
    if found is None:
        raise NotFound(f"no conversation {conversation_id}")
    return found


def _find(session: Session, source: Conversation, words: str) -> Sequence[Conversation]:
    """By number, else by name or words, else the same customer's; those that can be merged first."""
    words = words.strip()
    number = words.removeprefix("#")
    if number.isascii() and number.isdecimal() and int(number) <= LARGEST:
        by_number = select(Conversation).where(Conversation.id == int(number)).options(*SHOWN)
        found = session.scalars(by_number).all()
    else:
        whose = None if words else source.customer_id
        found = list_conversations(session, search=words, customer_id=whose, limit=FOUND_AT_MOST + 1).items
    others = [each for each in found if each.id != source.id][:FOUND_AT_MOST]
    return sorted(others, key=lambda each: bool(merging.obstacle(source, each)))


def _candidate(source: Conversation, other: Conversation) -> dict[str, Any]:
    newest = other.newest_message
    return {
        "id": other.id,
        "subject": other.subject,
        "customer": other.customer,
        "channel": other.goes_by,
        "status": other.status,
        "last_at": other.last_message_at,
        "preview": " ".join(newest.body[: 2 * PREVIEW].split())[:PREVIEW] if newest else "",
        "why_not": merging.obstacle(source, other),
    }


def _spoken(session: Session, conversation: Conversation, chosen: set[int]) -> list[dict[str, Any]]:
    rows = session.scalars(
        select(Message)
        .where(Message.conversation_id == conversation.id, Message.direction != "activity")
        .order_by(Message.sent_at, Message.id)
    )
    return [
        {
            "id": each.id,
            "author": each.author_name
            or (conversation.customer.name if each.direction == "incoming" else "Service"),
            "kind": "customer" if each.direction == "incoming" else "note" if each.private else "agent",
            "sent_at": each.sent_at,
            "text": " ".join(each.body[: 2 * PREVIEW].split())[:PREVIEW],
            "chosen": each.id in chosen,
        }
        for each in rows
    ]
