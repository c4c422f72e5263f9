"""What a vendor is to be told of a conversation: the difference between its ticket and ours.

Nothing is queued but the difference itself, so that what was changed and changed back is not told at all, and
telling it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connectors.base import Connector
from connectors.registry import UnknownConnector, connector_type
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.conversations.models import Conversation
from hub.database import nudge
from hub.errors import Conflict, HubError
from hub.tickets.models import Ticket

# The status of several conversations in one ticket is that of the one where most is to be done.
PRESSING = ("open", "pending", "on_hold", "solved", "closed")
_VENDORS = {"new": "open", "snoozed": "on_hold"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What a vendor is to be told; nothing where it is empty."""

    status: str | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.status or self.add_tags or self.remove_tags)


def shared(status: str | None) -> str | None:
    """A status as both sides know it: a new ticket is open, a snoozed one on hold; None: not known."""
    found = _VENDORS.get(status or "", status)
    return found if found in PRESSING else None


def tell_vendor(session: Session, conversation: Conversation, now: datetime, *, status: bool = False) -> None:
    """Have the vendor told what changed here: the tags, and with `status` the status.

    Nothing where the vendor keeps neither. The conversation is locked.
    """
    key = conversation.thread_key
    if key is None or not _annotates(conversation.channel):
        return
    session.flush()
    ticket = ticket_of(session, conversation.channel_id, key)
    if status:
        ticket.status_set_at = now
    review(ticket, conversations_of(session, ticket), now, anew=True)
    nudge(session, "tell")


def difference(ticket: Ticket, conversations: Sequence[Conversation]) -> Difference:
    """What the vendor is to be told now. Of what it was told with unknown outcome, all is told again."""
    doubt = ticket.telling or {}
    doubtful = {*doubt.get("add_tags", ()), *doubt.get("remove_tags", ())}
    known, ours = set(ticket.tags or ()), tags_of(conversations)
    status = None
    if ticket.status_set_at is not None:
        status = most_pressing(each.status for each in conversations)
        if status == shared(ticket.status) and not doubt.get("status"):
            status = None
    return Difference(
        status,
        tuple(sorted((ours - known) | (ours & doubtful))),
        tuple(sorted((known - ours) | (doubtful - ours))),
    )


def review(
    ticket: Ticket, conversations: Sequence[Conversation], now: datetime, *, anew: bool = False
) -> None:
    """Have the difference told, at once where it is there `anew`; or find that there is none."""
    found = difference(ticket, conversations)
    if found.status is None and ticket.lease is None:
        ticket.status_set_at = None
    if not found:
        ticket.due_at = ticket.telling = ticket.trouble = ticket.error = ticket.error_at = None
        ticket.failures = 0
    elif anew or (ticket.due_at is None and ticket.trouble != "refused"):
        ticket.due_at = now


def try_again(session: Session, conversation: Conversation, now: datetime) -> None:
    """Tell the vendor once more what it refused, or is still to be told. Raises: Conflict."""
    ticket = _in_trouble(session, conversation)
    ticket.failures, ticket.due_at = 0, now
    nudge(session, "tell")


def leave_it(session: Session, conversation: Conversation, now: datetime) -> None:
    """Let the vendor keep what it has: what it was to be told is forgotten. Raises: Conflict."""
    ticket = _in_trouble(session, conversation)
    ticket.tags = sorted(tags_of(conversations_of(session, ticket)))
    ticket.status_set_at = ticket.telling = None
    review(ticket, conversations_of(session, ticket), now)


def find_ticket(session: Session, conversation: Conversation) -> Ticket | None:
    """The ticket of a conversation, where its vendor has any."""
    if conversation.thread_key is None:
        return None
    return session.scalar(_select(conversation.channel_id, conversation.thread_key))


def ticket_of(session: Session, channel_id: int, thread_key: str) -> Ticket:
    """The ticket of a thread, locked until this transaction ends; made where there is none."""
    locked = _select(channel_id, thread_key).with_for_update().execution_options(populate_existing=True)
    found = session.scalar(locked)
    if found is None:
        try:
            with session.begin_nested():
                session.add(Ticket(channel_id=channel_id, thread_key=thread_key))
        except IntegrityError:
            # Somebody else has made it just now.
            pass
        found = session.scalars(locked).one()
    return found


def conversations_of(session: Session, ticket: Ticket) -> Sequence[Conversation]:
    """The conversations of a ticket: one for each customer who wrote in it."""
    return session.scalars(
        select(Conversation)
        .where(Conversation.channel_id == ticket.channel_id, Conversation.thread_key == ticket.thread_key)
        .order_by(Conversation.id)
    ).all()


def tags_of(conversations: Iterable[Conversation]) -> set[str]:
    """All tags of these conversations."""
    return {tag for each in conversations for tag in each.tags}


def most_pressing(statuses: Iterable[str]) -> str | None:
    """Of several statuses, as both sides know them, the one where most is to be done."""
    known = {shared(each) for each in statuses}
    return next((each for each in PRESSING if each in known), None)


def _select(channel_id: int, thread_key: str) -> Select[Ticket]:
    return select(Ticket).where(Ticket.channel_id == channel_id, Ticket.thread_key == thread_key)


def _in_trouble(session: Session, conversation: Conversation) -> Ticket:
    ticket = find_ticket(session, conversation)
    if ticket is None or ticket.trouble is None:
        raise Conflict("the vendor has taken everything")
    return ticket_of(session, ticket.channel_id, ticket.thread_key)


def _annotates(channel: Channel) -> bool:
    try:
        if connector_type(channel.connector).annotate is Connector.annotate:
            return False
        return open_connector(channel).annotates
    except UnknownConnector:
        return False
    except HubError:
        # Its settings cannot be used now; what is to be told waits until they can.
        return True
