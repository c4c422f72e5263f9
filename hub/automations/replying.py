"""Answering without a person: who must never be answered so, and how often anybody may be.

RFC 3834 says when a machine may answer, and how its answers are marked: https://www.rfc-editor.org/rfc/rfc3834.
"""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.automations.keeping import look_again
from hub.conversations.lengths import check_length
from hub.conversations.models import Conversation, Message
from hub.conversations.service import answerable
from hub.database import nudge
from hub.errors import Conflict
from hub.policies.service import active_policy
from routing.automations import REPLIES_WITHIN, reply_refusal

_NO_PERSON = {
    "bounce": "what came last says that a mail did not arrive",
    "auto_reply": "what came last is an automatic reply",
    "list": "what came last is of a mailing list",
    "loop": "what came last is our own mail, come back",
}


def reply_automatically(session: Session, conversation: Conversation, text: str, now: datetime) -> Message:
    """Have `text` sent to the customer, marked as automatic: no clock stops, and the status stays.

    Raises: Conflict, where a machine must not answer; Invalid, where the vendor takes no text so long.
    """
    if conversation.status == "closed":
        raise Conflict("this conversation is closed")
    answers = answerable(session, conversation)
    if answers is None or answers.deleted_at is not None:
        raise Conflict("there is no message to answer")
    nature = _newest_nature(session, conversation)
    if nature is not None:
        raise Conflict(_NO_PERSON[nature])
    refused = reply_refusal(_lately(session, conversation, now))
    if refused is not None:
        raise Conflict(refused)
    check_length(conversation.goes_by, text, answers.meta)
    key = uuid4().hex
    message = Message(
        channel_id=conversation.goes_by.id,
        conversation_id=conversation.id,
        external_id=f"automatic:{key}",
        direction="outgoing",
        automatic=True,
        subject=conversation.subject,
        body=text,
        sent_at=now,
        received_at=now,
        answers_id=answers.id,
        delivery="pending",
        deliver_at=now,
        idempotency_key=key,
    )
    session.add(message)
    conversation.last_message_at = conversation.updated_at = now
    session.flush()
    look_again(session, [conversation.id], active_policy(session).policy, now)
    nudge(session, "deliver")
    return message


def _newest_nature(session: Session, conversation: Conversation) -> str | None:
    return session.scalar(
        select(Message.nature)
        .where(Message.conversation_id == conversation.id, Message.direction == "incoming")
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(1)
    )


def _lately(session: Session, conversation: Conversation, now: datetime) -> int:
    """How many automatic replies of ours this customer had lately, in whichever conversation."""
    count = session.scalar(
        select(func.count())
        .select_from(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.customer_id == conversation.customer_id,
            Message.direction == "outgoing",
            Message.automatic,
            Message.idempotency_key.is_not(None),
            Message.sent_at > now - REPLIES_WITHIN,
        )
    )
    return count or 0
