"""Giving warnings: what is due by the policy, checked again as it is given, once per promise and step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.automations.models import AutomationRun
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.conversations.promises import warnings_of
from hub.policies.service import active_policy
from hub.runtime import Hub
from hub.warnings.mailing import want_mail
from hub.warnings.models import PromiseWarning
from routing.assignment import needs_of_lane
from routing.policy import Policy
from routing.warnings import Recipient, WarningStep

BATCH = 200


def warn(hub: Hub) -> int:
    """Give the warnings that are due; of how many promises."""
    with hub.database.session() as session:
        return give_warnings(session, utcnow())


def warnings_due(now: datetime) -> Select[Promise]:
    """Promises of which somebody is to be warned now."""
    return select(Promise).where(Promise.warn_at <= now).order_by(Promise.warn_at).limit(BATCH)


def give_warnings(session: Session, now: datetime) -> int:
    """Give what is due by `now`; of how many promises.

    Of several steps that are due at once everybody is told the last of theirs: they waited for the same
    hours, the hub was down, or the promise became shorter, and nobody wants to hear the same thing twice.
    """
    policy = active_policy(session).policy
    ids = {promise.conversation_id for promise in session.scalars(warnings_due(now))}
    if not ids:
        return 0
    # What somebody is at is looked at in the next round: it may be met by then.
    held = session.scalars(
        select(Conversation)
        .where(Conversation.id.in_(ids))
        .order_by(Conversation.id)
        .with_for_update(skip_locked=True)
    ).all()
    promises = session.scalars(
        warnings_due(now)
        .where(Promise.conversation_id.in_([each.id for each in held]))
        .execution_options(populate_existing=True)
    ).all()
    people = _people(session)
    for promise in promises:
        _give(session, promise, policy, people, now)
    return len(promises)


def mark_read(session: Session, user: User, ids: Collection[int] | None, now: datetime) -> int:
    """Mark warnings of this user as read, all where `ids` is None; how many there were."""
    mine = (PromiseWarning.user_id == user.id, PromiseWarning.read_at.is_(None))
    chosen = mine if ids is None else (*mine, PromiseWarning.id.in_(ids))
    return len(
        session.scalars(
            update(PromiseWarning).where(*chosen).values(read_at=now).returning(PromiseWarning.id)
        ).all()
    )


def _give(session: Session, promise: Promise, policy: Policy, people: Sequence[User], now: datetime) -> None:
    waiting = warnings_of(promise, policy) if promise.is_open else []
    due = [step for at, step in waiting if at <= now]
    promise.warn_at = next((at for at, _ in waiting if at > now), None)
    if not due:
        return
    promise.warned = [*promise.warned, *(step.at for step in due)]
    conversation = promise.conversation
    told: dict[User, WarningStep] = {}
    for step in due:
        if set(step.to) == {"assignee"} and conversation.owner_id is None:
            # What nobody has stands in the queue, where everybody sees it; in a rush that would be all of it.
            continue
        told |= dict.fromkeys(_whom(step.to, conversation, people), step)
    if not told:
        return
    for user, step in told.items():
        warning = PromiseWarning(
            promise_id=promise.id,
            conversation_id=conversation.id,
            user_id=user.id,
            step=step.at,
            metric=promise.metric,
            due_at=promise.due_at,
            created_at=now,
        )
        session.add(warning)
        want_mail(session, warning, user, now)
    # Open pages learn of it.
    conversation.updated_at = now


def tell_people(
    session: Session, conversation: Conversation, to: Sequence[Recipient], run: AutomationRun, now: datetime
) -> list[User]:
    """Have people told, beside the warnings, that an automation ran; who they are."""
    people = _whom(to, conversation, _people(session))
    for user in people:
        warning = PromiseWarning(
            conversation_id=conversation.id,
            run_id=run.id,
            user_id=user.id,
            step=run.automation,
            created_at=now,
        )
        session.add(warning)
        want_mail(session, warning, user, now)
    conversation.updated_at = now
    return people


def _people(session: Session) -> Sequence[User]:
    return session.scalars(select(User).where(User.disabled_at.is_(None)).order_by(User.id)).all()


def _whom(to: Sequence[Recipient], conversation: Conversation, people: Sequence[User]) -> list[User]:
    """Who is told; the managers where that would be nobody, and the administrators where there are none."""
    team = conversation.sent_to_team or needs_of_lane(conversation.lane).team
    found = [
        user
        for user in people
        if ("assignee" in to and user.id == conversation.owner_id)
        or ("team" in to and team is not None and team in user.teams)
        or ("manager" in to and user.role == "manager")
    ]
    for role in ("manager", "admin"):
        found = found or [user for user in people if user.role == role]
    return found
