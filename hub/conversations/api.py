"""Conversations for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from pydantic import AwareDatetime, BaseModel, Field

from hub.clock import utcnow
from hub.conversations import attachments_api, delivery, merging, reaching_api, service
from hub.conversations.attachments import MOST_FILES
from hub.conversations.attachments_api import AttachmentIn, AttachmentOut
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.conversations.queries import Thread, find_message, find_thread, list_conversations
from hub.conversations.tags import MOST as MOST_TAGS
from hub.conversations.tags import change_tags
from hub.http import ApiUser, RowId, SessionDep
from hub.learning.models import Correction
from hub.paging import LARGEST, MAX_LIMIT
from hub.queue.api import IntentOut, ReasonOut, SentimentOut
from hub.queue.queries import reasons_of
from hub.tickets import api as tickets_api
from hub.tickets.api import TicketOut
from routing.types import Urgency

router = APIRouter(tags=["conversations"])
router.include_router(attachments_api.router)
router.include_router(reaching_api.router)
router.include_router(tickets_api.router)


class ConversationOut(BaseModel):
    """A conversation and where it stands; `channel` is by which it goes on, `reply_by` is set while it is in
    the queue. `listening`: nobody has
    written to the brand in it, it was only overheard."""

    id: int
    channel: str
    customer_id: int
    customer: str
    subject: str | None
    status: str
    owner: str | None
    priority: str
    tags: list[str]
    follows_id: int | None
    listening: bool
    created_at: datetime
    updated_at: datetime
    waiting_since: datetime | None
    first_replied_at: datetime | None
    snoozed_until: datetime | None
    reply_by: datetime | None
    weight: float | None
    reasons: list[ReasonOut]
    gave_way_at: datetime | None
    gave_way_to: int


class EmotionOut(BaseModel):
    label: str
    confidence: float


class TaughtIntentOut(BaseModel):
    name: str
    confidence: float


class SaidOut(BaseModel):
    sentiment: str | None
    intents: list[str]


class CorrectionOut(BaseModel):
    """What a person says is right; null where the model's word stands. `said` is the word of `model`."""

    id: int
    by: str
    at: datetime
    sentiment: str | None
    intents: list[str] | None
    model: str
    said: SaidOut
    withdrawn_at: datetime | None


class AnalysisOut(BaseModel):
    """What `model` said of a message. `sarcasm` and `expects_reply` are probabilities; null where the model
    does not read them. `taught` are intents that somebody taught this hub. `abstained` says why it is
    silent. Where a person corrected it, sentiment and intents are theirs."""

    model: str
    language: str | None
    sentiment: SentimentOut
    intents: list[IntentOut]
    emotion: EmotionOut | None
    sarcasm: float | None
    expects_reply: float | None
    taught: list[TaughtIntentOut]
    abstained: list[str]
    correction: CorrectionOut | None


class AttemptOut(BaseModel):
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    detail: str


class VersionOut(BaseModel):
    """What a message said from `written_at` until it was edited."""

    body: str
    written_at: datetime


class MessageOut(BaseModel):
    """A message; `delivery` is set for replies, with a line per try in `attempts`.

    `nature` says what no person wrote for us; `addressed` is false for what was overheard. `versions` is what
    an edited message said before, oldest first. Of a customer's message that was deleted at the source, words
    and files are gone. `answers_id` is the message that it answers.
    """

    id: int
    channel: str
    external_id: str
    direction: str
    private: bool
    automatic: bool
    nature: str | None
    addressed: bool
    answers_id: int | None
    url: str | None
    author: str | None
    subject: str | None
    body: str
    sent_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    versions: list[VersionOut]
    attachments: list[AttachmentOut]
    analysis: AnalysisOut | None
    delivery: str | None
    attempts: list[AttemptOut]


class PromiseOut(BaseModel):
    metric: str
    policy: str
    tier: str | None
    started_at: datetime
    target_seconds: int
    due_at: datetime
    met_at: datetime | None
    breached_at: datetime | None
    paused_at: datetime | None
    cancelled_at: datetime | None
    late_by_seconds: int | None


class ThreadOut(BaseModel):
    """`ticket` is what the vendor keeps of the conversation, where it keeps anything."""

    conversation: ConversationOut
    messages: list[MessageOut]
    promises: list[PromiseOut]
    ticket: TicketOut | None


class ConversationPage(BaseModel):
    items: list[ConversationOut]
    next_cursor: str | None


