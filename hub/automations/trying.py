"""What automations would do in a conversation now: done for once, told, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from hub.automations.service import Occasion, ask
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation
from hub.conversations.state import state_of
from hub.policies.service import ActivePolicy
from routing.automation_rules import Automation
from routing.automations import since_when
from routing.types import Happened


@dataclass(frozen=True, slots=True)
class Tried:
    """What would come of an automation were it asked now because of `event`.

    `result` and `actions` as in `AutomationRun`; "not asked" or "does not apply" where it would do nothing,
    and `why`.
    """

    automation: str
    event: str
    result: str
    why: str = ""
    actions: list[dict[str, str]] = field(default_factory=list)


def try_automations(
    session: Session, conversation_id: int, active: ActivePolicy, now: datetime
) -> list[Tried]:
    """Ask every automation of the policy, at each event that it waits for, each for itself.

    Nothing of it stays. Raises: NotFound.
    """
    conversation = get_conversation(session, conversation_id)
    found: list[Tried] = []
    for automation in active.policy.automations:
        for occasion in _occasions(automation):
            with session.begin_nested() as taken_back:
                found.append(_try(session, conversation, automation, occasion, active, now))
                taken_back.rollback()
            session.expire_all()
    session.info.pop("nudges", None)
    return found


def _occasions(automation: Automation) -> Sequence[Occasion]:
    if automation.since is not None:
        return [Occasion()]
    return [Occasion(event=Happened(kind)) for kind in automation.on]


def _try(
    session: Session,
    conversation: Conversation,
    automation: Automation,
    occasion: Occasion,
    active: ActivePolicy,
    now: datetime,
) -> Tried:
    event = occasion.event.kind if occasion.event else str(automation.since)
    if automation.since is not None:
        since = since_when(automation.since, state_of(conversation), conversation.created_at)
        if since is None:
            return Tried(automation.name, event, "not asked", f"it is not {event.replace('_', ' ')}")
        occasion = Occasion(since=since)
    for run in ask(session, conversation, [automation], occasion, active, now):
        return Tried(automation.name, event, run.result, run.why, run.actions)
    return Tried(automation.name, event, "does not apply", "its condition does not hold")
