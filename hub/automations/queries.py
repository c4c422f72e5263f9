"""Reading what automations did."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from hub.automations.models import AutomationRun
from hub.conversations.models import Conversation
from hub.paging import Page, after, page
from hub.policies.service import active_policy
from routing.automation_rules import Automation
from routing.policy_fields import write_duration

COUNTED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AutomationState:
    """An automation of the policy that rules: how often it ran and was in trouble within `COUNTED`, when it
    ran last, and its last trouble ever."""

    automation: Automation
    ran: int
    troubled: int
    last: AutomationRun | None
    last_trouble: AutomationRun | None

    @property
    def asked(self) -> str:
        """When it is asked, in words."""
        automation = self.automation
        if automation.since is None:
            return " or ".join(kind.replace("_", " ") for kind in automation.on)
        words = f"{automation.since.replace('_', ' ')} for {write_duration(automation.time)}"
        return words if automation.calendar == "always" else f"{words} of {automation.calendar}"


def list_automations(session: Session, now: datetime) -> list[AutomationState]:
    """The automations of the policy that rules, in its order."""
    ruling = active_policy(session).policy.automations
    rows = session.execute(counted([automation.name for automation in ruling], now))
    counts = {name: (ran, troubled) for name, ran, troubled in rows}
    found = []
    for automation in ruling:
        mine = select(AutomationRun).where(AutomationRun.automation == automation.name)
        newest = mine.order_by(AutomationRun.id.desc()).limit(1)
        ran, troubled = counts.get(automation.name, (0, 0))
        found.append(
            AutomationState(
                automation,
                ran,
                troubled,
                session.scalar(newest.where(AutomationRun.result != "refused")),
                session.scalar(newest.where(AutomationRun.result != "done")),
            )
        )
    return found


def counted(names: Collection[str], now: datetime) -> Select[str, int, int]:
    """By name: how often each of these ran within `COUNTED`, and how often with trouble."""
    return (
        select(
            AutomationRun.automation,
            func.count().filter(AutomationRun.result != "refused"),
            func.count().filter(AutomationRun.result != "done"),
        )
        .where(AutomationRun.automation.in_(names), AutomationRun.ran_at > now - COUNTED)
        .group_by(AutomationRun.automation)
    )


def list_runs(
    session: Session,
    *,
    automation: str = "",
    conversation_id: int | None = None,
    trouble: bool = False,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AutomationRun]:
    """What automations did, the newest first. Raises: Invalid for a cursor that is not ours."""
    query = select(AutomationRun).options(
        joinedload(AutomationRun.conversation).joinedload(Conversation.customer),
        joinedload(AutomationRun.conversation).joinedload(Conversation.channel),
    )
    if automation:
        query = query.where(AutomationRun.automation == automation)
    if conversation_id is not None:
        query = query.where(AutomationRun.conversation_id == conversation_id)
    if trouble:
        query = query.where(AutomationRun.result != "done")
    query = after(query, (AutomationRun.id,), (int,), cursor, descending=True)
    return page(session.scalars(query.limit(limit + 1)).all(), limit, lambda run: (run.id,))


def trouble_of(run: AutomationRun) -> str:
    """What went wrong in a run; nothing where all was done."""
    failed = [f"{each['what']}: {each['why']}" for each in run.actions if each["result"] == "failed"]
    return run.why or "; ".join(failed)


def cause_of(run: AutomationRun) -> str:
    """What a run was because of, in words."""
    words = run.event.replace("_", " ")
    if run.before:
        return f"{words}, from {run.before.replace('_', ' ')}"
    detail = run.tag or (run.promise or "").replace("_", " ")
    return f"{words}: {detail}" if detail else words
