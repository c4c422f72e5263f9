"""Corrections for programs."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from hub.clock import utcnow
from hub.conversations.api import CorrectionOut, MessageOut, correction_out, message_out
from hub.conversations.models import Message
from hub.conversations.queries import find_message
from hub.http import ApiUser, RowId, SessionDep
from hub.learning.corrections import all_corrections, correct, find_correction, withdraw
from sentiment.types import IntentLabel, SentimentLabel

router = APIRouter(tags=["learning"])


class CorrectionIn(BaseModel):
    """What is right: a sentiment, intents with the main one first, or both; what is left out stays."""

    sentiment: SentimentLabel | None = None
    intents: list[IntentLabel] | None = None


class CorrectionList(BaseModel):
    items: list[CorrectionOut]


@router.post("/messages/{message_id}/corrections", status_code=201)
def post_correction(user: ApiUser, session: SessionDep, message_id: RowId, body: CorrectionIn) -> MessageOut:
    """Say what is right of a message. It counts at once, and the model can learn from it."""
    message = find_message(session, message_id)
    correct(session, message, user=user, now=utcnow(), sentiment=body.sentiment, intents=body.intents)
    return message_out(message)


@router.get("/messages/{message_id}/corrections")
def get_corrections(user: ApiUser, session: SessionDep, message_id: RowId) -> CorrectionList:
    """Everything that people said of a message, the newest first, with what was taken back."""
    return CorrectionList(items=[correction_out(each) for each in all_corrections(session, message_id)])


@router.delete("/corrections/{correction_id}")
def delete_correction(user: ApiUser, session: SessionDep, correction_id: RowId) -> MessageOut:
    """Take a correction back: the one before counts again, or the model's word."""
    correction = find_correction(session, correction_id)
    withdraw(session, correction, utcnow())
    return message_out(session.get_one(Message, correction.message_id))
