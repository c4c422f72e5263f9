"""What was overheard becomes a conversation where a rule of the policy says so, after the model read it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.automations.happening import came_in
from hub.conversations.analysis import to_analysis
from hub.conversations.attachments import want_files
from hub.conversations.clocks import message_came
from hub.conversations.models import Conversation, Message
from hub.conversations.service import add_activity
from hub.customers.models import Customer
from hub.customers.spend import spend_percentiles
from hub.listening.posts import authors_of, text_of
from hub.policies.service import active_policy
from hub.queue.service import FOR_PLACING, place
from routing.listening import Overheard, decide
from routing.types import Facts

# What was said longer before it came in is history, brought by a channel's back-fill: nobody waits for us.
HISTORY = timedelta(days=2)


def hear(session: Session, read: Sequence[Message], now: datetime) -> None:
    """Ask the rules of each of these messages, which a model has just read, that was only overheard.

    A conversation that comes of it has a line that names the rule, and its place in the queue.
    """
    overheard = [
        message
        for message in read
        if not message.addressed
        and message.direction == "incoming"
        and message.nature is None
        and message.deleted_at is None
        and message.received_at - message.sent_at <= HISTORY
    ]
    conversations = _only_listening(session, {message.conversation_id for message in overheard})
    if not conversations:
        return
    active = active_policy(session)
    customers = {conversation.customer for conversation in conversations.values()}
    known = known_customers(session, [customer.id for customer in customers])
    percentiles = spend_percentiles(session, customers)
    for message in sorted(overheard, key=lambda message: (message.sent_at, message.id)):
        conversation = conversations.get(message.conversation_id)
        if conversation is None:
            continue
        if conversation.listening:
            customer = conversation.customer
            analysis = message.analysis
            facts = Facts(
                channel=conversation.channel.name,
                channel_kind=conversation.channel.kind,
                metric="first_reply_time",
                tier=customer.tier,
                spend_percentile=percentiles.get(customer.id),
                followers=customer.followers,
                analysis=to_analysis(analysis) if analysis else None,
                text=text_of(message),
                known=customer.id in known,
                customer_language=customer.language,
                customer_name=customer.name,
            )
            said = Overheard(text_of(message), authors_of(message), facts)
            rule = decide(said, active.policy)
            if rule is None or rule.then == "count":
                continue
            conversation.listening = False
            want_files(session, conversation.id, now)
            add_activity(session, conversation, f"Overheard; somebody should answer: {rule.name}", None, now)
        is_first = not conversation.history
        message_came(session, conversation, message, now)
        came_in(session, conversation, message, is_first, active, now)
    became = [conversation for conversation in conversations.values() if not conversation.listening]
    if became:
        place(session, became, active, now)


def known_customers(session: Session, ids: Collection[int]) -> set[int]:
    """Which of these the CRM has, or have spoken with us."""
    spoke = select(Conversation.id).where(
        Conversation.customer_id == Customer.id, Conversation.listening.is_(False)
    )
    return set(
        session.scalars(
            select(Customer.id).where(
                Customer.id.in_(ids), or_(Customer.external_id.is_not(None), spoke.exists())
            )
        )
    )


def _only_listening(session: Session, ids: Collection[int]) -> dict[int, Conversation]:
    if not ids:
        return {}
    found = session.scalars(
        select(Conversation)
        .where(Conversation.id.in_(ids), Conversation.listening.is_(True))
        .options(*FOR_PLACING)
        .order_by(Conversation.id)
        .execution_options(populate_existing=True)
        .with_for_update(of=Conversation)
    )
    return {conversation.id: conversation for conversation in found}
