"""`next`: the earliest conversation that whoever asks may take.

However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has one
writer. Everybody who asks waits for the statements here on SQLite, so there are few, and they are built once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Select, Update, bindparam, func, not_, or_, select, update
from sqlalchemy.orm import Session

from hub.assignment.agents import agent_of
from hub.assignment.lanes import heads, held_heads, lanes_in_use
from hub.assignment.models import REFUSED, Assignment
from hub.assignment.owning import record_claim
from hub.conversations.models import Conversation
from hub.database import Base, UtcDateTime, nudge
from hub.policies.models import PolicyActivation, PolicyVersion
from hub.policies.service import ActivePolicy, active_policy, active_version
from hub.queue.service import HIGHEST, LOWEST, ON_SIGHT, place_on_sight
from routing.assignment import Agent, able_because, is_eligible, needs_of_lane
from routing.policy import Policy

# How many are looked at where others claim at the same moment: the first of them that is free is taken.
DEPTHS = (16, 256, 4096)
ASKED = "asked for the next"
# So often at most is placed before one claim: what is left then is for who asks next, or for the background.
SIGHTS = 8


def claim_next(session: Session, user_id: int, now: datetime) -> int | None:
    """Hand a user the unowned conversation with the earliest `reply_by` of those that the policy lets them
    take: its id, None where there is none. However many ask at once, no two get the same.

    While a change of the policy is on its way, what stands first is placed by it before it is looked at.
    """
    claimed = _claim_freely(session, user_id, now, _CLAIM_FREELY)
    if claimed is None:
        claimed = _claim_by_rules(session, user_id, now)
    if claimed is not None:
        nudge(session, "plan")
    return claimed


def _claim_by_rules(session: Session, user_id: int, now: datetime) -> int | None:
    ruling = _ruling(session)
    agent = None
    if not ruling.policy.assigns_freely:
        # Locked, so that they do not get more at once than they have room for.
        agent = agent_of(session, user_id, ruling.policy, now)
        if agent is None or not agent.online or agent.free < 1:
            return None
    for _ in range(SIGHTS):
        placed = 0
        if ruling.is_changing:
            placed = place_on_sight(session, ActivePolicy(ruling.version_id, ruling.policy), now)
        if agent is not None:
            claimed = _claim_in_lanes(session, agent, ruling, now)
        else:
            claimed = _claim_freely(session, user_id, now, _CLAIM_CHANGING)
        if placed:
            # A row was changed behind what the session has read of it.
            session.expire_all()
        if claimed is not None or placed < ON_SIGHT:
            return claimed
    return None


class _Memory:
    """The policies that this process has read, by the digest of their text, and which ruled last."""

    policies: ClassVar[dict[str, Policy]] = {}
    last: ClassVar[str] = ""


MOST_POLICIES = 8


class _Ruling(NamedTuple):
    """The policy that rules, and whether something that is owed was placed by another version."""

    policy: Policy
    version_id: int
    is_changing: bool


def _ruling(session: Session) -> _Ruling:
    """The policy that rules; its text is read only where this process has not read it yet."""
    row = session.connection().execute(_RULING).one_or_none()
    known = _Memory.policies.get(row.digest) if row else None
    if row is None or known is None:
        if len(_Memory.policies) >= MOST_POLICIES:
            _Memory.policies.clear()
        known = active_policy(session).policy
        _Memory.policies[active_version(session).digest] = known
        row = session.connection().execute(_RULING).one()
    _Memory.last = row.digest
    return _Ruling(known, row.id, row.changing)


def _claim_freely(session: Session, user_id: int, now: datetime, claim: Update) -> int | None:
    """The earliest of all, if that policy rules which ruled last as far as we know, and it lets everybody
    take everything."""
    digest = _Memory.last
    policy = _Memory.policies.get(digest)
    if policy is None or not policy.assigns_freely:
        return None
    values = {"user_id": user_id, "now": now, "digest": digest}
    row = session.connection().execute(claim, values).one_or_none()
    if row is None:
        return None
    record_claim(session, row.id, user_id, now, [ASKED], row.version_id)
    claimed: int = row.id
    return claimed


def _claim_in_lanes(session: Session, agent: Agent, ruling: _Ruling, now: datetime) -> int | None:
    """The earliest that an agent is eligible for, of what the version that rules has placed."""
    policy = ruling.policy
    lanes = [lane for lane in lanes_in_use(session) if is_eligible(agent, needs_of_lane(lane))]
    since = now - policy.assignment.offer_again_after
    refused = set(
        session.connection().execute(_REFUSED, {"user_id": agent.id, "since": since}).scalars().all()
    )
    for depth in DEPTHS:
        most = depth + len(refused)
        found = heads(session, dict.fromkeys(lanes, most), most)
        if policy.assignment.known_customer is not None:
            held = held_heads(session, [agent.id], most)
            found += [head for head in held if is_eligible(agent, needs_of_lane(head.lane))]
            found.sort(key=lambda head: (head.reply_by, head.id))
        ids = [head.id for head in found if head.id not in refused]
        if not ids:
            return None
        values = {
            "user_id": agent.id,
            "now": now,
            "ids": ids,
            "lanes": list({head.lane for head in found}),
            "version_id": ruling.version_id,
        }
        row = session.connection().execute(_CLAIM, values).one_or_none()
        if row is not None:
            record_claim(session, row.id, agent.id, now, _why(agent, row), ruling.version_id, row.lane)
            claimed: int = row.id
            return claimed
        if len(ids) < depth:
            return None
    return None


def _why(agent: Agent, row: Any) -> list[str]:
    knows = ["knows the customer"] if row.known_by_id == agent.id else []
    return [ASKED, *able_because(agent, needs_of_lane(row.lane)), *knows]


def _newest() -> Select[int, str]:
    return (
        select(PolicyVersion.id, PolicyVersion.digest)
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
            Conversation.policy_version_id == bindparam("version_id"),
            or_(Conversation.held_until.is_(None), Conversation.known_by_id == bindparam("user_id")),
        )
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


# In RETURNING columns stand without their table, so that this names no second one.
_VERSION = select(PolicyActivation.version_id).order_by(PolicyActivation.id.desc()).limit(1).scalar_subquery()
_CHANGING = or_(*(func.coalesce(end.scalar_subquery(), _VERSION) != _VERSION for end in (LOWEST, HIGHEST)))
_RULING = _newest().add_columns(_CHANGING.label("changing"))
_DIGEST = _newest().with_only_columns(PolicyVersion.digest).scalar_subquery()
_CLAIM_CHANGING = (
    _owned_by_asker(_earliest_of_all())
    .where(bindparam("digest") == _DIGEST)
    .returning(_VERSION.label("version_id"))
)
_CLAIM_FREELY = _CLAIM_CHANGING.where(not_(_CHANGING))
_CLAIM = _owned_by_asker(_earliest_of_these())
_REFUSED = select(Assignment.conversation_id).where(
    REFUSED,
    Assignment.ended_at > bindparam("since", type_=UtcDateTime),
    Assignment.user_id == bindparam("user_id"),
)
