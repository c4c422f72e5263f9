"""What each waiting conversation needs, and where those are that need the same.

A lane is the text of what a conversation needs (`routing.assignment.Needs.lane`), stored with it when it is
placed. There are as many lanes as the policy's rules make, whatever the length of the queue; each is in the
order of `reply_by` in one index. So to find what somebody can answer is to look at the heads of lanes, and no
conversation that they cannot answer is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.agents import load_agents
from hub.assignment.models import REFUSED, Assignment
from hub.conversations.models import Conversation
from hub.database import Base, at_most, rows_of
from hub.policies.service import ActivePolicy
from routing.assignment import can_answer, demand
from routing.conditions import Known
from routing.policy import Policy
from routing.types import Facts

# Databases bound the parts of a union; SQLite's bound is 500.
MOST_ARMS = 100


class Head(NamedTuple):
    """A waiting conversation that nobody has, found at the head of its lane."""

    id: int
    reply_by: datetime
    lane: str
    known_by_id: int | None


def set_lanes(
    session: Session,
    placed: Sequence[tuple[Conversation, Facts, Known]],
    active: ActivePolicy,
    now: datetime,
) -> None:
    """Say of conversations that wait what each needs, and for whom it is kept for a while."""
    policy = active.policy
    if policy.assigns_freely:
        for conversation, *_ in placed:
            _set(conversation, None, "", None, None, 1)
            conversation.known_by_id = conversation.held_until = None
        return
    knowing = _who_know(session, [conversation for conversation, *_ in placed], policy, now)
    for conversation, facts, asked in placed:
        assert conversation.promise is not None
        # Where an update is owed nobody waits, but since the last one time has passed.
        since = conversation.waiting_since or conversation.promise.started_at
        needed = demand(facts, since, policy, now, team=conversation.sent_to_team, known=asked)
        relaxed = needed.relaxed.lane if needed.relaxed else None
        _set(
            conversation,
            needed.rule or None,
            needed.needs.lane,
            relaxed,
            needed.relax_at,
            needed.needs.weight,
        )
        known = policy.assignment.known_customer
        agent = knowing.get(conversation.id)
        conversation.known_by_id = agent.id if agent else None
        conversation.held_until = None
        if known and agent and conversation.owner_id is None and agent.online:
            until = since + known.hold
            if until > now and can_answer(agent, needed.needs):
                conversation.held_until = until


def _set(
    conversation: Conversation,
    rule: str | None,
    lane: str,
    relaxed: str | None,
    relax_at: datetime | None,
    load: int,
) -> None:
    conversation.needs_rule, conversation.lane, conversation.load = rule, lane, load
    conversation.relaxed_lane, conversation.relax_at = relaxed, relax_at


def _who_know(
    session: Session, conversations: Sequence[Conversation], policy: Policy, now: datetime
) -> Mapping[int, Any]:
    """Of each conversation, the agent who had another one with its customer last, and did not refuse it."""
    known = policy.assignment.known_customer
    if known is None:
        return {}
    rows = session.execute(
        select(Conversation.customer_id, Conversation.id, Conversation.owner_id)
        .where(
            Conversation.customer_id.in_({each.customer_id for each in conversations}),
            Conversation.owner_id.is_not(None),
            Conversation.owned_since > now - known.within,
        )
        .order_by(Conversation.owned_since)
    ).all()
    refused = refusals(session, policy, now) if rows else {}
    last: dict[int, int] = {}
    for conversation in conversations:
        for row in rows:
            others = row.customer_id == conversation.customer_id and row.id != conversation.id
            if others and row.owner_id not in refused.get(conversation.id, ()):
                last[conversation.id] = row.owner_id
    agents = {agent.id: agent for agent in load_agents(session, policy, now, ids=set(last.values()))}
    return {key: agents[user_id] for key, user_id in last.items() if user_id in agents}


def refusals(session: Session, policy: Policy, now: datetime) -> dict[int, set[int]]:
    """Who declined a conversation, or let it pass, so lately that they are not asked again: by its id."""
    found: dict[int, set[int]] = {}
    rows = session.execute(
        select(Assignment.conversation_id, Assignment.user_id).where(
            REFUSED,
            Assignment.ended_at > now - policy.assignment.offer_again_after,
        )
    )
    for conversation_id, user_id in rows:
        found.setdefault(conversation_id, set()).add(user_id)
    return found


def pass_lanes(session: Session, policy: Policy, now: datetime) -> int:
    """Relax what is due, and keep nothing longer for somebody who is away; how many conversations changed."""
    relaxed = session.scalars(
        update(Conversation)
        .where(Conversation.id.in_(_locked(relaxing(now))))
        .values(lane=Conversation.relaxed_lane, relaxed_lane=None, relax_at=None)
        .returning(Conversation.id)
        .execution_options(synchronize_session=False)
    ).all()
    freed = session.scalars(
        update(Conversation)
        .where(Conversation.id.in_(_locked(and_(HELD, no_longer_held(policy, now)))))
        .values(held_until=None)
        .returning(Conversation.id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(relaxed) + len(freed)


def relaxing(now: datetime) -> ColumnElement[bool]:
    """What needs less from now on."""
    return Conversation.relax_at <= now


def no_longer_held(policy: Policy, now: datetime) -> ColumnElement[bool]:
    """What is kept for somebody no longer: its time is over, or they are not here."""
    absent = select(User.id).where(
        or_(
            User.away,
            User.disabled_at.is_not(None),
            User.seen_at.is_(None),
            User.seen_at <= now - policy.assignment.away_after,
        )
    )
    return or_(Conversation.held_until <= now, Conversation.known_by_id.in_(absent))


def _locked(which: ColumnElement[bool]) -> Select[int]:
    return select(Conversation.id).where(which).with_for_update(skip_locked=True)


# As the partial indices say it, word for word: a database uses them only where it can see that they fit.
NOBODYS = and_(Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None))
IN_LANE = and_(NOBODYS, Conversation.held_until.is_(None), text("conversations.lane <> ''"))
HELD = and_(NOBODYS, Conversation.held_until.is_not(None))


def lanes_in_use(session: Session) -> list[str]:
    """The lanes in which somebody waits: as many looks into the index as there are lanes."""
    return [lane for (lane,) in session.connection().execute(_LANES)]


def lanes_waiting() -> Select[Any]:
    """The same as a query: a loose index scan, https://wiki.postgresql.org/wiki/Loose_indexscan.

    From behind: at the head of a lane stands what was handed out of it, until PostgreSQL sweeps its index.
    """
    last = Conversation.lane.desc()
    first = select(Conversation.lane).where(IN_LANE).order_by(last).limit(at_most(1))
    found = select(first.scalar_subquery().label("lane")).cte("lanes", recursive=True)
    following = (
        select(Conversation.lane)
        .where(IN_LANE, Conversation.lane < found.c.lane)
        .order_by(last)
        .limit(at_most(1))
        .scalar_subquery()
    )
    found = found.union_all(select(following).where(found.c.lane.is_not(None)))
    return select(found.c.lane).where(found.c.lane.is_not(None))


_LANES = lanes_waiting()


@lru_cache(maxsize=32)
def earliest_ids(depth: int, *, is_sqlite: bool) -> Select[int]:
    """The ids of the `depth` earliest of all `lanes`.

    The same statement however many lanes there are: a long one is read anew each time.
    """
    lane = rows_of("lanes")
    heads = (
        select(Conversation.id, Conversation.reply_by)
        .where(IN_LANE, Conversation.lane == lane.c.value)
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(at_most(depth))
        .correlate(lane)
    )
    each: FromClause
    joined: ColumnElement[bool]
    if is_sqlite:
        # It joins nothing to what depends on another row, but looks for what is in a list that does.
        each = Base.metadata.tables["conversations"].alias()
        joined = each.c.id.in_(heads.with_only_columns(Conversation.id))
    else:
        each, joined = heads.lateral(), true()
    return (
        select(each.c.id)
        .join_from(lane, each, joined)
        .order_by(each.c.reply_by, each.c.id)
        .limit(at_most(depth))
    )


def heads(session: Session, lanes: Mapping[str, int], limit: int) -> list[Head]:
    """The earliest of these lanes, of each as many as it says, and of all together at most `limit`."""
    found: list[Head] = []
    each = list(lanes.items())
    for start in range(0, len(each), MOST_ARMS):
        part = each[start : start + MOST_ARMS]
        values: dict[str, Any] = {f"lane_{n}": lane for n, (lane, _) in enumerate(part)}
        values |= {f"most_{n}": most for n, (_, most) in enumerate(part)}
        rows = session.connection().execute(_heads_of(len(part)), {**values, "most": limit})
        found += [Head(*row) for row in rows]
    return _earliest(found, limit)


def held_heads(session: Session, user_ids: Collection[int], limit: int) -> list[Head]:
    """The earliest of what is kept for these users."""
    rows = session.connection().execute(
        select(Conversation.id, Conversation.reply_by, Conversation.lane, Conversation.known_by_id)
        .where(HELD, Conversation.known_by_id.in_(user_ids))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(limit)
    )
    return [Head(row.id, row.reply_by, row.lane, row.known_by_id) for row in rows if row.reply_by is not None]


def _earliest(found: Iterable[Head], limit: int) -> list[Head]:
    return sorted(found, key=lambda head: (head.reply_by, head.id))[:limit]


@lru_cache(maxsize=MOST_ARMS)
def _heads_of(arms: int) -> Select[Any]:
    """The `most` earliest of so many lanes: of `lane_0` the `most_0`, and so on."""
    every: list[Select[Any]] = []
    for number in range(arms):
        one = (
            select(
                Conversation.id,
                Conversation.reply_by,
                Conversation.lane,
                literal_column("NULL").label("known_by_id"),
            )
            .where(IN_LANE, Conversation.lane == bindparam(f"lane_{number}"))
            .order_by(Conversation.reply_by, Conversation.id)
            .limit(bindparam(f"most_{number}", type_=Integer))
            .subquery()
        )
        every.append(select(one))
    merged = union_all(*every).subquery()
    return select(merged).order_by(merged.c.reply_by, merged.c.id).limit(bindparam("most", type_=Integer))
