"""Corrections: a person's word on a message, in the place of the model's until it is withdrawn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from hub.accounts.models import User
from hub.conversations import analysis as analyses
from hub.conversations.models import AnalysisRow, Message
from hub.conversations.service import get_conversation
from hub.errors import Conflict, Invalid, NotFound
from hub.learning.models import Correction
from hub.listening.saved import ask_searches
from hub.policies.service import active_policy
from hub.queue.service import place
from sentiment.types import INTENTS, SENTIMENTS


def correct(
    session: Session,
    message: Message,
    *,
    user: User,
    now: datetime,
    sentiment: str | None = None,
    intents: Sequence[str] | None = None,
) -> Correction:
    """Say what is right of a message: its sentiment, its intents with the main one first, or both.

    It counts at once: the message's analysis says it, and its conversation is placed by it. `message` is
    locked. Raises: Invalid; Conflict where no model has read the message.
    """
    if message.analysis is None:
        raise Conflict("the model has not read this message yet")
    if sentiment is None and intents is None:
        raise Invalid("say what is right: a sentiment, or intents", field="sentiment")
    if sentiment is not None and sentiment not in SENTIMENTS:
        raise Invalid(f"{sentiment!r} is none of {', '.join(SENTIMENTS)}", field="sentiment")
    if intents is not None:
        _check_intents(intents)
    row = message.analysis
    said = {name: getattr(row, name) for name in ("sentiment", "intents")} | (row.said or {})
    made = Correction(
        message_id=message.id,
        user_id=user.id,
        created_at=now,
        model=row.model,
        said={"sentiment": said["sentiment"], "intents": [each["label"] for each in said["intents"]]},
        sentiment=sentiment,
        intents=list(intents) if intents is not None else None,
    )
    session.add(made)
    session.flush()
    _count(session, message, row, now)
    return made


def withdraw(session: Session, correction: Correction, now: datetime) -> None:
    """Take a correction back: the one before counts again, or the model's word. Taken back twice is fine."""
    if correction.withdrawn_at is not None:
        return
    correction.withdrawn_at = now
    session.flush()
    message = session.get_one(Message, correction.message_id, with_for_update=True)
    if message.analysis is not None:
        _count(session, message, message.analysis, now)


def find_correction(session: Session, correction_id: int) -> Correction:
    """One correction, locked until this transaction ends. Raises: NotFound."""
    correction = session.get(Correction, correction_id, with_for_update=True)
    if correction is None:
        raise NotFound(f"no correction {correction_id}")
    return correction


def all_corrections(session: Session, message_id: int) -> Sequence[Correction]:
    """Everything that people said of a message, the newest first. Raises: NotFound."""
    if session.get(Message, message_id) is None:
        raise NotFound(f"no message {message_id}")
    return session.scalars(
        select(Correction)
        .where(Correction.message_id == message_id)
        .options(joinedload(Correction.user))
        .order_by(Correction.id.desc())
    ).all()


@dataclass(frozen=True, slots=True)
class Right:
    """What people said last of a message: its sentiment, its intents; None on what nobody spoke."""

    sentiment: str | None = None
    intents: Sequence[str] | None = None


def what_is_right(session: Session, message_ids: Collection[int] | None = None) -> dict[int, Right]:
    """The newest word on each matter by message, of all messages that were corrected, or of some."""
    query = select(Correction).where(Correction.withdrawn_at.is_(None)).order_by(Correction.id)
    if message_ids is not None:
        query = query.where(Correction.message_id.in_(message_ids))
    found: dict[int, Right] = {}
    for each in session.scalars(query):
        before = found.get(each.message_id, Right())
        found[each.message_id] = Right(each.sentiment or before.sentiment, each.intents or before.intents)
    return found


def keep_corrections(session: Session, rows: Sequence[AnalysisRow]) -> None:
    """Let what people said of these messages count over a model's word."""
    found = what_is_right(session, [row.message_id for row in rows])
    for row in rows:
        if right := found.get(row.message_id):
            analyses.correct(row, right.sentiment, right.intents)
        else:
            analyses.uncorrect(row)


def _count(session: Session, message: Message, row: AnalysisRow, now: datetime) -> None:
    keep_corrections(session, [row])
    session.expire(message, ["corrections"])
    session.flush()
    ask_searches(session, [message])
    conversation = get_conversation(session, message.conversation_id)
    place(session, [conversation], active_policy(session), now)


def _check_intents(intents: Sequence[str]) -> None:
    if not intents:
        raise Invalid("name at least one intent; `other` where none fits", field="intents")
    if unknown := [each for each in intents if each not in INTENTS]:
        raise Invalid(f"{unknown[0]!r} is none of {', '.join(INTENTS)}", field="intents")
    if len(set(intents)) < len(intents):
        raise Invalid("an intent is named twice", field="intents")
