"""`next` under rules of assignment: the earliest conversation that the asker is eligible for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Update, bindparam, or_, select, update
from sqlalchemy.orm import Session

from hub.assignment.agents import load_agents
from hub.assignment.lanes import heads, held_heads, lanes_in_use, refusals
from hub.assignment.owning import record_claim
from hub.conversations.models import Conversation
from hub.database import Base, UtcDateTime
from routing.assignment import able_because, is_eligible, needs_of_lane
from routing.policy import Policy

# How many are looked at where others claim at the same moment: the first of them that is free is taken.
DEPTHS = (16, 256, 4096)


def claim_eligible(session: Session, user_id: int, policy: Policy, now: datetime) -> int | None:
    """Hand the earliest conversation that a user is eligible for to them: its id, None where there is none.

    The user is locked meanwhile, so that nobody gets more at once than they have room for.
    """
    agents = load_agents(session, policy, now, ids=[user_id], lock=True)
    if not agents or not agents[0].online or agents[0].free < 1:
        return None
    agent = agents[0]
    lanes = [lane for lane in lanes_in_use(session) if is_eligible(agent, needs_of_lane(lane))]
    refused = {key for key, users in refusals(session, policy, now).items() if user_id in users}
    for depth in DEPTHS:
        most = depth + len(refused)
        found = heads(session, dict.fromkeys(lanes, most), most)
        held = [
            head
            for head in held_heads(session, [user_id], most)
            if is_eligible(agent, needs_of_lane(head.lane))
        ]
        candidates = sorted({*found, *held}, key=lambda head: (head.reply_by, head.id))
        ids = [head.id for head in candidates if head.id not in refused][:most]
        if not ids:
            return None
        row = (
            session.connection()
            .execute(
                _CLAIM,
                {"user_id": user_id, "now": now, "ids": ids, "lanes": [*{head.lane for head in candidates}]},
            )
            .one_or_none()
        )
        if row is not None:
            why = ["asked for the next", *able_because(agent, needs_of_lane(row.lane))]
            if row.known_by_id == user_id:
                why.append("knows the customer")
            record_claim(session, row.id, user_id, now, why, row.lane)
            claimed: int = row.id
            return claimed
        if len(ids) < depth:
            return None
    return None


def _claim() -> Update:
    still = (
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
        .scalar_subquery()
    )
    now = bindparam("now", type_=UtcDateTime)
    return (
        update(Base.metadata.tables["conversations"])
        .where(Conversation.id == still, Conversation.owner_id.is_(None))
        .values(owner_id=bindparam("user_id"), owned_since=now, updated_at=now, held_until=None)
        .returning(Conversation.id, Conversation.lane, Conversation.known_by_id)
    )


# Built once: on SQLite everybody waits while one claims.
_CLAIM = _claim()
