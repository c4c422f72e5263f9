"""A hub with rules of assignment, people to follow them, and the invariants read from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.agents import load_agents, units_in_hand
from hub.assignment.lanes import refusals
from hub.assignment.models import Assignment
from hub.conversations.models import Conversation
from hub.policies.service import ActivePolicy, activate
from routing.assignment import can_answer, is_eligible, needs_of_lane
from routing.policy import DEFAULT_POLICY, Policy
from tests import factories
from tests.factories import NOW

RULES = """
teams: [service, social]
skills: [french, returns]
capacity:
  default: 3
  weights: {mail: 2}
assignment:
  mode: push
  choose: most_free
  accept_within: 2m
  offer_again_after: 10m
  away_after: 5m
  release_after: 15m
  known_customer: {within: 30d, hold: 3m}
  needs:
    - name: French
      when: 'channel.name == "french"'
      team: service
      skills: {returns: 2}
      additional_skills: {french: 3}
      relax_after: 10m
    - name: Social
      when: 'channel.name == "chirp"'
      team: social
"""


def policy_text(rules: str = RULES, **changes: str) -> str:
    """The built-in policy with these rules; `mode="pull"` and the like change one of their lines."""
    before, rest = DEFAULT_POLICY.split("assignment:\n")
    for name, value in changes.items():
        line = next(line for line in rules.splitlines() if line.strip().startswith(f"{name}:"))
        rules = rules.replace(line, f"{line.partition(':')[0]}: {value}")
    return f"{before}{rules}\nsecond_promise:{rest.split('second_promise:')[1]}"


def rule_by(session: Session, now: datetime = NOW, rules: str = RULES, **changes: str) -> ActivePolicy:
    """Let these rules of assignment hold."""
    return activate(session, policy_text(rules, **changes), now)


def agent(
    session: Session,
    name: str,
    *,
    teams: tuple[str, ...] = (),
    skills: Mapping[str, int] | None = None,
    capacity: int | None = None,
    seen_at: datetime | None = NOW,
) -> User:
    """Somebody who answers, and is here."""
    user = factories.user(session, name)
    user.teams, user.skills, user.capacity = list(teams), dict(skills or {}), capacity
    user.seen_at = seen_at
    session.flush()
    return user


def overloaded(session: Session, policy: Policy) -> list[int]:
    """The users who have more in hand than they can hold."""
    users = {user.id: user for user in session.scalars(select(User))}
    assert policy.capacity is not None
    return [
        user_id
        for user_id, units in units_in_hand(session, list(users)).items()
        if units > (users[user_id].capacity or policy.capacity.default)
    ]


def torn(session: Session) -> int:
    """How many conversations are not whose their open assignment says, or have two."""
    wrong = (
        select(func.count())
        .select_from(Conversation)
        .outerjoin(
            Assignment, (Assignment.conversation_id == Conversation.id) & Assignment.ended_at.is_(None)
        )
        .where(Conversation.owner_id.is_distinct_from(Assignment.user_id))
    )
    twice = (
        select(Assignment.conversation_id)
        .where(Assignment.ended_at.is_(None))
        .group_by(Assignment.conversation_id)
        .having(func.count() > 1)
    )
    return (session.scalar(wrong) or 0) + len(session.scalars(twice).all())


def passed_over(session: Session, policy: Policy, now: datetime) -> list[tuple[int, int]]:
    """Each conversation that nobody has, with an agent who is eligible for it: all pairs are tried."""
    agents = load_agents(session, policy, now)
    refused = refusals(session, policy, now)
    eligible: dict[str, set[int]] = {}
    found = []
    for row in session.execute(
        select(Conversation.id, Conversation.lane, Conversation.held_until, Conversation.known_by_id).where(
            Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None)
        )
    ):
        if row.lane not in eligible:
            needs = needs_of_lane(row.lane)
            eligible[row.lane] = {each.id for each in agents if is_eligible(each, needs)}
        free = eligible[row.lane] - refused.get(row.id, set())
        if row.held_until is not None:
            free &= {row.known_by_id}
        found += [(row.id, each) for each in sorted(free)]
    return found


def unable(session: Session, policy: Policy, now: datetime, after: int = 0) -> list[int]:
    """The assignments since `after` by which the hub gave somebody what they cannot answer."""
    users = session.scalars(select(User)).all()
    agents = {each.id: each for each in load_agents(session, policy, now, ids=[user.id for user in users])}
    handed = select(Assignment).where(Assignment.how.in_(("next", "push")), Assignment.id > after)
    return [
        each.id
        for each in session.scalars(handed)
        if not can_answer(agents[each.user_id], needs_of_lane(each.lane))
    ]