class ReplyIn(BaseModel):
    """`status` is what the conversation becomes. Files only where the channel takes them."""

    text: Annotated[str, Field(min_length=1, max_length=100_000)]
    attachments: Annotated[list[AttachmentIn], Field(max_length=MOST_FILES)] = []
    status: Literal["pending", "open", "on_hold", "solved"] = "pending"


class NoteIn(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=100_000)]


class ChangeIn(BaseModel):
    """What to change; what is left out stays. `owned` takes the conversation or gives it back."""

    status: str | None = None
    snoozed_until: AwareDatetime | None = None
    priority: Urgency | None = None
    owned: bool | None = None
    add_tags: Annotated[list[str], Field(max_length=MOST_TAGS)] = []
    remove_tags: Annotated[list[str], Field(max_length=MOST_TAGS)] = []


class MergeIn(BaseModel):
    """Which conversation takes the messages."""

    into: Annotated[int, Field(ge=1, le=LARGEST)]


class SplitIn(BaseModel):
    """Which messages go."""

    message_ids: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST)]], Field(min_length=1, max_length=1000)
    ]


class DeliveryIn(BaseModel):
    """What to do about a reply that failed or whose outcome nobody knows."""

    action: Literal["check", "mark_sent", "send_again"]


@router.get("/conversations")
def get_conversations(
    user: ApiUser,
    session: SessionDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    view: Literal["all", "open", "mine", "solved", "listening"] = "all",
    search: str = "",
    tag: str = "",
    customer_id: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> ConversationPage:
    """Conversations, the one with the newest message first."""
    found = list_conversations(
        session,
        view=view,
        user_id=user.id,
        search=search,
        tag=tag,
        customer_id=customer_id,
        cursor=cursor,
        limit=limit,
    )
    return ConversationPage(
        items=[conversation_out(each) for each in found.items], next_cursor=found.next_cursor
    )


@router.get("/conversations/{conversation_id}")
def get_conversation(user: ApiUser, session: SessionDep, conversation_id: RowId) -> ThreadOut:
    """One conversation with its messages, oldest first, and its promises, newest first."""
    return thread_out(find_thread(session, conversation_id))


@router.post("/conversations/{conversation_id}/replies", status_code=201)
def post_reply(
    user: ApiUser,
    session: SessionDep,
    conversation_id: RowId,
    body: ReplyIn,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> MessageOut:
    """Answer the customer. With an `Idempotency-Key` header the same request again sends nothing again."""
    conversation = service.get_conversation(session, conversation_id)
    message = service.reply(
        session,
        conversation,
        user=user,
        text=body.text,
        now=utcnow(),
        idempotency_key=idempotency_key,
        then=body.status,
        attachments=[each.outgoing() for each in body.attachments],
    )
    return message_out(message)


@router.post("/conversations/{conversation_id}/notes", status_code=201)
def post_note(user: ApiUser, session: SessionDep, conversation_id: RowId, body: NoteIn) -> MessageOut:
    """Write an internal note."""
    conversation = service.get_conversation(session, conversation_id)
    return message_out(service.note(session, conversation, user=user, text=body.text, now=utcnow()))


@router.patch("/conversations/{conversation_id}")
def patch_conversation(
    user: ApiUser, session: SessionDep, conversation_id: RowId, body: ChangeIn
) -> ConversationOut:
    """Change status, ownership, priority or tags. A vendor that has tickets is told of status and tags."""
    now = utcnow()
    conversation = service.get_conversation(session, conversation_id)
    if body.owned is True:
        service.take(session, conversation, user=user, now=now)
    elif body.owned is False:
        service.release(session, conversation, user=user, now=now)
    if body.status is not None:
        service.set_status(
            session, conversation, body.status, user=user, now=now, snoozed_until=body.snoozed_until
        )
    if body.add_tags or body.remove_tags:
        change_tags(session, conversation, add=body.add_tags, remove=body.remove_tags, user=user, now=now)
    if body.priority is not None:
        service.set_priority(session, conversation, body.priority, user=user, now=now)
    return conversation_out(conversation)


@router.post("/conversations/{conversation_id}/merge")
def post_merge(user: ApiUser, session: SessionDep, conversation_id: RowId, body: MergeIn) -> ConversationOut:
    """Merge this conversation into another of the same customer; the other."""
    return conversation_out(merging.merge(session, conversation_id, body.into, user=user, now=utcnow()))


@router.post("/conversations/{conversation_id}/unmerge")
def post_unmerge(user: ApiUser, session: SessionDep, conversation_id: RowId) -> ConversationOut:
    """Take the merging of this conversation back, as long as nothing has happened since."""
    return conversation_out(merging.unmerge(session, conversation_id, user=user, now=utcnow()))


@router.post("/conversations/{conversation_id}/split", status_code=201)
def post_split(user: ApiUser, session: SessionDep, conversation_id: RowId, body: SplitIn) -> ConversationOut:
    """Move messages to a new conversation that follows this one; the new one."""
    new = merging.split(session, conversation_id, body.message_ids, user=user, now=utcnow())
    return conversation_out(new)


@router.post("/messages/{message_id}/delivery")
def post_delivery(user: ApiUser, session: SessionDep, message_id: RowId, body: DeliveryIn) -> MessageOut:
    """Decide about a reply that failed or whose outcome nobody knows."""
    act = {
        "check": delivery.check_again,
        "mark_sent": delivery.mark_sent,
        "send_again": delivery.send_again,
    }[body.action]
    message = find_message(session, message_id)
    act(session, message, utcnow())
    return message_out(message)


def conversation_out(conversation: Conversation) -> ConversationOut:
    """A conversation as the API shows it."""
    return ConversationOut(
        id=conversation.id,
        channel=conversation.goes_by.name,
        customer_id=conversation.customer_id,
        customer=conversation.customer.name,
        subject=conversation.subject,
        status=conversation.status,
        owner=conversation.owner.name if conversation.owner else None,
        priority=conversation.priority,
        tags=conversation.tags,
        follows_id=conversation.follows_id,
        listening=conversation.listening,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        waiting_since=conversation.waiting_since,
        first_replied_at=conversation.first_replied_at,
        snoozed_until=conversation.snoozed_until,
        reply_by=conversation.reply_by,
        weight=conversation.weight,
        reasons=[ReasonOut(factor=each["factor"], text=each["text"]) for each in reasons_of(conversation)],
        gave_way_at=conversation.gave_way_at,
        gave_way_to=conversation.gave_way_to,
    )


def message_out(message: Message) -> MessageOut:
    """A message as the API shows it."""
    return MessageOut(
        id=message.id,
        channel=message.channel.name,
        external_id=message.external_id,
        direction=message.direction,
        private=message.private,
        automatic=message.automatic,
        nature=message.nature,
        addressed=message.addressed,
        answers_id=message.answers_id,
        url=message.url,
        author=message.author_name,
        subject=message.subject,
        body=message.body,
        sent_at=message.sent_at,
        edited_at=message.edited_at,
        deleted_at=message.deleted_at,
        versions=[VersionOut(body=each.body, written_at=each.written_at) for each in message.versions],
        attachments=[AttachmentOut.of(each) for each in message.attachments],
        analysis=analysis_out(message.analysis, message.corrections) if message.analysis else None,
        delivery=message.delivery,
        attempts=[
            AttemptOut(
                started_at=attempt.started_at,
                finished_at=attempt.finished_at,
                outcome=attempt.outcome,
                detail=attempt.detail,
            )
            for attempt in message.attempts
        ],
    )


def analysis_out(row: AnalysisRow, corrections: Sequence[Correction]) -> AnalysisOut:
    """An analysis as the API shows it, with those corrections that count, the newest first."""
    return AnalysisOut(
        model=row.model,
        language=row.language,
        sentiment=SentimentOut.of(row),
        intents=[IntentOut(**intent) for intent in row.intents],
        emotion=EmotionOut(label=row.emotion, confidence=row.emotion_confidence or 0.0)
        if row.emotion
        else None,
        sarcasm=row.sarcasm,
        expects_reply=row.expects_reply,
        taught=[TaughtIntentOut(**each) for each in row.taught],
        abstained=row.abstained,
        correction=correction_out(corrections[0]) if corrections else None,
    )


def correction_out(correction: Correction) -> CorrectionOut:
    """A correction as the API shows it."""
    return CorrectionOut(
        id=correction.id,
        by=correction.user.name,
        at=correction.created_at,
        sentiment=correction.sentiment,
        intents=correction.intents,
        model=correction.model,
        said=SaidOut(**correction.said),
        withdrawn_at=correction.withdrawn_at,
    )


def thread_out(thread: Thread) -> ThreadOut:
    """A thread as the API shows it."""
    return ThreadOut(
        conversation=conversation_out(thread.conversation),
        messages=[message_out(message) for message in thread.messages],
        promises=[PromiseOut.model_validate(promise, from_attributes=True) for promise in thread.promises],
        ticket=TicketOut.of(thread.ticket) if thread.ticket else None,
    )
