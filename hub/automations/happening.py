"""Writing down what happens, so that automations are asked of it, in the transaction in which it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.automations.causes import chain_of
from hub.automations.keeping import look_again
from hub.automations.models import AutomationEvent
from hub.conversations.models import Conversation, Message
from hub.database import nudge
from hub.policies.service import ActivePolicy, active_policy
from routing.types import EventKind

_UNHEARD = "automations_unheard"


def happened(
    session: Session,
    conversation: Conversation,
    kind: EventKind,
    now: datetime,
    *,
    before: str | None = None,
    tag: str | None = None,
    promise: str | None = None,
    active: ActivePolicy | None = None,
) -> None:
    """Have automations asked of it, if the policy has any for it. Of what was only overheard none is."""
    if conversation.listening or session.info.get(_UNHEARD):
        return
    policy = (active or active_policy(session)).policy
    if not policy.automations_on(kind):
        return
    if conversation.id is None:
        session.flush()
    session.add(
        AutomationEvent(
            conversation_id=conversation.id,
            kind=kind,
            before=before,
            tag=tag,
            promise=promise,
            chain=list(chain_of(session)),
            happened_at=now,
        )
    )
    nudge(session, "automate")


def came_in(
    session: Session,
    conversation: Conversation,
    message: Message,
    is_first: bool,
    active: ActivePolicy,
    now: datetime,
) -> None:
    """Have automations asked of a message that came in, of either side, if a person wrote it."""
    if message.automatic or message.private:
        return
    if message.direction == "outgoing":
        happened(session, conversation, "reply_sent", now, active=active)
        return
    if is_first:
        happened(session, conversation, "conversation_opened", now, active=active)
    happened(session, conversation, "message_received", now, active=active)


def were_read(session: Session, messages: Sequence[Message], now: datetime) -> None:
    """Have automations asked of conversations whose newest message the model has just read."""
    active = active_policy(session)
    look_again(session, sorted({message.conversation_id for message in messages}), active.policy, now)
    ids = [message.id for message in messages if not message.history and message.nature is None]
    if not ids or not active.policy.automations_on("analysed"):
        return
    read = select(Conversation).where(
        Conversation.id.in_({message.conversation_id for message in messages}),
        Conversation.newest_message_id.in_(ids),
    )
    for conversation in session.scalars(read.order_by(Conversation.id)):
        happened(session, conversation, "analysed", now, active=active)


@contextmanager
def unheard(session: Session, really: bool = True) -> Iterator[None]:
    """What happens within is no event: it happened long ago, and is only brought in."""
    before = session.info.get(_UNHEARD, False)
    session.info[_UNHEARD] = really or before
    try:
        yield
    finally:
        session.info[_UNHEARD] = before
