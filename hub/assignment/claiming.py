"""`next`: the earliest conversation that whoever asks may take.

However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has one
writer. Everybody who asks waits for the statements here on SQLite, so there are few, and they are built once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Update,
    bindparam,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.agents import asking, in_hand, is_online, to_agent
from hub.assignment.lanes import HELD, NOBODYS, earliest_ids, lanes_waiting
from hub.assignment.models import REFUSED, Assignment
from hub.assignment.owning import claim
from hub.conversations.models import Conversation
from hub.database import Base, UtcDateTime, at_most, nudge, rows_of
from hub.policies.models import PolicyActivation, PolicyVersion
from hub.policies.service import ActivePolicy, active_policy, active_version
from hub.queue.service import HIGHEST, LOWEST, ON_SIGHT, place_on_sight
from routing.assignment import Agent, able_because, can_answer, is_eligible, needs_of_lane
from routing.policy import Policy

# How many are looked at: where others claim at the same moment the first that is free is taken.
DEPTHS = (8, 128, 4096)
ASKED = "asked for the next"
# So often at most is placed before one claim: what is left then is for who asks next, or for the background.
SIGHTS = 8
NO_LIMIT = 2**31 - 1


def claim_next(session: Session, user_id: int, now: datetime) -> int | None:
    """Hand a user the unowned conversation with the earliest `reply_by` of those that the policy lets them
    take: its id, None where there is none. However many ask at once, no two get the same.

    While a change of the policy is on its way, what stands first is placed by it before it is looked at.
    """
    claimed = _claim_freely(session, user_id, now)
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
    agent = to_agent(asker.user, asker.policy, now, used=asker.user.used)
    if agent.free < 1:
        return f"You have {agent.used} of {agent.capacity} units in hand: answer or release something first."
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
            if placed:
                # It may stand in other lanes by now.
                asker = _asker(session, user_id)
        if policy.assigns_freely:
            claimed = _claim_freely(session, user_id, now, changing=True)
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
    """Who asks, as a row of their columns, with what they have in hand and the lanes in which something waits
    for them or for anybody; the policy that rules, and whether something that is owed was placed by another
    version."""

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


def _claim_freely(session: Session, user_id: int, now: datetime, *, changing: bool = False) -> int | None:
    """The earliest of all, if that policy rules which ruled last as far as we know, and it lets everybody
    take everything."""
    digest = _Memory.last
    policy = _Memory.policies.get(digest)
    if policy is None or not policy.assigns_freely:
        return None
    values = {"user_id": user_id, "now": now, "digest": digest, "because": {"": [ASKED]}}
    return _claim(session, (_claim_of_all(depth, changing=changing) for depth in DEPTHS), values)


def _claim(session: Session, statements: Iterable[Update], values: Mapping[str, Any]) -> int | None:
    return next((found for each in statements if (found := claim(session, each, values)) is not None), None)


def _claim_in_lanes(session: Session, asker: _Asker, now: datetime) -> int | None:
    """The earliest that an agent is eligible for, of what the version that rules has placed."""
    policy = asker.policy
    agent = to_agent(asker.user, policy, now, used=asker.user.used)
    if asker.user.lanes is None:
        return None
    able = _lanes_for(asker.user.lanes, agent.teams, frozenset(agent.skills.items()))
    reasons = {lane: why for lane, why in able.items() if is_eligible(agent, needs_of_lane(lane))}
    if not reasons:
        return None
    values = {
        "lanes": list(reasons),
        "because": reasons,
        "user_id": agent.id,
        "capacity": NO_LIMIT if agent.capacity is None else agent.capacity,
        "now": now,
        "since": now - policy.assignment.offer_again_after,
        "version_id": asker.version_id,
    }
    is_sqlite = session.connection().dialect.name == "sqlite"
    return _claim(session, (_claim_of_lanes(depth, is_sqlite=is_sqlite) for depth in DEPTHS), values)


@lru_cache(maxsize=256)
def _lanes_for(lanes: str, teams: frozenset[str], skills: frozenset[tuple[str, int]]) -> dict[str, list[str]]:
    """Which of these lanes, one in a line, somebody of these teams and skills can answer, and why.

    The same are asked for again and again: what waits changes by the second, its lanes by the hour.
    """
    agent = Agent(0, teams=teams, skills=dict(skills))
    return {
        lane: [ASKED, *able_because(agent, needs)]
        for lane in lanes.split("\n")
        if can_answer(agent, needs := needs_of_lane(lane))
    }


def _newest() -> Select[int, str]:
    return (
        select(PolicyVersion.id, PolicyVersion.digest)
        .join(PolicyActivation, PolicyActivation.version_id == PolicyVersion.id)
        .order_by(PolicyActivation.id.desc())
        .limit(at_most(1))
    )


def _owned_by_asker(which: Select[Any], **returned: ColumnElement[Any]) -> Update:
    """As `owning.claim` wants it."""
    now = bindparam("now", type_=UtcDateTime)
    return (
        update(Base.metadata.tables["conversations"])
        .where(Conversation.id == which.scalar_subquery(), Conversation.owner_id.is_(None))
        .values(owner_id=bindparam("user_id"), owned_since=now, updated_at=now, held_until=None)
        .returning(Conversation.id, *(column.label(name) for name, column in returned.items()))
    )


def _earliest_free(found: Select[int] | CompoundSelect[int], *still: ColumnElement[bool]) -> Select[int]:
    """The earliest of these that nobody has, nor holds at the moment.

    They are found without a lock, by an index that holds what nobody has: with one PostgreSQL would as soon
    walk the queue, past all that somebody has in hand. So what they were found by is looked at anew.
    """
    return (
        select(Conversation.id)
        .where(Conversation.id.in_(found), NOBODYS, *still)
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(at_most(1))
        .with_for_update(skip_locked=True, of=Conversation)
    )


@lru_cache(maxsize=2 * len(DEPTHS))
def _claim_of_all(depth: int, *, changing: bool) -> Update:
    """The earliest of all; unless `changing`, only where the version that rules has placed everything."""
    found = (
        select(Conversation.id)
        .where(NOBODYS)
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(at_most(depth))
        .subquery()
    )
    statement = _owned_by_asker(
        _earliest_free(select(found.c.id)), lane=literal_column("''"), knows=false(), version_id=_VERSION
    ).where(bindparam("digest") == _DIGEST)
    return statement if changing else statement.where(not_(_is_changing(_VERSION)))


@lru_cache(maxsize=2 * len(DEPTHS))
def _claim_of_lanes(depth: int, *, is_sqlite: bool) -> Update:
    """The earliest of `lanes`, and of what is kept for who asks, that they have not refused lately."""
    kept = (
        select(Conversation.id)
        .where(HELD, Conversation.known_by_id == bindparam("user_id"))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(at_most(depth))
        .subquery()
    )
    waiting, lane = earliest_ids(depth, is_sqlite=is_sqlite).subquery(), rows_of("lanes")
    refused = select(Assignment.conversation_id).where(
        REFUSED,
        Assignment.ended_at > bindparam("since", type_=UtcDateTime),
        Assignment.user_id == bindparam("user_id"),
    )
    return _owned_by_asker(
        _earliest_free(
            union_all(select(waiting.c.id), select(kept.c.id)),
            Conversation.id.not_in(refused),
            # Counted after the lock on who asks was got.
            Conversation.load <= bindparam("capacity") - in_hand().scalar_subquery(),
            Conversation.lane.in_(select(lane.c.value)),
            Conversation.policy_version_id == bindparam("version_id"),
            or_(Conversation.held_until.is_(None), Conversation.known_by_id == bindparam("user_id")),
        ),
        lane=Base.metadata.tables["conversations"].c.lane,
        knows=Conversation.known_by_id == bindparam("user_id"),
        version_id=bindparam("version_id", type_=Integer),
    )


def _lanes() -> Select[Any]:
    """The lanes in which somebody waits, and those of what is kept for who asks, one in a line."""
    waiting = lanes_waiting().subquery()
    kept = select(Conversation.lane).where(HELD, Conversation.known_by_id == bindparam("user_id"))
    both = union_all(select(waiting.c.lane), kept).subquery()
    return select(func.aggregate_strings(both.c.lane, "\n"))


def _is_changing(ruling: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether something that is owed was placed by another version than the one that rules."""
    return or_(*(func.coalesce(end.scalar_subquery(), ruling) != ruling for end in (LOWEST, HIGHEST)))


# In RETURNING columns stand without their table, so that this names no second one.
_VERSION = (
    select(PolicyActivation.version_id)
    .order_by(PolicyActivation.id.desc())
    .limit(at_most(1))
    .scalar_subquery()
)
_DIGEST = _newest().with_only_columns(PolicyVersion.digest).scalar_subquery()
_RULING = _newest().subquery()
_ASKER = (
    asking()
    .add_columns(
        _RULING.c.digest,
        _RULING.c.id.label("version_id"),
        _is_changing(_RULING.c.id).label("changing"),
        in_hand().scalar_subquery().label("used"),
        _lanes().scalar_subquery().label("lanes"),
    )
    .join_from(User, _RULING, true())
)
