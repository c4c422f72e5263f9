"""`next`: the earliest conversation that whoever asks may take.

However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has one
writer. Everybody who asks waits for the statements here on SQLite, so there are few, and they are built once.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    Select,
    Update,
    bindparam,
    false,
    func,
    not_,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from hub.assignment.agents import asking, in_hand, is_online, to_agent
from hub.assignment.lanes import HELD, MOST_ARMS, heads, heads_of, lanes_waiting
from hub.assignment.models import REFUSED, Assignment
from hub.assignment.owning import record_claim
from hub.conversations.models import Conversation
from hub.database import Base, UtcDateTime, at_most, nudge
from hub.policies.models import PolicyActivation, PolicyVersion
from hub.policies.service import ActivePolicy, active_policy, active_version
from hub.queue.service import HIGHEST, LOWEST, ON_SIGHT, place_on_sight
from routing.assignment import Agent, able_because, is_eligible, needs_of_lane
from routing.policy import Policy

# How many are looked at where others claim at the same moment: the first of them that is free is taken.
DEPTHS = (8, 128, 4096)
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


def why_nothing(session: Session, user_id: int, now: datetime) -> str:
    """A sentence for who asked and got nothing."""
    asker = _asker(session, user_id)
    if asker.policy.assigns_freely:
        return "Nobody is waiting for an answer that is not taken already."
    used = session.connection().execute(in_hand(), {"user_id": user_id}).scalar_one()
    agent = to_agent(asker.user, asker.policy, now, used=used)
    if agent.free < 1:
        return f"You have {used} of {agent.capacity} units in hand: answer or release something first."
    return "Nobody is waiting whom you can answer now: by team, by skill, and by what you have in hand."


def _claim_by_rules(session: Session, user_id: int, now: datetime) -> int | None:
    asker = _asker(session, user_id)
    policy = asker.policy
    if not policy.assigns_freely and not is_online(asker.user, policy, now):
        return None
    for _ in range(SIGHTS):
        placed = 0
        if asker.is_changing:
            placed = place_on_sight(session, ActivePolicy(asker.version_id, policy), now)
        if policy.assigns_freely:
            claimed = _claim_freely(session, user_id, now, _CLAIM_CHANGING)
        else:
            claimed = _claim_in_lanes(session, asker, now)
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


class _Asker(NamedTuple):
    """Who asks, as a row of their columns; the policy that rules, and whether something that is owed was
    placed by another version."""

    user: Any
    policy: Policy
    version_id: int
    is_changing: bool


def _asker(session: Session, user_id: int) -> _Asker:
    """They are locked, so that they do not get more at once than they have room for. The policy's text is
    read only where this process has not read it yet."""
    row = session.connection().execute(_ASKER, {"user_id": user_id}).one()
    known = _Memory.policies.get(row.digest)
    if known is None:
        if len(_Memory.policies) >= MOST_POLICIES:
            _Memory.policies.clear()
        known = active_policy(session).policy
        _Memory.policies[active_version(session).digest] = known
        row = session.connection().execute(_ASKER, {"user_id": user_id}).one()
    _Memory.last = row.digest
    return _Asker(row, known, row.version_id, row.changing)


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


def _claim_in_lanes(session: Session, asker: _Asker, now: datetime) -> int | None:
    """The earliest that an agent is eligible for, of what the version that rules has placed."""
    connection, policy = session.connection(), asker.policy
    # After the lock was got.
    found = connection.execute(_LANES, {"user_id": asker.user.id}).all()
    if not found:
        return None
    agent = to_agent(asker.user, policy, now, used=found[0].used)
    lanes = [row.lane for row in found if is_eligible(agent, needs_of_lane(row.lane))]
    if len(lanes) > MOST_ARMS:
        # Where the earliest stand; and the lanes of what is kept for them, which stands in none.
        earliest = heads(session, dict.fromkeys(lanes, 1), MOST_ARMS)
        kept = {row.lane for row in found if row.kept}
        lanes = list({head.lane for head in earliest} | kept.intersection(lanes))
    if not lanes:
        return None
    values = {f"lane_{number}": lane for number, lane in enumerate(lanes)} | {
        "user_id": agent.id,
        "now": now,
        "since": now - policy.assignment.offer_again_after,
        "version_id": asker.version_id,
    }
    for depth in DEPTHS:
        row = connection.execute(_claim_of(len(lanes), depth), values).one_or_none()
        if row is not None:
            record_claim(session, row.id, agent.id, now, _why(agent, row), asker.version_id, row.lane)
            claimed: int = row.id
            return claimed
    return None


def _why(agent: Agent, row: Any) -> list[str]:
    knows = ["knows the customer"] if row.known_by_id == agent.id else []
    return [ASKED, *able_because(agent, needs_of_lane(row.lane)), *knows]


def _newest() -> Select[int, str]:
    return (
        select(PolicyVersion.id, PolicyVersion.digest)
        .join(PolicyActivation, PolicyActivation.version_id == PolicyVersion.id)
        .order_by(PolicyActivation.id.desc())
        .limit(at_most(1))
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
        .limit(at_most(1))
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=4 * MOST_ARMS)
def _claim_of(lanes: int, depth: int) -> Update:
    """The earliest of so many lanes, and of what is kept for who asks, that they have not refused lately."""
    heads = heads_of(lanes, depth).subquery()
    kept = (
        select(Conversation.id)
        .where(HELD, Conversation.known_by_id == bindparam("user_id"))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(at_most(depth))
        .subquery()
    )
    refused = select(Assignment.conversation_id).where(
        REFUSED,
        Assignment.ended_at > bindparam("since", type_=UtcDateTime),
        Assignment.user_id == bindparam("user_id"),
    )
    return _owned_by_asker(
        select(Conversation.id)
        .where(
            Conversation.id.in_(union_all(select(heads.c.id), select(kept.c.id))),
            Conversation.id.not_in(refused),
            # What follows may have changed since it was found: where another one held it then, it is looked
            # at anew.
            Conversation.reply_by.is_not(None),
            Conversation.owner_id.is_(None),
            Conversation.lane.in_([bindparam(f"lane_{number}") for number in range(lanes)]),
            Conversation.policy_version_id == bindparam("version_id"),
            or_(Conversation.held_until.is_(None), Conversation.known_by_id == bindparam("user_id")),
        )
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(at_most(1))
        .with_for_update(skip_locked=True, of=Conversation)
    )


def _lanes() -> Select[Any]:
    """The lanes in which somebody waits, those of what is kept for who asks, and what they have in hand."""
    waiting = lanes_waiting().subquery()
    kept = select(Conversation.lane, true().label("kept")).where(
        HELD, Conversation.known_by_id == bindparam("user_id")
    )
    both = union_all(select(waiting.c.lane, false().label("kept")), kept.distinct()).subquery()
    return select(both.c.lane, both.c.kept, in_hand().scalar_subquery().label("used"))


# In RETURNING columns stand without their table, so that this names no second one.
_VERSION = (
    select(PolicyActivation.version_id)
    .order_by(PolicyActivation.id.desc())
    .limit(at_most(1))
    .scalar_subquery()
)
_CHANGING = or_(*(func.coalesce(end.scalar_subquery(), _VERSION) != _VERSION for end in (LOWEST, HIGHEST)))
_DIGEST = _newest().with_only_columns(PolicyVersion.digest).scalar_subquery()
_ASKER = asking().add_columns(
    _DIGEST.label("digest"), _VERSION.label("version_id"), _CHANGING.label("changing")
)
_LANES = _lanes()
_CLAIM_CHANGING = (
    _owned_by_asker(_earliest_of_all())
    .where(bindparam("digest") == _DIGEST)
    .returning(_VERSION.label("version_id"))
)
_CLAIM_FREELY = _CLAIM_CHANGING.where(not_(_CHANGING))
