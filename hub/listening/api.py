"""Moods and search for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hub.clock import utcnow
from hub.conversations.models import Conversation, Message
from hub.http import ApiUser, RowId, SessionDep
from hub.listening.models import SavedSearch
from hub.listening.queries import moods
from hub.listening.saved import (
    Found,
    find_search,
    found_by_searches,
    remove_search,
    rename_search,
    save_search,
)
from hub.listening.search import read_query, search
from hub.paging import MAX_LIMIT
from hub.period import Range, Unit

router = APIRouter(tags=["listening"])


class TallyOut(BaseModel):
    """Messages by sentiment. `abstained`: the model is not sure enough; `negative_share` is of the others."""

    messages: int
    negative: int
    neutral: int
    positive: int
    abstained: int
    negative_share: float | None


class PointOut(TallyOut):
    at: datetime


class ChannelTally(TallyOut):
    channel: str


class LanguageTally(TallyOut):
    language: str | None


class IntentTallyOut(BaseModel):
    intent: str
    messages: int
    negative: int


class WorstOut(BaseModel):
    conversation_id: int
    message_id: int
    customer_id: int
    customer: str
    tier: str | None
    channel: str
    sent_at: datetime
    text: str
    confidence: float


class SentimentReport(BaseModel):
    """How customers felt. Points are hours or days in the brand's zone, the last still going on.

    `unread` messages, which no model has read yet, are in no other figure.
    """

    since: datetime
    until: datetime
    unit: Unit
    totals: TallyOut
    before: TallyOut
    unread: int
    over_time: list[PointOut]
    by_channel: list[ChannelTally]
    by_language: list[LanguageTally]
    intents: list[IntentTallyOut]
    worst: list[WorstOut]


class FoundOut(BaseModel):
    """A message that was found. `addressed` is false for what was only overheard; `sentiment` and `language`
    are null where the model abstains or has not read it yet."""

    message_id: int
    conversation_id: int
    customer_id: int
    customer: str
    channel: str
    sent_at: datetime
    addressed: bool
    text: str
    url: str | None
    language: str | None
    sentiment: str | None


class SearchPage(BaseModel):
    """What was found. With a `next_cursor` there are older messages to look at than `looked_until`, even
    where `items` is empty: a page looks at 10,000 messages at most."""

    items: Sequence[FoundOut]
    next_cursor: str | None
    looked_until: datetime | None


@router.get("/search")
def get_search(
    user: ApiUser,
    session: SessionDep,
    query: str,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> SearchPage:
    """What customers said that a boolean query finds, the newest first; see docs/queries.md."""
    found = search(session, read_query(query), cursor=cursor, limit=limit)
    return SearchPage(
        items=[found_out(*each) for each in found.items],
        next_cursor=found.next_cursor,
        looked_until=found.looked_until,
    )


def found_out(message: Message, conversation: Conversation) -> FoundOut:
    """A found message as the API shows it."""
    analysis = message.analysis
    return FoundOut(
        message_id=message.id,
        conversation_id=conversation.id,
        customer_id=conversation.customer_id,
        customer=conversation.customer.name,
        channel=conversation.channel.name,
        sent_at=message.sent_at,
        addressed=message.addressed,
        text=message.body,
        url=message.url,
        language=analysis.language if analysis else None,
        sentiment=analysis.sentiment if analysis else None,
    )


class SavedIn(BaseModel):
    """`query` is one of docs/queries.md."""

    name: str
    query: str


class NameIn(BaseModel):
    name: str


class SavedOut(BaseModel):
    """A saved search. History is asked from the newest back: `looked_until` is how far it came, until
    `filled` says that it is done."""

    id: int
    name: str
    query: str
    saved_by: str | None
    created_at: datetime
    looked_until: datetime | None
    filled: bool


class SavedReport(SavedOut, TallyOut):
    """What a saved search found in a range; `before` counts what it found in as long a time before, and
    `over_time` the messages of each hour or day of the range, the last still going on."""

    before: int
    over_time: list[int]


@router.get("/searches")
def get_searches(user: ApiUser, session: SessionDep, range: Range = "7d") -> list[SavedReport]:
    """The saved searches by name, and what each found."""
    return [saved_report(each) for each in found_by_searches(session, range, utcnow())]


@router.post("/searches", status_code=201)
def post_search(user: ApiUser, session: SessionDep, body: SavedIn) -> SavedOut:
    """Save a search: every message is asked it from now on, and those of the last 90 days once."""
    return saved_out(save_search(session, body.name, body.query, user=user, now=utcnow()))


@router.patch("/searches/{search_id}")
def patch_search(user: ApiUser, session: SessionDep, search_id: RowId, body: NameIn) -> SavedOut:
    """Give a saved search another name."""
    saved = find_search(session, search_id)
    rename_search(session, saved, body.name)
    return saved_out(saved)


@router.delete("/searches/{search_id}", status_code=204)
def delete_search(user: ApiUser, session: SessionDep, search_id: RowId) -> None:
    """Count a saved search no more."""
    remove_search(session, find_search(session, search_id))


def saved_report(found: Found) -> SavedReport:
    """A saved search with what it found, as the API and `hub searches --json` show it."""
    return SavedReport(
        **saved_out(found.saved).model_dump(),
        **found.tally.fields(),
        before=found.before,
        over_time=list(found.over_time),
    )


def saved_out(saved: SavedSearch) -> SavedOut:
    """A saved search as the API shows it."""
    return SavedOut(
        id=saved.id,
        name=saved.name,
        query=saved.query,
        saved_by=saved.user.name if saved.user else None,
        created_at=saved.created_at,
        looked_until=saved.looked_until,
        filled=saved.filled_at is not None,
    )


@router.get("/reports/sentiment", tags=["reports"])
def get_sentiment(user: ApiUser, session: SessionDep, range: Range = "7d") -> SentimentReport:
    """Sentiment over time, by channel, language and intent; `before` is as long a period before this one."""
    found = moods(session, range, utcnow())
    return SentimentReport(
        since=found.period.since,
        until=found.period.until,
        unit=found.period.unit,
        totals=TallyOut(**found.totals.fields()),
        before=TallyOut(**found.before.fields()),
        unread=found.unread,
        over_time=[PointOut(at=at, **tally.fields()) for at, tally in found.over_time],
        by_channel=[
            ChannelTally(channel=channel.name, **tally.fields()) for channel, tally in found.by_channel
        ],
        by_language=[LanguageTally(language=code, **tally.fields()) for code, tally in found.by_language],
        intents=[
            IntentTallyOut(intent=each.label, messages=each.messages, negative=each.negative)
            for each in found.intents
        ],
        worst=[
            WorstOut(
                conversation_id=conversation.id,
                message_id=message.id,
                customer_id=conversation.customer_id,
                customer=conversation.customer.name,
                tier=conversation.customer.tier,
                channel=conversation.channel.name,
                sent_at=message.sent_at,
                text=message.body,
                confidence=message.analysis.sentiment_confidence,
            )
            for message, conversation in found.worst
            if message.analysis is not None
        ],
    )
