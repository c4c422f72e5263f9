"""Conversations for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote, urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import AwareDatetime
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.registry import connector_type
from hub.accounts.models import User
from hub.clock import utcnow
from hub.conversations import delivery, service
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.conversations.queries import find_message, find_thread, list_conversations
from hub.conversations.quoting import split_quoted
from hub.conversations.snoozing import Snooze, snooze_choices, snooze_until
from hub.customers.queries import customer_profile
from hub.http import PageUser, RowId, SessionDep
from hub.learning.models import Correction
from hub.pages import go, page, toast
from hub.paging import MAX_LIMIT
from hub.policies.service import active_policy
from hub.queue.pages import row_view
from hub.queue.queries import queue_rows
from sentiment.types import INTENTS, SENTIMENTS

router = APIRouter()
PAGE_ROWS = 50
# How sure the model is of sarcasm, or that nobody waits for a reply, before a page says so.
REMARK_FROM = 0.8
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
) -> Response:
    now = utcnow()
    found = list_conversations(session, view=view, user_id=user.id, search=q, cursor=cursor, limit=limit)
    places = {row.conversation.id: row for row in queue_rows(session, found.items, now)}
    counts = _message_counts(session, [each.id for each in found.items])
    more = urlencode({"view": view, "q": q, "cursor": found.next_cursor})
    return page(
        request,
        session,
        user,
        "conversations.html",
        "conversations",
        now=now,
        filters={"view": view, "q": q},
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
            "customer": {
                "id": conversation.customer_id,
                "name": conversation.customer.name,
                "tier": conversation.customer.tier,
                "spend_percentile": profile.spend.percentile if profile.spend else None,
            },
            "place": row_view(rows[0], user) if rows and conversation.reply_by else None,
        },
        messages=[_message_view(message, conversation) for message in thread.messages],
        composer=_composer(conversation),
        statuses=[{"value": value, "text": text} for value, text in STATUS_CHOICES],
        snoozes=snooze_choices(now, _zone(request, session)),
        moods=SENTIMENTS,
        intents=INTENTS,
        clocks=[
            {
                "metric": promise.metric,
                "started_at": promise.started_at,
                "due_at": promise.due_at,
                "met_at": promise.met_at,
                "breached_at": promise.breached_at,
                "late_by_seconds": promise.late_by_seconds or 0,
            }
            for promise in thread.promises
            if promise.cancelled_at is None
        ],
        profile=profile,
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
) -> Response:
    conversation = service.get_conversation(session, conversation_id)
    service.reply(
        session,
        conversation,
        user=user,
        text=_newlines(text),
        now=utcnow(),
        idempotency_key=idempotency_key,
        then="solved" if solve else "pending",
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
        snoozed_until = snooze_until(snooze, now, _zone(request, session))
    service.set_status(session, conversation, status, user=user, now=now, snoozed_until=snoozed_until)
    if before != status:
        fields = {"status": "open" if before == "new" else before}
        if before == "snoozed" and slept_until is not None:
            fields["snoozed_until"] = slept_until.isoformat()
        toast(request, DONE.get(status, "Done."), undo=(f"/conversations/{conversation_id}/status", fields))
    return go(f"/conversations/{conversation_id}")


@router.post("/messages/{message_id}/{act}")
def deliver_again(session: SessionDep, user: PageUser, message_id: RowId, act: str) -> Response:
    acts = {
        "check": delivery.check_again,
        "mark-sent": delivery.mark_sent,
        "send-again": delivery.send_again,
        "retry": delivery.send_again,
    }
    message = find_message(session, message_id)
    if act in acts:
        acts[act](session, message, utcnow())
    return go(f"/conversations/{message.conversation_id}")


def _head(conversation: Conversation, me: User) -> dict[str, Any]:
    newest = conversation.newest_message
    analysis = newest.analysis if newest else None
    return {
        "id": conversation.id,
        "subject": conversation.subject,
        "status": conversation.status,
        "channel": conversation.channel,
        "customer": conversation.customer,
        "owner": {"name": conversation.owner.name, "is_me": conversation.owner.id == me.id}
        if conversation.owner
        else None,
        "sentiment": {"label": analysis.sentiment, "confidence": analysis.sentiment_confidence}
        if analysis
        else None,
        "intents": analysis.intents if analysis else [],
        "language": analysis.language if analysis else None,
    }


def _message_view(message: Message, conversation: Conversation) -> dict[str, Any]:
    kind = "activity" if message.direction == "activity" else "customer"
    if message.direction == "outgoing":
        kind = "note" if message.private else "auto" if message.automatic else "agent"
    parts = split_quoted(message.body) if kind == "customer" else None
    last = message.attempts[-1] if message.attempts else None
    return {
        "id": message.id,
        "kind": kind,
        "author": message.author_name or (conversation.customer.name if kind == "customer" else "Service"),
        "sent_at": message.sent_at,
        "text": parts.said if parts else message.body,
        "quoted": parts.quoted if parts else "",
        "attachments": [
            {"name": each["name"], "size": _size(each["size_bytes"])}
            for each in message.meta.get("attachments", [])
        ],
        "analysis": _analysis_view(message.analysis, message.corrections) if message.analysis else None,
        "delivery": {"state": message.delivery, "detail": last.detail if last else ""}
        if message.delivery and message.user_id
        else None,
    }


def _analysis_view(row: AnalysisRow, corrections: Sequence[Correction]) -> dict[str, Any]:
    """What stands beside a message; a remark only where the model is sure enough to be worth the room."""
    return {
        "sentiment": {"label": row.sentiment, "confidence": row.sentiment_confidence},
        "language": row.language,
        "feeling": row.emotion if row.emotion != "neutral" else None,
        "feeling_confidence": row.emotion_confidence,
        "sarcastic": (row.sarcasm or 0.0) >= REMARK_FROM,
        "needs_no_reply": row.expects_reply is not None and row.expects_reply <= 1 - REMARK_FROM,
        "taught": row.taught,
        # Where no model read it there is nothing to ask.
        "explained_at": row.created_at if row.sentiment_confidence else None,
        "intents": [intent["label"] for intent in row.intents],
        "correction": {
            "id": corrections[0].id,
            "by": corrections[0].user.name,
            "at": corrections[0].created_at,
        }
        if corrections
        else None,
    }


def _composer(conversation: Conversation) -> dict[str, Any]:
    closed = conversation.status == "closed"
    return {
        "replies": not closed,
        "why_not": "This conversation is closed. The customer's next message opens another."
        if closed
        else "",
        "max_length": connector_type(conversation.channel.connector).max_length,
        "recipient": conversation.customer.name,
        "reply_key": uuid4().hex,
        "note_key": uuid4().hex,
    }


def _message_counts(session: Session, ids: list[int]) -> dict[int, int]:
    rows = session.execute(
        select(Message.conversation_id, func.count())
        .where(Message.conversation_id.in_(ids), Message.direction != "activity")
        .group_by(Message.conversation_id)
    )
    return dict(rows.all())


def _zone(request: Request, session: Session) -> ZoneInfo:
    """The browser's time zone, as its cookie says; the policy's where it says none."""
    try:
        return ZoneInfo(unquote(request.cookies["zone"]))
    except (KeyError, ValueError, OSError):
        return ZoneInfo(active_policy(session).policy.time_zone)


def _newlines(text: str) -> str:
    """Forms send lines parted as in mail (RFC 7578); we keep them as everywhere else."""
    return text.replace("\r\n", "\n")


def _size(size_bytes: int) -> str:
    return (
        f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 1_000_000 else f"{max(1, size_bytes // 1000)} kB"
    )
