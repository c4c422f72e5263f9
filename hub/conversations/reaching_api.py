"""By which channel a conversation goes on, for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from hub.clock import utcnow
from hub.conversations import service
from hub.conversations.models import Conversation
from hub.conversations.reaching import ways_to
from hub.http import ApiUser, RowId, SessionDep

router = APIRouter()


class WayOut(BaseModel):
    """A channel by which the customer can be answered; `to` is their address where they never wrote by it."""

    channel: str
    kind: str
    to: str | None


class WaysOut(BaseModel):
    """`channel` is the one in use: where the customer wrote last, or what an agent chose since."""

    channel: str
    ways: list[WayOut]


class GoByIn(BaseModel):
    """By which channel to answer from now on."""

    channel: Annotated[str, Field(min_length=1, max_length=200)]


@router.get("/conversations/{conversation_id}/channels")
def get_channels(user: ApiUser, session: SessionDep, conversation_id: RowId) -> WaysOut:
    """By which channels the customer can be answered, the one in use first."""
    return _ways(session, service.get_conversation(session, conversation_id))


@router.put("/conversations/{conversation_id}/channel")
def put_channel(user: ApiUser, session: SessionDep, conversation_id: RowId, body: GoByIn) -> WaysOut:
    """Answer by another channel. The promises become those of that channel, and keep the time elapsed."""
    conversation = service.get_conversation(session, conversation_id)
    service.answer_by(session, conversation, body.channel, user=user, now=utcnow())
    return _ways(session, conversation)


def _ways(session: Session, conversation: Conversation) -> WaysOut:
    return WaysOut(
        channel=conversation.goes_by.name,
        ways=[
            WayOut(channel=each.channel.name, kind=each.channel.kind, to=each.to.value if each.to else None)
            for each in ways_to(session, conversation)
        ],
    )
