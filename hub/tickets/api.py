"""Tags, and tickets out of step with their vendor, for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hub.clock import utcnow
from hub.conversations.service import get_conversation
from hub.conversations.tags import LONGEST, SUGGESTIONS, list_tags
from hub.errors import NotFound
from hub.http import ApiUser, RowId, SessionDep
from hub.paging import MAX_LIMIT
from hub.tickets.models import Ticket
from hub.tickets.service import find_ticket, leave_it, try_again

router = APIRouter(tags=["conversations"])


class TagItem(BaseModel):
    name: str
    conversations: int


class TagList(BaseModel):
    items: list[TagItem]


class TicketOut(BaseModel):
    """What the vendor keeps of a conversation, as far as it is known.

    `status` and `tags` are what it had at `changed_at`; null: not known. `waits` while it is to be told
    something, at `next_try_at`. `trouble` is why the last try failed: `later`, `sign_in`, `settings` and
    `failed` are tried again, `refused` waits for somebody.
    """

    status: str | None
    tags: list[str] | None
    changed_at: datetime | None
    waits: bool
    next_try_at: datetime | None
    trouble: str | None
    error: str | None

    @classmethod
    def of(cls, ticket: Ticket) -> TicketOut:
        """A ticket as the API shows it."""
        return cls(
            status=ticket.status,
            tags=ticket.tags,
            changed_at=ticket.changed_at,
            waits=ticket.due_at is not None,
            next_try_at=ticket.due_at,
            trouble=ticket.trouble,
            error=ticket.error,
        )


class TicketIn(BaseModel):
    """What to do where the vendor did not take a change: tell it again, or let it keep what it has."""

    action: Literal["try_again", "leave_it"]


@router.get("/tags")
def get_tags(
    user: ApiUser,
    session: SessionDep,
    beginning: Annotated[str, Query(max_length=LONGEST)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = SUGGESTIONS,
) -> TagList:
    """Tags, those of most conversations first."""
    return TagList(
        items=[
            TagItem(name=each.name, conversations=each.conversations)
            for each in list_tags(session, beginning, limit)
        ]
    )


@router.post("/conversations/{conversation_id}/ticket")
def post_ticket(user: ApiUser, session: SessionDep, conversation_id: RowId, body: TicketIn) -> TicketOut:
    """Decide about a change that the vendor did not take."""
    conversation = get_conversation(session, conversation_id)
    act = {"try_again": try_again, "leave_it": leave_it}[body.action]
    act(session, conversation, utcnow())
    ticket = find_ticket(session, conversation)
    if ticket is None:
        raise NotFound("this conversation has no ticket")
    return TicketOut.of(ticket)
