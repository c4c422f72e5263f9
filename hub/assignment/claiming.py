"""`next`: the earliest conversation that whoever asks may take.

However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has one
writer. Everybody who asks waits for the statements here on SQLite, so there are few, and they are built once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, Update, bindparam, or_, select, update
from sqlalchemy.orm import Session

from hub.assignment.agents import agent_of
from hub.assignment.lanes import heads, held_heads, lanes_in_use
from hub.assignment.models import REFUSED, Assignment
from hub.assignment.owning import record_claim
from hub.conversations.models import Conversation
from hub.database import Base, UtcDateTime
from hub.policies.models import PolicyActivation, PolicyVersion
from hub.policies.service import active_policy, active_version
from routing.assignment import Agent, able_because, is_eligible, needs_of_lane
from routing.policy import Policy

# How many are looked at where others claim at the same moment: the first of them that is free is taken.
DEPTHS = (16, 256, 4096)
ASKED = "asked for the next"


def claim(session: Session, user_id: int, now: datetime) -> int | None:
    """Hand a user the unowned conversation with the earliest `reply_by` of those that the policy lets them
    take: its id, None where there is none."""
    claimed = _claim_freely(session, user_id, now)
    if claimed is not None:
        return claimed
    policy = _ruling(session)
    if not policy.assigns_freely:
        return claim_eligible(session, user_id, policy, now)
    # Nobody waits, or this process has just learnt that anybody may take anything.
    return _claim_freely(session, user_id, now)


# The policies that this process has read, by the digest of their text.
_policies: dict[str, Policy] = {}
MOST_POLICIES = 8


def _ruling(session: Session) -> Policy:
    """The policy that rules; its text is read only where this process has not read it yet."""
    digest = session.connection().execute(_RULING).scalar()
    known = _policies.get(digest or "")
    if known is not None:
        return known
    if len(_policies) >= MOST_POLICIES:
        _policies.clear()
    policy = active_policy(session).policy
    _policies[active_version(session).digest] = policy
    return policy


def _claim_freely(session: Session, user_id: int, now: datetime) -> int | None:
    """The earliest of all, if a policy rules that lets everybody take everything, as far as we know it."""
    free = [digest for digest, policy in _policies.items() if policy.assigns_freely]
    if not free:
        return None
    values = {"user_id": user_id, "now": now, "free": free}
    claimed: int | None = session.connection().execute(_CLAIM_FREELY, values).scalar()
    if claimed is not None:
        record_claim(session, claimed, user_id, now, [ASKED])
    return claimed


def claim_eligible(session: Session, user_id: int, policy: Policy, now: datetime) -> int | None:
    """The earliest that a user is eligible for.

    The user is locked meanwhile, so that nobody gets more at once than they have room for.
    """
    agent = agent_of(session, user_id, policy, now)
    if agent is None or not agent.online or agent.free < 1:
        return None
    lanes = [lane for lane in lanes_in_use(session) if is_eligible(agent, needs_of_lane(lane))]
    since = now - policy.assignment.offer_again_after
    refused = set(
        session.connection().execute(_REFUSED, {"user_id": user_id, "since": since}).scalars().all()
    )
    for depth in DEPTHS:
        most = depth + len(refused)
        found = heads(session, dict.fromkeys(lanes, most), most)
        if policy.assignment.known_customer is not None:
            held = held_heads(session, [user_id], most)
            found += [head for head in held if is_eligible(agent, needs_of_lane(head.lane))]
            found.sort(key=lambda head: (head.reply_by, head.id))
        ids = [head.id for head in found if head.id not in refused]
        if not ids:
            return None
        row = (
            session.connection()
            .execute(
                _CLAIM,
                {"user_id": user_id, "now": now, "ids": ids, "lanes": list({head.lane for head in found})},
            )
            .one_or_none()
        )
        if row is not None:
            record_claim(session, row.id, user_id, now, _why(agent, row), row.lane)
            claimed: int = row.id
            return claimed
        if len(ids) < depth:
            return None
    return None


def _why(agent: Agent, row: Any) -> list[str]:
    knows = ["knows the customer"] if row.known_by_id == agent.id else []
    return [ASKED, *able_because(agent, needs_of_lane(row.lane)), *knows]


def _ruling_digest() -> Select[Any]:
    return (
        select(PolicyVersion.digest)
        .join(PolicyActivation, PolicyActivation.version_id == PolicyVersion.id)
        .order_by(PolicyActivation.id.desc())
        .limit(1)
    )


def _owned_by_asker(which: Select[Any]) -> Update:
    now = bindparam("now", type_=UtcDateTime)
    return (
        update(Base.metadata.tables["conversations"])
        .where(Conversation.id == which.scalar_subquery(), Conversation.owner_id.is_(None))
        .values(owner_id=bindparam("user_id"), owned_since=now, updated_at=now, held_until=None)
        .returning(Conversation.id, Conversation.lane, Conversation.known_by_id)
    )


def _earliest_of_all() -> Select[Any]:
    return (
        select(Conversation.id)
        .where(Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _earliest_of_these() -> Select[Any]:
    return (
        select(Conversation.id)
        .where(
            Conversation.id.in_(bindparam("ids", expanding=True)),
            Conversation.reply_by.is_not(None),
            Conversation.owner_id.is_(None),
            # It may have been placed anew meanwhile.
            Conversation.lane.in_(bindparam("lanes", expanding=True)),
            or_(Conversation.held_until.is_(None), Conversation.known_by_id == bindparam("user_id")),
        )
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


_RULING = _ruling_digest()
_CLAIM_FREELY = _owned_by_asker(_earliest_of_all()).where(
    _RULING.scalar_subquery().in_(bindparam("free", expanding=True))
)
_CLAIM = _owned_by_asker(_earliest_of_these())
_REFUSED = select(Assignment.conversation_id).where(
    REFUSED,
    Assignment.ended_at > bindparam("since", type_=UtcDateTime),
    Assignment.user_id == bindparam("user_id"),
)
