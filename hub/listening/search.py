"""Search over history: the test that looks at what comes in looks at what was said, from the newest back.

SQL leaves out only what surely does not match, so that both always agree. A page looks at a bounded number
of messages, and says how far it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Text, and_, func, or_, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session, joinedload

from hub.channels.models import Channel
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.customers.models import Customer
from hub.database import has_more_than_ascii
from hub.errors import Invalid
from hub.listening.posts import LONGEST, authors_of, text_of
from hub.listening.queries import SAID
from hub.paging import Page, after, encode_cursor
from hub.policies.service import active_policy
from routing.listening import post_of
from routing.matching import Post, Reading, compile_query
from routing.query import And, Is, Near, Or, Phrase, Query, QueryError, Within, parse_query
from routing.types import Facts
from sentiment.types import Analysis, Intent, Sentiment, SentimentLabel

# So many messages one page looks at, at most; so many are read at once.
LOOKED_AT = 10_000
CHUNK = 1_000
KEY = (Message.sent_at, Message.id)
# What a query can ask of a message, and no more: most are looked at and not found.
_ASKED = (
    Message.id,
    Message.sent_at,
    Message.subject,
    func.substr(Message.body, 1, LONGEST).label("body"),
    Message.author_name,
    Message.reply_to,
    Channel.name.label("channel"),
    Channel.kind,
    Customer.followers,
    AnalysisRow.language,
    AnalysisRow.language_confidence,
    AnalysisRow.sentiment,
    AnalysisRow.sentiment_confidence,
    AnalysisRow.intents,
)


@dataclass(frozen=True, slots=True)
class Found(Page[tuple[Message, Conversation]]):
    """Messages that match, the newest first.

    `looked_until` is when the last message was sent that was looked at; None where there was none. With a
    `next_cursor` there are older ones, whether any of these was found or not.
    """

    looked_until: datetime | None


def read_query(text: str) -> Query:
    """A query as somebody wrote it. Raises: Invalid, with the position of the mistake."""
    try:
        return parse_query(text)
    except QueryError as error:
        raise Invalid(str(error), field="query", position=error.position) from None


def search(session: Session, query: Query, *, cursor: str | None = None, limit: int = 50) -> Found:
    """What customers said that matches. Raises: Invalid for a cursor that is not ours."""
    test = compile_query(query)
    threshold = active_policy(session).policy.weights.confidence_threshold
    possible = _possible(query, session)
    ids: list[int] = []
    looked_at = 0
    last: Any = None
    more = True
    while more and len(ids) < limit and looked_at < LOOKED_AT:
        rows = session.execute(
            after(
                _said().where(SAID, Message.deleted_at.is_(None), *([] if possible is None else [possible])),
                KEY,
                (datetime, int),
                cursor,
                descending=True,
            ).limit(CHUNK)
        ).all()
        more = len(rows) == CHUNK
        for row in rows:
            last = row
            looked_at += 1
            if test(Reading(_post(row, threshold))):
                ids.append(row.id)
                if len(ids) == limit:
                    more = more or row is not rows[-1]
                    break
        cursor = encode_cursor((last.sent_at, last.id)) if last is not None else None
    return Found(_whole(session, ids), cursor if more else None, last.sent_at if last is not None else None)


def posts_of(session: Session, ids: Sequence[int]) -> dict[int, Post]:
    """These messages as queries see them, by id; those that were deleted are left out."""
    threshold = active_policy(session).policy.weights.confidence_threshold
    rows = session.execute(_said().where(Message.id.in_(ids), Message.deleted_at.is_(None)))
    return {row.id: _post(row, threshold) for row in rows}


def _said() -> Select[Any]:
    return (
        select(*_ASKED)
        .select_from(Message)
        .join(Channel, Channel.id == Message.channel_id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .join(Customer, Customer.id == Conversation.customer_id)
        .outerjoin(AnalysisRow, AnalysisRow.message_id == Message.id)
    )


def _post(row: Any, threshold: float) -> Post:
    return post_of(text_of(row), authors_of(row), _facts(row), threshold)


def _facts(row: Any) -> Facts:
    analysis = None
    if row.language_confidence is not None:
        analysis = Analysis(
            model="",
            language=row.language,
            language_confidence=row.language_confidence,
            sentiment=Sentiment(cast("SentimentLabel | None", row.sentiment), row.sentiment_confidence, {}),
            intents=tuple(Intent(each["label"], each["confidence"]) for each in row.intents),
        )
    return Facts(row.channel, row.kind, "first_reply_time", followers=row.followers, analysis=analysis)


def _whole(session: Session, ids: Sequence[int]) -> list[tuple[Message, Conversation]]:
    rows = session.execute(
        select(Message, Conversation)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.id.in_(ids))
        .options(
            joinedload(Message.analysis),
            joinedload(Conversation.customer),
            joinedload(Conversation.channel),
        )
        .order_by(Message.sent_at.desc(), Message.id.desc())
    )
    return [(message, conversation) for message, conversation in rows]


def _possible(query: Query, session: Session) -> ColumnElement[bool] | None:
    """A condition that every match meets, and that leaves out what it can; None where it can say nothing."""
    match query:
        case Phrase(parts):
            return _all([_holds(word) for word in parts])
        case Near(groups):
            return _all([_any([_possible(phrase, session) for phrase in group]) for group in groups])
        case And(parts):
            return _all([_possible(part, session) for part in parts])
        case Or(parts):
            return _any([_possible(part, session) for part in parts])
        case Is("lang", value):
            return AnalysisRow.language == value
        case Is("sentiment", value):
            return AnalysisRow.sentiment == value
        case Is("intent", value):
            return sql_cast(AnalysisRow.intents, Text).contains(f'"{value}"', autoescape=True)
        case Is("channel"):
            return Message.channel_id.in_(_channels(query, session))
        case Within("followers", low, high):
            bounds: list[ColumnElement[bool]] = [Customer.followers.is_not(None)]
            bounds += [Customer.followers >= low] if low is not None else []
            bounds += [Customer.followers <= high] if high is not None else []
            return and_(*bounds)
    return None


def _holds(word: str) -> ColumnElement[bool]:
    """A text in plain ASCII holds the letters of a word as they are, and of others the test can tell."""
    other = or_(has_more_than_ascii(Message.body), has_more_than_ascii(func.coalesce(Message.subject, "")))
    if not word.isascii():
        return other
    pieces = [piece for piece in word.lstrip("#@").replace("?", "*").split("*") if piece]
    return reduce(
        or_,
        [
            and_(*(column.icontains(piece, autoescape=True) for piece in pieces))
            for column in (Message.body, Message.subject)
        ],
        other,
    )


def _channels(query: Query, session: Session) -> list[int]:
    test = compile_query(query)
    names = session.execute(select(Channel.id, Channel.name, Channel.kind)).all()
    return [
        id_
        for id_, name, kind in names
        if test(Reading(post_of("", (), Facts(name, kind, "first_reply_time"), 0)))
    ]


def _all(conditions: Sequence[ColumnElement[bool] | None]) -> ColumnElement[bool] | None:
    known = [condition for condition in conditions if condition is not None]
    return and_(*known) if known else None


def _any(conditions: Sequence[ColumnElement[bool] | None]) -> ColumnElement[bool] | None:
    known = [condition for condition in conditions if condition is not None]
    return or_(*known) if known and len(known) == len(conditions) else None
