"""The queue for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hub.accounts.service import set_away
from hub.assignment.claiming import claim_next, why_nothing
from hub.clock import utcnow
from hub.conversations.models import AnalysisRow, Conversation
from hub.errors import NotFound
from hub.http import ApiUser, SessionDep
from hub.paging import MAX_LIMIT
from hub.queue.queries import SHOWN, Filters, QueueRow, list_queue, queue_rows, reasons_of

router = APIRouter(prefix="/queue", tags=["queue"])


class ReasonOut(BaseModel):
    factor: float
    text: str


class SentimentOut(BaseModel):
    """`score` is from -1, surely negative, to 1; it has a value where the model abstains from a label too."""

    label: str | None
    confidence: float
    score: float

    @classmethod
    def of(cls, row: AnalysisRow) -> Self:
        """The mood of an analysis."""
        return cls(label=row.sentiment, confidence=row.sentiment_confidence, score=row.score)


class IntentOut(BaseModel):
    label: str
    confidence: float


class PromiseOut(BaseModel):
    metric: str
    policy: str
    started_at: datetime
    target_seconds: int
    due_at: datetime
    used_seconds: float


class QueueItem(BaseModel):
    """A waiting conversation: when it will be answered, what it weighs, and why.

    `waiting_since` is null where nobody waits for an answer: an update is owed.
    """

    conversation_id: int
    channel: str
    customer_id: int
    customer: str
    tier: str | None
    spend_percentile: float | None
    subject: str | None
    preview: str
    status: str
    owner: str | None
    language: str | None
    sentiment: SentimentOut | None
    intents: list[IntentOut]
    waiting_since: datetime | None
    promise: PromiseOut
    reply_by: datetime | None
    weight: float
    reasons: list[ReasonOut]
    gave_way_at: datetime | None
    gave_way_to: int


class QueuePage(BaseModel):
    items: list[QueueItem]
    next_cursor: str | None


@router.get("")
def get_queue(
    user: ApiUser,
    session: SessionDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    owner: Literal["all", "unowned", "mine"] = "all",
    channel: str = "",
    tier: str = "",
    sentiment: str = "",
) -> QueuePage:
    """Waiting conversations, the earliest `reply_by` first."""
    filters = Filters(owner, user.id, channel, tier, sentiment)
    found = list_queue(session, filters, utcnow(), cursor=cursor, limit=limit)
    return QueuePage(items=[to_item(row) for row in found.items], next_cursor=found.next_cursor)


@router.post("/next")
def post_next(user: ApiUser, session: SessionDep) -> QueueItem:
    """Claim the conversation with the earliest `reply_by` that the policy lets you take; nobody else gets it.

    Who asks is online from then on. 404 where there is none, with the reason.
    """
    now = utcnow()
    if user.away:
        set_away(session, user.id, False, now)
    claimed = claim_next(session, user.id, now)
    if claimed is None:
        raise NotFound(why_nothing(session, user.id, now))
    shown = session.get_one(Conversation, claimed, options=SHOWN)
    return to_item(queue_rows(session, [shown], now)[0])


def to_item(row: QueueRow) -> QueueItem:
    """A queue row as the API and `hub queue --json` show it."""
    conversation, analysis = row.conversation, row.analysis
    return QueueItem(
        conversation_id=conversation.id,
        channel=conversation.goes_by.name,
        customer_id=conversation.customer_id,
        customer=conversation.customer.name,
        tier=conversation.customer.tier,
        spend_percentile=row.spend_percentile,
        subject=conversation.subject,
        preview=row.preview,
        status=conversation.status,
        owner=conversation.owner.name if conversation.owner else None,
        language=analysis.language if analysis else None,
        sentiment=SentimentOut.of(analysis) if analysis else None,
        intents=[IntentOut(**intent) for intent in analysis.intents] if analysis else [],
        waiting_since=conversation.waiting_since,
        promise=PromiseOut(
            metric=row.promise.metric,
            policy=row.promise.policy,
            started_at=row.promise.started_at,
            target_seconds=row.promise.target_seconds,
            due_at=row.promise.due_at,
            used_seconds=round(row.promise.used_seconds, 1),
        ),
        reply_by=conversation.reply_by,
        weight=conversation.weight or 1.0,
        reasons=[
            ReasonOut(factor=reason["factor"], text=reason["text"]) for reason in reasons_of(conversation)
        ],
        gave_way_at=conversation.gave_way_at,
        gave_way_to=conversation.gave_way_to,
    )
