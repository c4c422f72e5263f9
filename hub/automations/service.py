"""Asking automations of what happened and of what has been so for a time, and having them do what they say.

What is to be asked is rows: an event that was written down where it happened, a timer whose time has come.
The rows go, or are marked, in the transaction that does what follows, so that after a crash all of it is done
again or none. The conversation is locked meanwhile, and the condition is asked of it as it is then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub import log
from hub.automations.causes import caused_by
from hub.automations.doing import Doing
from hub.automations.keeping import keep, kept
from hub.automations.models import AutomationEvent, AutomationRun, AutomationTimer
from hub.automations.timing import go_round, is_new, timers_due
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.conversations.service import add_activity
from hub.conversations.state import state_of
from hub.policies.service import ActivePolicy, active_policy
from hub.queue.facts import facts_of
from hub.queue.service import FOR_PLACING
from hub.runtime import Hub
from routing.automation_rules import Automation
from routing.automations import RUNS_WITHIN, Timer, applies, missed, refusal, since_when, timers
from routing.conditions import Known
from routing.policy_fields import write_duration
from routing.targets import known_of
from routing.types import EventKind, Facts, Happened, Metric

logger = log.get(__name__)
# Conversations a transaction: SQLite has one writer, who should not keep the others waiting for long.
BATCH = 25


def automate(hub: Hub) -> int:
    """One round; how many events, timers and conversations it was about."""
    now = utcnow()
    with hub.database.reading() as session:
        active = active_policy(session)
        if not _is_there_work(session, active, now):
            return 0
    done = 0
    for step in STEPS:
        # Each in a transaction of its own: a round waits for what others hold, and must hold nothing itself.
        with hub.database.session() as session:
            done += step(session, active_policy(session), now)
    return done


def _is_there_work(session: Session, active: ActivePolicy, now: datetime) -> bool:
    looks = (select(AutomationEvent.id), timers_due(now).with_only_columns(AutomationTimer.conversation_id))
    return any(session.scalar(look.limit(1)) is not None for look in looks) or is_new(session, active)


def take_events(session: Session, active: ActivePolicy, now: datetime) -> int:
    """Ask automations of what happened in some conversations; of how many events."""
    ids = session.scalars(
        select(AutomationEvent.conversation_id).order_by(AutomationEvent.id).limit(BATCH)
    ).all()
    held = _hold(session, ids)
    if not held:
        return 0
    rows = session.scalars(
        select(AutomationEvent)
        .where(AutomationEvent.conversation_id.in_(held.keys()))
        .order_by(AutomationEvent.id)
    ).all()
    # Those of one batch are read together, and each again only once something was done in it.
    facts = facts_of(session, list(held.values()), active.policy, now)
    for row in collapsed(rows):
        conversation = held[row.conversation_id]
        if conversation.merged_into_id is None:
            event = Happened(
                cast("EventKind", row.kind), row.before, row.tag, cast("Metric | None", row.promise)
            )
            occasion = Occasion(event=event, chain=tuple(row.chain))
            listening, known = active.policy.automations_on(event.kind), facts.get(conversation.id)
            if ask(session, conversation, listening, occasion, active, now, known):
                facts.pop(conversation.id, None)
    for row in rows:
        session.delete(row)
    session.flush()
    return len(rows)


def take_timers(session: Session, active: ActivePolicy, now: datetime) -> int:
    """Ask the automations whose time has come in some conversations; in how many."""
    ids = session.scalars(
        timers_due(now).with_only_columns(AutomationTimer.conversation_id).limit(BATCH)
    ).all()
    held = _hold(session, ids)
    if not held:
        return 0
    rows = session.scalars(
        timers_due(now)
        .where(AutomationTimer.conversation_id.in_(held.keys()))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    by_name = {automation.name: automation for automation in active.policy.timed_automations}
    for row in rows:
        conversation = held[row.conversation_id]
        # As the policy says it by now, and as the conversation is.
        waiting = timers(active.policy, state_of(conversation), conversation.created_at, now, kept(row))
        keep(row, waiting)
        for timer in waiting:
            if timer.next_at is not None and timer.next_at <= now:
                automation = by_name[timer.automation]
                # What it does may place the conversation, which is not to have it asked again.
                _exchange(row, timer, asked=True)
                session.flush()
                occasion = Occasion(since=timer.since, chain=timer.chain)
                if not ask(session, conversation, [automation], occasion, active, now):
                    left = missed(timer, automation, state_of(conversation), now)
                    _exchange(row, timer, **left._asdict())
    session.flush()
    return len(rows)


def _exchange(row: AutomationTimer, timer: Timer, **fields: Any) -> None:
    """Have these fields of a timer be others, where it is still in the row."""
    same = (timer.automation, timer.since)
    keep(
        row,
        [each._replace(**fields) if (each.automation, each.since) == same else each for each in kept(row)],
    )


STEPS = (take_events, take_timers, go_round)
"""What a round does, each in a transaction of its own."""


def collapsed(rows: Sequence[AutomationEvent]) -> list[AutomationEvent]:
    """The events without those that say the same again of a conversation: conditions are asked as of now."""
    seen: dict[tuple[Any, ...], AutomationEvent] = {}
    for row in rows:
        seen.setdefault((row.conversation_id, row.kind, row.tag, row.promise, tuple(row.chain)), row)
    return list(seen.values())


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why automations are asked: an event, with the automations by which it came about, or since when
    something has been so."""

    event: Happened | None = None
    since: datetime | None = None
    chain: tuple[str, ...] = ()


