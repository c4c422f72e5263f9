"""Reading the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from hub.channels.models import Channel
from hub.conversations.models import AnalysisRow, Conversation, Message, Promise
from hub.conversations.promises import is_running, standing
from hub.customers.models import Customer
from hub.customers.spend import spend_percentiles
from hub.errors import NotFound
from hub.paging import Page, after, page
from hub.queue.models import Decision, PlanSummary

PREVIEW = 200
LAST_DECISIONS = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """Which of the queue to see; empty means all. `owner` is all, unowned or mine (of `user_id`)."""

    owner: str = "all"
    user_id: int | None = None
    channel: str = ""
    tier: str = ""
    sentiment: str = ""


@dataclass(frozen=True, slots=True)
class PromiseView:
    """A promise and how much of it is used, in seconds of its calendar."""

    metric: str
    policy: str
    started_at: datetime
    target_seconds: int
    due_at: datetime
    used_seconds: float
    running: bool


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A waiting conversation with all that says why it stands where it stands."""

    conversation: Conversation
    promise: PromiseView
    spend_percentile: float | None
    unanswered: int

    @property
    def analysis(self) -> AnalysisRow | None:
        """What the model said of the newest customer message."""
        newest = self.conversation.newest_message
        return newest.analysis if newest else None

    @property
    def preview(self) -> str:
        """The beginning of the newest customer message, on one line."""
        newest = self.conversation.newest_message
        return " ".join(newest.body[: PREVIEW * 2].split())[:PREVIEW] if newest else ""


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """The queue in five figures; those of the plan are as of its last run."""

    waiting: int
    overdue: int
    next_breach_at: datetime | None
    agents_on_duty: int
    breaking: int
    agents_needed: int | None


def list_queue(
    session: Session, filters: Filters, now: datetime, *, cursor: str | None = None, limit: int = 50
) -> Page[QueueRow]:
    """Waiting conversations, the earliest `reply_by` first. Raises: Invalid for a cursor that is not ours."""
    query = _filtered(select(Conversation).where(Conversation.reply_by.is_not(None)), filters)
    query = after(query, (Conversation.reply_by, Conversation.id), (datetime, int), cursor)
    conversations = session.scalars(query.options(*SHOWN).limit(limit + 1)).all()
    found = page(conversations, limit, lambda each: (each.reply_by, each.id))
    return Page(queue_rows(session, found.items, now), found.next_cursor)


# What a row shows, loaded with it.
SHOWN = (
    joinedload(Conversation.customer),
    joinedload(Conversation.channel),
    joinedload(Conversation.owner),
    joinedload(Conversation.promise),
    joinedload(Conversation.newest_message).joinedload(Message.analysis),
)


def queue_rows(session: Session, conversations: Sequence[Conversation], now: datetime) -> list[QueueRow]:
    """Rows of those among `conversations` that are owed an answer."""
    owed = [conversation for conversation in conversations if conversation.promise is not None]
    percentiles = spend_percentiles(session, {conversation.customer for conversation in owed})
    unanswered = _unanswered(session, owed)
    return [
        QueueRow(
            conversation,
            promise_view(conversation.promise, now),
            percentiles.get(conversation.customer_id),
            # Of what was deleted the wait is left; where nobody waits, an update is owed.
            unanswered.get(conversation.id, 0 if conversation.waiting_since is None else 1),
        )
        for conversation in owed
        if conversation.promise is not None
    ]


def promise_view(promise: Promise, now: datetime) -> PromiseView:
    """How a promise stands now."""
    settled = standing(promise, now)
    return PromiseView(
        promise.metric,
        promise.policy,
        promise.started_at,
        promise.target_seconds,
        promise.due_at,
        settled.used * promise.target_seconds,
        is_running(promise, now),
    )


def decisions_of(session: Session, conversation_id: int) -> Sequence[Decision]:
    """What was decided of a conversation, the newest first. Raises: NotFound."""
    if session.get(Conversation, conversation_id) is None:
        raise NotFound(f"there is no conversation {conversation_id}")
    return session.scalars(
        select(Decision)
        .where(Decision.conversation_id == conversation_id)
        .order_by(Decision.id.desc())
        .limit(LAST_DECISIONS)
    ).all()


def summarise(session: Session, now: datetime) -> QueueSummary:
    """The queue at a glance."""
    waiting = Conversation.reply_by.is_not(None)
    overdue, ahead = session.execute(
        select(
            func.count().filter(Promise.due_at < now),
            func.min(Promise.due_at).filter(Promise.due_at >= now),
        )
        .select_from(Conversation)
        .join(Promise, Promise.id == Conversation.promise_id)
        .where(waiting)
    ).one()
    plan = session.get(PlanSummary, 1)
    return QueueSummary(
        waiting=count_waiting(session),
        overdue=overdue,
        next_breach_at=ahead,
        agents_on_duty=plan.agents if plan else 0,
        breaking=plan.breaking if plan else 0,
        agents_needed=plan.agents_needed if plan else None,
    )


def count_waiting(session: Session) -> int:
    """How many conversations are owed an answer."""
    waiting = select(func.count()).select_from(Conversation).where(Conversation.reply_by.is_not(None))
    return session.scalar(waiting) or 0


def reasons_of(conversation: Conversation) -> list[Mapping[str, Any]]:
    """Why it weighs what it weighs: factor and text of each reason."""
    return list(conversation.reasons or [])


def _filtered(query: Select[Conversation], filters: Filters) -> Select[Conversation]:
    if filters.owner == "unowned":
        query = query.where(Conversation.owner_id.is_(None))
    elif filters.owner == "mine":
        query = query.where(Conversation.owner_id == filters.user_id)
    if filters.channel:
        query = query.join(
            Channel, Channel.id == func.coalesce(Conversation.via_id, Conversation.channel_id)
        ).where(Channel.name == filters.channel)
    if filters.tier:
        query = query.join(Customer, Customer.id == Conversation.customer_id).where(
            Customer.tier == filters.tier
        )
    if filters.sentiment:
        query = query.join(AnalysisRow, AnalysisRow.message_id == Conversation.newest_message_id).where(
            AnalysisRow.sentiment == filters.sentiment
        )
    return query


def _unanswered(session: Session, conversations: Sequence[Conversation]) -> dict[int, int]:
    rows = session.execute(
        select(Message.conversation_id, func.count())
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.id.in_([conversation.id for conversation in conversations]),
            Message.direction == "incoming",
            Message.automatic.is_(False),
            Message.deleted_at.is_(None),
            Message.sent_at >= Conversation.waiting_since,
        )
        .group_by(Message.conversation_id)
    )
    return dict(rows.all())
