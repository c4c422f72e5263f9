"""Messages as the pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hub.conversations.attachments import is_safe_image
from hub.conversations.formatted import asks_elsewhere
from hub.conversations.models import AnalysisRow, Attachment, Conversation, Message, Promise
from hub.conversations.promises import standing
from hub.conversations.queries import Thread
from hub.conversations.quoting import split_quoted
from hub.conversations.state import history_of
from hub.learning.models import Correction
from routing.calendars import Calendar
from routing.promises import ENDED, measure

# How sure the model is of sarcasm, or that nobody waits for a reply, before a page says so.
REMARK_FROM = 0.8
NATURES = {
    "bounce": "Bounce",
    "auto_reply": "Automatic reply",
    "list": "Mailing list",
    "loop": "Our own mail, come back",
}


def message_views(thread: Thread) -> list[dict[str, Any]]:
    """The messages of a thread, as `_thread.html` wants them."""
    bounces = {each.answers_id: each.id for each in thread.messages if each.nature == "bounce"}
    several = len({each.channel_id for each in thread.messages if each.direction == "incoming"}) > 1 or (
        thread.conversation.via_id is not None
    )
    return [
        _view(message, thread.conversation, bounces.get(message.id), several) for message in thread.messages
    ]


def _view(
    message: Message, conversation: Conversation, bounce_id: int | None, several: bool
) -> dict[str, Any]:
    kind = "activity" if message.direction == "activity" else "customer"
    if message.direction == "outgoing":
        kind = "note" if message.private else "auto" if message.automatic else "agent"
    parts = split_quoted(message.body) if kind == "customer" else None
    last = message.attempts[-1] if message.attempts else None
    read = message.analysis if message.nature is None else None
    return {
        "id": message.id,
        "kind": kind,
        "author": message.author_name or (conversation.customer.name if kind == "customer" else "Service"),
        "sent_at": message.sent_at,
        "channel": message.channel if several and kind in ("customer", "agent") else None,
        "text": parts.said if parts else message.body,
        "quoted": parts.quoted if parts else "",
        "nature": NATURES.get(message.nature or ""),
        "overheard": not message.addressed,
        "url": message.url,
        "edited_at": message.edited_at if not message.deleted_at else None,
        "versions": [{"text": each.body, "at": each.written_at} for each in message.versions],
        "deleted_at": message.deleted_at,
        "html": {"remote": asks_elsewhere(message.html)} if message.html else None,
        "attachments": [_file(each) for each in message.attachments],
        "analysis": _analysis(read, message.corrections) if read else None,
        "delivery": {"state": message.delivery, "detail": last.detail if last else "", "bounce_id": bounce_id}
        if message.delivery and message.idempotency_key
        else None,
    }


def clock_views(promises: Sequence[Promise], now: datetime) -> list[dict[str, Any]]:
    """What was promised, and what it took so far, in seconds of each promise's calendar."""
    found = []
    for promise in promises:
        if promise.cancelled_at is None:
            settled = standing(promise, now)
            found.append(
                {
                    "metric": promise.metric,
                    "due_at": promise.due_at,
                    "outcome": settled.outcome,
                    "answered": promise.met_at is not None,
                    "target_seconds": promise.target_seconds,
                    "took_seconds": settled.used * promise.target_seconds,
                    "late_by_seconds": settled.late_by_seconds,
                }
            )
    return found


def time_view(conversation: Conversation, now: datetime) -> dict[str, Any] | None:
    """How long it took, or takes so far, in seconds of the wall clock; None before a customer wrote in it."""
    times = measure(history_of(conversation), Calendar.always(), now)
    if times is None:
        return None
    return {
        "solved": conversation.status in ENDED,
        "first_resolution": None
        if times.first_resolution is None
        else times.first_resolution.total_seconds(),
        "resolution": times.resolution.total_seconds(),
        "agent_work": times.agent_work.total_seconds(),
    }


def _file(row: Attachment) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.content_type,
        "size": _size(row.size_bytes) if row.size_bytes else None,
        "description": row.description or row.name,
        "url": f"/attachments/{row.id}" if row.sha256 else None,
        "told": row.description,
        "picture": is_safe_image(row),
        "source": row.url if not row.sha256 else None,
        "fetch": _fetch(row),
    }


def _fetch(row: Attachment) -> dict[str, Any] | None:
    """How the fetching of a file goes that is not kept yet; None where there is none."""
    if row.sha256 or not row.fetchable:
        return None
    state = "waiting" if row.fetch_at else "given_up" if row.fetch_error else "unwanted"
    return {"id": row.id, "state": state, "error": row.fetch_error}


def _analysis(row: AnalysisRow, corrections: Sequence[Correction]) -> dict[str, Any]:
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


def _size(size_bytes: int) -> str:
    return (
        f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 1_000_000 else f"{max(1, size_bytes // 1000)} kB"
    )
