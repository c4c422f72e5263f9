"""Conversations for people."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import AwareDatetime
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.pages import assignment_view
from hub.assignment.queries import history
from hub.clock import utcnow
from hub.conversations import attachment_pages, delivery, merging_pages, service
from hub.conversations.attachments import MOST_FILES, takes_files
from hub.conversations.attachments_api import outgoing
from hub.conversations.decided import decided
from hub.conversations.lengths import measure
from hub.conversations.models import Conversation, Message
from hub.conversations.queries import find_message, find_thread, list_conversations
from hub.conversations.reaching import ways_to
from hub.conversations.snoozing import Snooze, snooze_choices, snooze_until
from hub.conversations.tags import list_tags
from hub.conversations.views import clock_views, message_views, time_view
from hub.customers.queries import customer_profile
from hub.files import files_of
from hub.http import PageUser, RowId, SessionDep
from hub.pages import go, page, toast, zone_of
from hub.paging import MAX_LIMIT
from hub.queue.pages import row_view
from hub.queue.queries import queue_rows
from hub.tickets import pages as ticket_pages
from routing.types import URGENCIES
from sentiment.types import INTENTS, SENTIMENTS

router = APIRouter()
router.include_router(attachment_pages.router)
router.include_router(merging_pages.router)
router.include_router(ticket_pages.router)
PAGE_ROWS = 50
# What a person may choose, in the order in which it is offered; to be snoozed has its own choices.
STATUS_CHOICES = (
    ("open", "Open"),
    ("pending", "Pending: the customer's turn"),
    ("on_hold", "On hold: somebody else's turn"),
    ("solved", "Solved"),
)
DONE = {
    "open": "Open again.",
    "pending": "Waiting for the customer.",
    "on_hold": "On hold.",
    "snoozed": "Snoozed.",
    "solved": "Solved.",
}


@router.get("/conversations")
def conversations_page(
    request: Request,
    session: SessionDep,
    user: PageUser,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = PAGE_ROWS,
    view: str = "open",
    q: str = "",
    tag: str = "",
) -> Response:
    now = utcnow()
    found = list_conversations(
        session, view=view, user_id=user.id, search=q, tag=tag, cursor=cursor, limit=limit
    )
    places = {row.conversation.id: row for row in queue_rows(session, found.items, now)}
    counts = _message_counts(session, [each.id for each in found.items])
    more = urlencode({"view": view, "q": q, "tag": tag, "cursor": found.next_cursor})
    return page(
        request,
        session,
        user,
        "conversations.html",
        "conversations",
        now=now,
        filters={"view": view, "q": q, "tag": tag},
        tags=[each.name for each in list_tags(session)],
        conversations=[
            {
                **_head(each, user),
                "tier": each.customer.tier,
                "url": f"/conversations/{each.id}",
                "preview": " ".join(each.newest_message.body[:400].split())[:200]
                if each.newest_message
                else "",
                "last_at": each.last_message_at,
                "messages": counts.get(each.id, 0),
                "promise": places[each.id].promise if each.id in places else None,
            }
            for each in found.items
        ],
        more_url=f"/conversations?{more}" if found.next_cursor else None,
    )


@router.get("/conversations/{conversation_id}")
def conversation_page(
    request: Request, session: SessionDep, user: PageUser, conversation_id: RowId
) -> Response:
    now = utcnow()
    thread = find_thread(session, conversation_id)
    conversation = thread.conversation
    rows = queue_rows(session, [conversation], now)
    profile = customer_profile(session, conversation.customer_id, now)
    return page(
        request,
        session,
        user,
        "conversation.html",
        "conversations",
        now=now,
        conversation={
            **_head(conversation, user),
            "snoozed_until": conversation.snoozed_until,
            "merged_into": conversation.merged_into_id,
            "trouble": ticket_pages.trouble_view(session, conversation),
            "customer": {
                "id": conversation.customer_id,
                "name": conversation.customer.name,
                "tier": conversation.customer.tier,
                "spend_percentile": profile.spend.percentile if profile.spend else None,
            },
            "place": row_view(rows[0], user) if rows and conversation.reply_by else None,
        },
        messages=message_views(thread),
        composer=_composer(session, conversation),
        statuses=[{"value": value, "text": text} for value, text in STATUS_CHOICES],
        priorities=URGENCIES,
        snoozes=snooze_choices(now, zone_of(request, session)),
        known_tags=[each.name for each in list_tags(session)],
        moods=SENTIMENTS,
        intents=INTENTS,
        clocks=clock_views(thread.promises, now),
        times=time_view(conversation, now),
        assignment=assignment_view(session, conversation, user, history(session, conversation_id)),
        profile=profile,
    )


@router.get("/conversations/{conversation_id}/decisions")
def decisions_page(request: Request, session: SessionDep, user: PageUser, conversation_id: RowId) -> Response:
    return page(
        request,
        session,
        user,
        "conversation_decisions.html",
        "conversations",
        decisions=decided(session, conversation_id),
        conversation=find_thread(session, conversation_id).conversation,
    )


@router.post("/conversations/{conversation_id}/reply")
def reply(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    text: Annotated[str, Form()],
    idempotency_key: Annotated[str, Form(max_length=200)],
    solve: Annotated[str, Form()] = "",
    by: Annotated[str, Form()] = "",
    files: Annotated[list[UploadFile], File()] = [],  # noqa: B006
) -> Response:
    conversation = service.get_conversation(session, conversation_id)
    if by:
        # The customer may have written by another channel since the page was made: it goes where it said.
        service.answer_by(session, conversation, by, user=user, now=utcnow())
    service.reply(
        session,
        conversation,
        user=user,
        text=_newlines(text),
        now=utcnow(),
        idempotency_key=idempotency_key,
        then="solved" if solve else "pending",
        attachments=[
            outgoing(each.filename, each.content_type or "", each.file.read())
            for each in files
            if each.filename
        ],
    )
    toast(request, "Sent and solved." if solve else "Your reply is on its way.")
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/note")
def note(
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    text: Annotated[str, Form()],
    idempotency_key: Annotated[str, Form(max_length=200)],
) -> Response:
    service.note(
        session,
        service.get_conversation(session, conversation_id),
        user=user,
        text=_newlines(text),
        now=utcnow(),
        idempotency_key=idempotency_key,
    )
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/take")
def take(session: SessionDep, user: PageUser, conversation_id: RowId) -> Response:
    service.take(session, service.get_conversation(session, conversation_id), user=user, now=utcnow())
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/release")
def release(request: Request, session: SessionDep, user: PageUser, conversation_id: RowId) -> Response:
    conversation = service.get_conversation(session, conversation_id)
    service.release(session, conversation, user=user, now=utcnow())
    toast(request, "Given back to the queue.", undo=(f"/conversations/{conversation_id}/take", {}))
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/status")
def status(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    status: Annotated[str, Form()] = "snoozed",
    snooze: Annotated[Snooze | None, Form()] = None,
    snoozed_until: Annotated[AwareDatetime | None, Form()] = None,
) -> Response:
    now = utcnow()
    conversation = service.get_conversation(session, conversation_id)
    before, slept_until = conversation.status, conversation.snoozed_until
    if snooze is not None:
        snoozed_until = snooze_until(snooze, now, zone_of(request, session))
    service.set_status(session, conversation, status, user=user, now=now, snoozed_until=snoozed_until)
    if before != status:
        fields = {"status": "open" if before == "new" else before}
        if before == "snoozed" and slept_until is not None:
            fields["snoozed_until"] = slept_until.isoformat()
        toast(request, DONE.get(status, "Done."), undo=(f"/conversations/{conversation_id}/status", fields))
    return go(f"/conversations/{conversation_id}")


@router.post("/conversations/{conversation_id}/priority")
def priority(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    priority: Annotated[str, Form()],
) -> Response:
    conversation = service.get_conversation(session, conversation_id)
    before = conversation.priority
    service.set_priority(session, conversation, priority, user=user, now=utcnow())
    if before != priority:
        undo = (f"/conversations/{conversation_id}/priority", {"priority": before})
        toast(request, f"The priority is {priority} now.", undo=undo)
    return go(f"/conversations/{conversation_id}")


@router.post("/messages/{message_id}/{act}")
def deliver_again(
    session: SessionDep,
    user: PageUser,
    message_id: RowId,
    act: Literal["check", "mark-sent", "send-again", "retry"],
) -> Response:
    acts = {
        "check": delivery.check_again,
        "mark-sent": delivery.mark_sent,
        "send-again": delivery.send_again,
        "retry": delivery.send_again,
    }
    message = find_message(session, message_id)
    acts[act](session, message, utcnow())
    return go(f"/conversations/{message.conversation_id}")


@router.post("/conversations/{conversation_id}/channel")
def answer_by(
    request: Request,
    session: SessionDep,
    user: PageUser,
    conversation_id: RowId,
    channel: Annotated[str, Form()],
) -> Response:
    conversation = service.get_conversation(session, conversation_id)
    before = conversation.goes_by.name
    service.answer_by(session, conversation, channel, user=user, now=utcnow())
    if before != channel:
        undo = (f"/conversations/{conversation_id}/channel", {"channel": before})
        toast(request, f"Answers go by {channel} now.", undo=undo)
    return go(f"/conversations/{conversation_id}")


def _head(conversation: Conversation, me: User) -> dict[str, Any]:
    newest = conversation.newest_message
    analysis = newest.analysis if newest else None
    return {
        "id": conversation.id,
        "subject": conversation.subject,
        "status": conversation.status,
        "priority": conversation.priority,
        "channel": conversation.goes_by,
        "customer": conversation.customer,
        "owner": {"name": conversation.owner.name, "is_me": conversation.owner.id == me.id}
        if conversation.owner
        else None,
        "sentiment": {"label": analysis.sentiment, "confidence": analysis.sentiment_confidence}
        if analysis
        else None,
        "intents": analysis.intents if analysis else [],
        "language": analysis.language if analysis else None,
        "tags": conversation.tags,
    }


def _composer(session: Session, conversation: Conversation) -> dict[str, Any]:
    closed = conversation.status == "closed"
    answers = service.answerable(session, conversation)
    return {
        "replies": not closed,
        "why_not": _why_closed(conversation) if closed else "",
        "max_length": measure(conversation.goes_by, "", answers.meta if answers else {}).limit,
        "files": {"most": MOST_FILES, "max_bytes": files_of(session).max_bytes}
        if takes_files(conversation.goes_by)
        else None,
        "recipient": conversation.customer.name,
        "ways": [
            {"channel": each.channel, "to": each.to.value if each.to else None}
            for each in ways_to(session, conversation)
        ],
        "reply_key": uuid4().hex,
        "note_key": uuid4().hex,
    }


def _why_closed(conversation: Conversation) -> str:
    if conversation.merged_into_id is not None:
        return f"This conversation was merged into {conversation.merged_into_id}: answer there."
    return "This conversation is closed. The customer's next message opens another."


def _message_counts(session: Session, ids: list[int]) -> dict[int, int]:
    rows = session.execute(
        select(Message.conversation_id, func.count())
        .where(Message.conversation_id.in_(ids), Message.direction != "activity")
        .group_by(Message.conversation_id)
    )
    return dict(rows.all())


def _newlines(text: str) -> str:
    """Forms send lines parted as in mail (RFC 7578); we keep them as everywhere else."""
    return text.replace("\r\n", "\n")
