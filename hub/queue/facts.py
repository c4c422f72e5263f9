"""The facts of stored conversations, as `routing` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.conversations.analysis import to_analysis
from hub.conversations.models import Conversation, Message
from hub.customers.relations import CONTACTS_WINDOW, Contacts, Relation, contacts, relations
from hub.customers.spend import spend_percentiles
from hub.database import among
from routing.policy import Policy
from routing.types import Facts, Metric, Status, Urgency

_OF_RELATION = ("customer.lifetime_value", "customer.journey_stage", "customer.valence")
_OF_MOOD = ("customer.journey_stage", "customer.valence")
_OF_CONTACTS = ("customer.contacts", "customer.known")


def facts_of(
    session: Session, conversations: Sequence[Conversation], policy: Policy, now: datetime
) -> dict[int, Facts]:
    """By conversation id: all that is known now, as far as the policy asks for it.

    A handful of queries for all of them together. Each conversation has its channel, customer and newest
    message loaded (`hub.queue.service.FOR_PLACING`).
    """
    if not conversations:
        return {}
    customers = {conversation.customer for conversation in conversations}
    ids = [customer.id for customer in customers]
    percentiles = spend_percentiles(session, customers)
    related: dict[int, Relation] = {}
    if any(policy.weighs(fact) or policy.asks(fact) for fact in _OF_RELATION):
        felt = any(policy.weighs(fact) or policy.asks(fact) for fact in _OF_MOOD)
        related = relations(session, customers, now, felt=felt)
    came: dict[int, Contacts] = {}
    if any(policy.weighs(fact) or policy.asks(fact) for fact in _OF_CONTACTS):
        came = contacts(session, ids, now)
    counts: dict[int, int] = {}
    if policy.asks("conversation.messages"):
        counts = _message_counts(session, [conversation.id for conversation in conversations])
    return {
        conversation.id: _facts(
            conversation,
            percentiles.get(conversation.customer_id),
            related.get(conversation.customer_id),
            came.get(conversation.customer_id, Contacts()),
            counts.get(conversation.id),
            now,
        )
        for conversation in conversations
    }


def _facts(
    conversation: Conversation,
    percentile: float | None,
    relation: Relation | None,
    came: Contacts,
    messages: int | None,
    now: datetime,
) -> Facts:
    customer, newest = conversation.customer, conversation.newest_message
    metric: Metric = "first_reply_time" if conversation.first_replied_at is None else "next_reply_time"
    counted = not conversation.listening
    began_lately = counted and conversation.created_at > now - CONTACTS_WINDOW
    since = conversation.waiting_since
    felt = relation.valence(now, apart_from=conversation.newest_message_id) if relation else None
    return Facts(
        channel=conversation.goes_by.name,
        channel_kind=conversation.goes_by.kind,
        metric=metric,
        tier=customer.tier,
        spend_percentile=percentile,
        followers=customer.followers,
        analysis=to_analysis(newest.analysis) if newest and newest.analysis else None,
        text=newest.body if newest else None,
        status=cast("Status", conversation.status),
        urgency=cast("Urgency", conversation.priority),
        subject=conversation.subject,
        tags=tuple(conversation.tags),
        messages=messages,
        reopened=conversation.solved_at is not None and conversation.status not in ("solved", "closed"),
        waiting_minutes=(now - since).total_seconds() / 60 if since is not None else None,
        known=customer.external_id is not None or came.all > counted,
        lifetime_value=relation.lifetime_value if relation else None,
        valence=felt,
        journey_stage=relation.stage(felt, now) if relation else None,
        customer_language=customer.language,
        customer_name=customer.name,
        contacts=max(came.recent - began_lately, 0),
    )


def _message_counts(session: Session, ids: Sequence[int]) -> dict[int, int]:
    counted = select(Message.conversation_id, func.count()).where(
        among(Message.conversation_id, ids), Message.direction != "activity", Message.private.is_(False)
    )
    rows = session.execute(counted.group_by(Message.conversation_id))
    return {row[0]: row[1] for row in rows}
