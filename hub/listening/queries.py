"""Reading moods: over time, by channel, by language, by intent.

Every figure counts the customers' own messages that a model has read, each by when it was sent. Where the
model abstains, that is a count of its own: shares of negative and positive are shares of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, true
from sqlalchemy.orm import Session, contains_eager, joinedload

from hub.channels.models import Channel
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.database import json_items
from hub.period import Period, Range, look_back
from hub.policies.service import active_policy
from sentiment.types import SENTIMENTS

WORST = 10

# The customers' own words.
SAID = and_(Message.direction == "incoming", Message.automatic.is_(False))


@dataclass(slots=True)
class Tally:
    """Messages by sentiment; `abstained` are those of which the model was not sure enough."""

    negative: int = 0
    neutral: int = 0
    positive: int = 0
    abstained: int = 0

    @property
    def messages(self) -> int:
        """All of them."""
        return self.negative + self.neutral + self.positive + self.abstained

    @property
    def negative_share(self) -> float | None:
        """Of those the model is sure of, 0..1; None where there are none."""
        sure = self.messages - self.abstained
        return self.negative / sure if sure else None

    def fields(self) -> dict[str, Any]:
        """Every figure by its name."""
        return {**asdict(self), "messages": self.messages, "negative_share": self.negative_share}

    def add(self, label: str | None, count: int) -> None:
        """Count `count` messages of this sentiment, None where the model abstains."""
        name = label if label in SENTIMENTS else "abstained"
        setattr(self, name, getattr(self, name) + count)


@dataclass(frozen=True, slots=True)
class IntentTally:
    """Messages with an intent; one message may have several."""

    label: str
    messages: int
    negative: int


@dataclass(frozen=True, slots=True)
class Moods:
    """How customers felt in a period; lists the most frequent first, `worst` the surest negative first.

    `unread` counts the messages of the period that no model has read yet; they are in no other figure.
    """

    period: Period
    totals: Tally
    before: Tally
    unread: int
    over_time: Sequence[tuple[datetime, Tally]]
    by_channel: Sequence[tuple[Channel, Tally]]
    by_language: Sequence[tuple[str | None, Tally]]
    intents: Sequence[IntentTally]
    worst: Sequence[tuple[Message, Conversation]]


@dataclass(slots=True)
class _Sums:
    totals: Tally = field(default_factory=Tally)
    times: dict[int, Tally] = field(default_factory=dict)
    channels: dict[int, Tally] = field(default_factory=dict)
    languages: dict[str | None, Tally] = field(default_factory=dict)


def moods(session: Session, range_: Range, now: datetime) -> Moods:
    """How customers felt in the range, in hours or days of the policy's time zone."""
    period = look_back(range_, active_policy(session).policy.time_zone, now)
    sums = _sums(session, period)
    channels = session.scalars(select(Channel).where(Channel.id.in_(sums.channels))).all()
    return Moods(
        period=period,
        totals=sums.totals,
        before=_before(session, period),
        unread=_unread(session, period),
        over_time=[(start, sums.times.get(index, Tally())) for index, start in enumerate(period.starts)],
        by_channel=sorted(
            ((channel, sums.channels[channel.id]) for channel in channels),
            key=lambda row: (-row[1].messages, row[0].name),
        ),
        by_language=sorted(sums.languages.items(), key=lambda row: (-row[1].messages, row[0] or "")),
        intents=_intents(session, period),
        worst=_worst(session, period),
    )


def _sums(session: Session, period: Period) -> _Sums:
    """One pass over the messages, counted by hour or day, channel, language and sentiment together."""
    rows = session.execute(
        select(
            period.index_of(Message.sent_at).label("step"),
            Message.channel_id,
            AnalysisRow.language,
            AnalysisRow.sentiment,
            func.count().label("messages"),
        )
        .join(AnalysisRow, AnalysisRow.message_id == Message.id)
        .where(SAID, period.holds(Message.sent_at))
        .group_by("step", Message.channel_id, AnalysisRow.language, AnalysisRow.sentiment)
    )
    sums = _Sums()
    for index, channel_id, language, label, count in rows:
        sums.totals.add(label, count)
        sums.times.setdefault(index, Tally()).add(label, count)
        sums.channels.setdefault(channel_id, Tally()).add(label, count)
        sums.languages.setdefault(language, Tally()).add(label, count)
    return sums


def _before(session: Session, period: Period) -> Tally:
    tally = Tally()
    rows = session.execute(
        select(AnalysisRow.sentiment, func.count())
        .join(Message, Message.id == AnalysisRow.message_id)
        .where(SAID, Message.sent_at >= period.before, Message.sent_at < period.since)
        .group_by(AnalysisRow.sentiment)
    )
    for label, count in rows:
        tally.add(label, count)
    return tally


def _unread(session: Session, period: Period) -> int:
    unread = select(func.count()).where(SAID, Message.analysed_at.is_(None), period.holds(Message.sent_at))
    return session.scalar(unread) or 0


def _intents(session: Session, period: Period) -> list[IntentTally]:
    item = json_items(AnalysisRow.intents)
    label: ColumnElement[str] = item.c.value["label"].as_string()
    rows = session.execute(
        select(
            label.label("intent"),
            func.count().label("messages"),
            func.count().filter(AnalysisRow.sentiment == "negative"),
        )
        .select_from(Message)
        .join(AnalysisRow, AnalysisRow.message_id == Message.id)
        .join(item, true())
        .where(SAID, period.holds(Message.sent_at))
        .group_by("intent")
    )
    tallies = [IntentTally(*row) for row in rows]
    return sorted(tallies, key=lambda each: (-each.messages, each.label))


def _worst(session: Session, period: Period) -> list[tuple[Message, Conversation]]:
    surest = (
        select(Message.id)
        .join(Message.analysis)
        .where(SAID, period.holds(Message.sent_at), AnalysisRow.sentiment == "negative")
        .order_by(AnalysisRow.sentiment_confidence.desc(), Message.sent_at.desc(), Message.id.desc())
        .limit(WORST)
    )
    rows = session.execute(
        select(Message, Conversation)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .join(Message.analysis)
        # Chosen by id before anything else of them is read.
        .where(Message.id.in_(surest))
        .options(
            contains_eager(Message.analysis),
            joinedload(Conversation.customer),
            joinedload(Conversation.channel),
        )
        .order_by(AnalysisRow.sentiment_confidence.desc(), Message.sent_at.desc(), Message.id.desc())
    )
    return [(message, conversation) for message, conversation in rows]
