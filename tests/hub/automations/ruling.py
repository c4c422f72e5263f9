"""Automations that rule, and what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.automations.models import AutomationRun
from hub.automations.service import STEPS
from hub.conversations.models import Conversation, Message
from hub.policies.service import activate, active_policy
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import NOW

TEMPLATES = """
teams: [escalation, billing]
templates:
  Received:
    default: Hello {{customer.name | there}}, we have your message.
    de: Guten Tag {{customer.name | }}, Ihre Nachricht ist da.
"""


def rules(session: Session, automations: str, *, at: datetime = NOW, also: str = "") -> None:
    """Have these automations rule, beside the built-in policy."""
    activate(session, f"{DEFAULT_POLICY}{TEMPLATES}{also}\nautomations:{automations}", at)


def run_all(session: Session, now: datetime = NOW) -> None:
    """Until nothing is left to be done."""
    for _ in range(200):
        if not sum(step(session, active_policy(session), now) for step in STEPS):
            return
    raise AssertionError("it does not end")


def opened(session: Session, text: str = "Where is my parcel?", **fields: Any) -> Conversation:
    """A conversation with one message that has just come in."""
    channel = factories.channel(session)
    message = factories.receive_one(session, channel, factories.inbound(text, **fields))
    return factories.conversation_of(session, message)


def runs_of(session: Session) -> list[AutomationRun]:
    return list(session.scalars(select(AutomationRun).order_by(AutomationRun.id)))


def lines_of(session: Session, conversation: Conversation) -> list[str]:
    """What its history says."""
    return list(
        session.scalars(
            select(Message.body)
            .where(Message.conversation_id == conversation.id, Message.direction == "activity")
            .order_by(Message.id)
        )
    )


ALL_AT_ONCE = """
  - name: Everything
    on: [conversation_opened]
    when: channel.kind == "social"
    do:
      - set: {priority: high}
      - tag: [new_here]
      - assign: {team: escalation}
      - notify: [manager]
      - reply: Received
"""


TIMED = """
  - name: Remind
    after: {waiting_on_customer: 1h}
    when: '!("quiet" in conversation.tags)'
    do: [{reply: Received}, {tag: [reminded]}]
  - name: Done
    after: {waiting_on_customer: 3h}
    do: [{set: {status: solved}}]
  - name: Close
    after: {solved: 1d}
    do: [{set: {status: closed}}]
"""
