"""What people do about assignments: accept, decline, send on, go away, and say who can do what."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.accounts.service import set_away
from hub.assignment.owning import accept, disown, own
from hub.conversations.models import Conversation
from hub.conversations.service import add_activity, note
from hub.database import nudge
from hub.errors import Conflict, Forbidden, Invalid
from hub.policies.service import ActivePolicy, active_policy
from hub.queue.service import place
from routing.assignment_rules import HIGHEST_LEVEL

MANAGING = ("manager", "admin")
MOST_UNITS = 1000


def accept_offer(session: Session, conversation: Conversation, user: User, now: datetime) -> None:
    """Accept what was offered; again, it stays accepted. Raises: Conflict where it is no longer theirs."""
    _check_theirs(conversation, user)
    accept(session, conversation, now)


def decline_offer(session: Session, conversation: Conversation, user: User, now: datetime) -> None:
    """Pass on what was offered: it goes to somebody else, at its place. Raises: Conflict."""
    _check_theirs(conversation, user)
    if conversation.accept_by is None:
        raise Conflict("you have accepted this conversation: release it, or send it to somebody else")
    disown(session, conversation, now, "declined")
    add_activity(session, conversation, f"{user.name} declined it", user, now)


def send_on(
    session: Session,
    conversation: Conversation,
    *,
    by: User,
    now: datetime,
    to: User | None = None,
    team: str | None = None,
    text: str = "",
) -> None:
    """Hand a conversation to a colleague, or to a team, whose next free agent gets it; with a note if given.

    People may send it to whom the rules would not give it. Raises: Invalid, Forbidden where somebody else has
    it, Conflict.
    """
    if (to is None) == (team is None):
        raise Invalid("name a colleague or a team, and not both", field="to")
    if conversation.status == "closed":
        raise Conflict("this conversation is closed")
    if conversation.owner_id not in (None, by.id) and by.role not in MANAGING:
        assert conversation.owner is not None
        raise Forbidden(f"{conversation.owner.name} has this conversation; they or a manager can send it on")
    active = active_policy(session)
    if text.strip():
        note(session, conversation, user=by, text=text, now=now)
    if to is not None:
        if to.disabled_at is not None:
            raise Invalid(f"{to.name} can no longer sign in", field="to")
        if to.id == conversation.owner_id:
            raise Conflict(f"{to.name} has this conversation already")
        leave_team(session, conversation, active, now)
        own(session, conversation, to, now, how="sent", by=by, reasons=[f"sent by {by.name}"])
        session.refresh(conversation, ["owner"])
    else:
        if team not in active.policy.teams:
            known = ", ".join(active.policy.teams) or "none: the policy has no teams"
            raise Invalid(f"no team {team!r}; known are {known}", field="team")
        disown(session, conversation, now, "sent_on")
        conversation.sent_to_team = team
        place(session, [conversation], active, now)
    whom = to.name if to is not None else f"team {team}"
    add_activity(session, conversation, f"{by.name} sent it to {whom}", by, now)


def leave_team(session: Session, conversation: Conversation, active: ActivePolicy, now: datetime) -> None:
    """It is no longer for the team that it was sent to: what it needs is what the rules say again."""
    if conversation.sent_to_team is not None:
        conversation.sent_to_team = None
        place(session, [conversation], active, now)


def go_away(session: Session, user: User, away: bool, now: datetime, because: str | None = None) -> None:
    """Go off duty, or come back. What was offered and not accepted goes to somebody else at once.

    `because` says why where it is not they who say so.
    """
    set_away(session, user.id, away, now, because)
    if not away:
        return
    offered = session.scalars(
        select(Conversation)
        .where(Conversation.owner_id == user.id, Conversation.accept_by.is_not(None))
        .order_by(Conversation.id)
        # What somebody holds is being decided on; if it is still an offer then, it runs out.
        .with_for_update(of=Conversation, skip_locked=True)
    ).all()
    for conversation in offered:
        disown(session, conversation, now, "away")
        if because is None:
            add_activity(session, conversation, f"{user.name} went away", user, now)
        else:
            add_activity(session, conversation, f"{user.name} was set away: they {because}", None, now)


def set_abilities(
    session: Session,
    user: User,
    *,
    teams: Collection[str],
    skills: Mapping[str, int],
    capacity: int | None,
) -> None:
    """Say of which teams somebody is, what they can do and how well, and how much they can have in hand.

    None: as much as the policy says. What they have stays theirs. Raises: Invalid where the policy knows no
    such thing.
    """
    policy = active_policy(session).policy
    for team in teams:
        if team not in policy.teams:
            known = ", ".join(policy.teams) or "none: name them in the policy, under teams"
            raise Invalid(f"no team {team!r}; known are {known}", field="teams")
    for skill, level in skills.items():
        if skill not in policy.skills:
            known = ", ".join(policy.skills) or "none: name them in the policy, under skills"
            raise Invalid(f"no skill {skill!r}; known are {known}", field="skills")
        if not 1 <= level <= HIGHEST_LEVEL:
            raise Invalid(f"a level of {skill} is 1 to {HIGHEST_LEVEL}", field="skills")
    if capacity is not None and not 0 <= capacity <= MOST_UNITS:
        raise Invalid(f"a capacity is 0 to {MOST_UNITS} units", field="capacity")
    user.teams, user.skills, user.capacity = sorted(set(teams)), dict(sorted(skills.items())), capacity
    session.flush()
    nudge(session, "assign")


def may_manage(user: User) -> None:
    """Raises: Forbidden."""
    if user.role not in MANAGING:
        raise Forbidden("only managers may see and change who can do what")


def _check_theirs(conversation: Conversation, user: User) -> None:
    if conversation.owner_id != user.id:
        raise Conflict("this is no longer offered to you")
