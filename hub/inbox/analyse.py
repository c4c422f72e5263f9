"""Analysing: claim in a short transaction, score with none open, store in a second short one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub import log
from hub.automations.happening import were_read
from hub.clock import utcnow
from hub.conversations.analysis import failed, to_row
from hub.conversations.models import Conversation, Message
from hub.conversations.quoting import is_reply, own_words
from hub.database import nudge
from hub.listening.rules import hear
from hub.listening.saved import ask_searches
from hub.policies.service import active_policy
from hub.queue.service import FOR_PLACING, place
from hub.runtime import Hub
from sentiment.types import Analysis, Scorer

logger = log.get(__name__)
# A message that failed in company is tried alone, and after this many tries is placed without a mood.
ATTEMPTS = 3
# A model reads the beginning of a long text; so much of it is looked at.
LONGEST = 50_000


def analyse(hub: Hub) -> int:
    """Analyse one batch of messages that have none yet; how many. Raises what loading the model raises."""
    scorer = hub.scorer
    claimed = _claim(hub)
    if not claimed:
        return 0
    analyses = _score(scorer, claimed)
    now = utcnow()
    with hub.database.session() as session:
        messages = session.scalars(
            select(Message)
            .where(Message.id.in_([each.message_id for each in claimed]), Message.analysed_at.is_(None))
            .order_by(Message.id)
            .with_for_update()
        ).all()
        known = {message.id: message for message in messages}
        done: list[Message] = []
        for (message_id, tries, _, edited_at), analysis in zip(claimed, analyses, strict=True):
            message = known.get(message_id)
            if message is None or message.edited_at != edited_at:
                # Changed while it was read: it will be read again.
                continue
            message.leased_until = None
            if analysis is None and tries < ATTEMPTS:
                continue
            session.add(to_row(message_id, analysis or failed(scorer.name, "the model failed on it"), now))
            message.analysed_at = now
            done.append(message)
        session.flush()
        hear(session, done, now)
        ask_searches(session, done)
        place_read(session, done)
        were_read(session, done, now)
    return len(claimed)


class _Claimed(NamedTuple):
    """A message as it was when it was claimed."""

    message_id: int
    tries: int
    text: str
    edited_at: datetime | None


def _claim(hub: Hub) -> list[_Claimed]:
    """Messages that nobody else will look at for a while."""
    now = utcnow()
    with hub.database.session() as session:
        messages = session.scalars(
            select(Message)
            .where(
                Message.direction == "incoming",
                Message.analysed_at.is_(None),
                or_(Message.leased_until.is_(None), Message.leased_until < now),
            )
            # What comes now is read before what is brought in of the past.
            .order_by(Message.history, Message.id)
            .limit(hub.settings.analysis_batch)
            .with_for_update(skip_locked=True)
        ).all()
        messages = [message for message in messages if not message.history] or messages
        # Whatever was tried before may be what broke the model, or killed its process: it is tried alone.
        messages = [message for message in messages if message.analysis_attempts][:1] or messages
        for message in messages:
            message.leased_until = now + timedelta(seconds=hub.settings.analysis_lease_seconds)
            message.analysis_attempts += 1
        return [
            _Claimed(message.id, message.analysis_attempts, words_of(message), message.edited_at)
            for message in messages
        ]


def words_of(message: Message) -> str:
    """What the customer says now: the subject of a first mail, and the text without quoted history."""
    said = own_words(message.body[:LONGEST])
    opens = message.subject and not is_reply(message.subject)
    return f"{message.subject}\n{said}" if opens else said


def _score(scorer: Scorer, claimed: Sequence[_Claimed]) -> list[Analysis | None]:
    if claimed[0].tries > ATTEMPTS:
        # It never came back from its last try.
        return [None]
    try:
        return list(scorer.score([each.text for each in claimed]))
    except Exception:
        logger.exception("scoring_failed", messages=len(claimed))
        return [None] * len(claimed)


def place_read(session: Session, done: Sequence[Message]) -> None:
    """Place those conversations anew that wait with one of these messages, which a model has just read."""
    conversations = session.scalars(
        select(Conversation)
        .where(
            Conversation.id.in_({message.conversation_id for message in done}),
            Conversation.newest_message_id.in_([message.id for message in done]),
            Conversation.waiting_since.is_not(None),
        )
        .options(*FOR_PLACING)
        .order_by(Conversation.id)
        .execution_options(populate_existing=True)
        .with_for_update(of=Conversation)
    ).all()
    if conversations:
        place(session, conversations, active_policy(session), utcnow())
    nudge(session, "plan")