def ask(
    session: Session,
    conversation: Conversation,
    automations: Iterable[Automation],
    occasion: Occasion,
    active: ActivePolicy,
    now: datetime,
    facts: Facts | None = None,
) -> list[AutomationRun]:
    """Ask these automations, in their order, and run those that apply; the runs, refused ones included.

    Each is asked of the conversation as those before it left it, which is locked; `facts` are those of now.
    """
    runs: list[AutomationRun] = []
    known: Known | None = None
    for automation in automations:
        # Another may have closed it, and what has been so may be so no more.
        if occasion.event is None and not _still(automation, conversation, occasion):
            continue
        if known is None:
            facts = facts or facts_of(session, [conversation], active.policy, now)[conversation.id]
            known = known_of(replace(facts, event=occasion.event), active.policy)
        if not applies(automation, known, occasion.chain):
            continue
        runs.append(_run(session, conversation, automation, occasion, active, known, now))
        known = facts = None
    return runs


def _run(
    session: Session,
    conversation: Conversation,
    automation: Automation,
    occasion: Occasion,
    active: ActivePolicy,
    known: Known,
    now: datetime,
) -> AutomationRun:
    event = occasion.event
    run = AutomationRun(
        conversation_id=conversation.id,
        automation=automation.name,
        policy_version_id=active.version_id,
        event=event.kind if event else str(automation.since),
        before=event.before if event else None,
        tag=event.tag if event else None,
        promise=event.promise if event else None,
        since=occasion.since,
        chain=list(occasion.chain),
        result="done",
        actions=[],
        why="",
        ran_at=now,
    )
    who = f"Automation “{automation.name}” ({told(automation, event)})"
    refused = refusal(automation, occasion.chain, _lately(session, conversation, now))
    if refused is not None:
        run.result, run.why = "refused", refused
        add_activity(session, conversation, f"{who} was stopped: {refused}", None, now)
        conversation.updated_at = now
        logger.warning("automation_refused", conversation_id=conversation.id, automation=automation.name)
    session.add(run)
    session.flush()
    if refused is None:
        with caused_by(session, (*occasion.chain, automation.name)):
            Doing(session, conversation, automation, active, known, who, now).do(run)
            session.flush()
    return run


def told(automation: Automation, event: Happened | None) -> str:
    """What it was asked because of, in a few words."""
    if event is None:
        return f"{str(automation.since).replace('_', ' ')} for {write_duration(automation.time)}"
    words = event.kind.replace("_", " ")
    detail = event.tag or event.before or event.promise
    prefix = "from " if event.before and not event.tag else ""
    return f"{words}: {prefix}{detail.replace('_', ' ')}" if detail else words


def _still(
    automation: Automation,
    conversation: Conversation,
    occasion: Occasion,
) -> bool:
    """Whether what the automation counts is still so, since when it was."""
    if automation.since is None:
        return False
    return since_when(automation.since, state_of(conversation), conversation.created_at) == occasion.since


def _lately(session: Session, conversation: Conversation, now: datetime) -> int:
    """How many ran in this conversation lately, those that were stopped not counted."""
    count = session.scalar(
        select(func.count()).where(
            AutomationRun.conversation_id == conversation.id,
            AutomationRun.ran_at > now - RUNS_WITHIN,
            AutomationRun.result != "refused",
        )
    )
    return count or 0


def _hold(session: Session, ids: Sequence[int]) -> dict[int, Conversation]:
    """These conversations, locked; what somebody is at is left for the next round."""
    if not ids:
        return {}
    found = session.scalars(
        select(Conversation)
        .where(Conversation.id.in_(set(ids)))
        .options(*FOR_PLACING)
        .order_by(Conversation.id)
        .with_for_update(of=Conversation, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    return {conversation.id: conversation for conversation in found}
