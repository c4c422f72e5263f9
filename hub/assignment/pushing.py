"""Handing out without being asked: what has room in agents' hands is found by index and offered at once.

What happens by itself is looked for here too: offers that nobody accepted go back, skills that are no longer
asked for relax, and nothing is kept for somebody who went away. Nothing here walks all conversations: an
offer that ran out, a need that relaxes and the heads of lanes are each found by an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from hub.assignment.absence import take_as_away
from hub.assignment.agents import load_agents, units_in_hand
from hub.assignment.lanes import (
    HELD,
    Head,
    heads,
    held_heads,
    lanes_in_use,
    no_longer_held,
    pass_lanes,
    refusals,
    relaxing,
)
from hub.assignment.owning import RECORD, disown
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.conversations.service import add_activity
from hub.database import Base, UtcDateTime, nudge, take_turns
from hub.policies.service import ActivePolicy, active_policy
from hub.queue.service import is_changing, place_on_sight
from hub.runtime import Hub
from routing.assignment import Agent, Given, Unowned, assign, can_answer, needs_of_lane
from routing.policy import Policy

BATCH = 500


def assign_waiting(hub: Hub) -> int:
    """One round; how many conversations changed hands or needs."""
    now = utcnow()
    with hub.database.reading() as session:
        active = active_policy(session)
        # Under rules without offers too: some are left from the rules before.
        passing = _something_passes(session, active.policy, now)
        giving = active.policy.assignment.mode == "push" and _may_give(session, active, now)
    changed = 0
    if passing:
        with hub.database.session() as session:
            changed += pass_offers(session, now) + pass_lanes(session, active.policy, now)
    if giving or (changed and active.policy.assignment.mode == "push"):
        with hub.database.session() as session:
            changed += hand_out(session, active_policy(session), now)
    return changed


def pass_offers(session: Session, now: datetime) -> int:
    """Take back what was offered and not accepted in time, at its old place; how much.

    Who lets too many pass is set away.
    """
    due = session.scalars(
        select(Conversation)
        .where(Conversation.accept_by <= now)
        .order_by(Conversation.id)
        .limit(BATCH)
        .with_for_update(of=Conversation, skip_locked=True)
    ).all()
    passed: dict[int, Conversation] = {}
    for conversation in due:
        owner = conversation.owner
        disown(session, conversation, now, "not_accepted")
        if owner is not None:
            add_activity(session, conversation, f"{owner.name} did not accept it in time", None, now)
            passed[owner.id] = conversation
    take_as_away(session, passed, now)
    return len(due)


def hand_out(session: Session, active: ActivePolicy, now: datetime) -> int:
    """Offer what can be offered, the earliest `reply_by` first; how much. One transaction at a time does it.

    Agents with room are locked, so that what they have in hand is what is counted; conversations that
    somebody else holds are passed over, and whoever holds them asks for another round. So does a change of
    the policy that is on its way: what stands first is placed by it, and counts as done.
    """
    take_turns(session, "assign")
    policy = active.policy
    agents = _lock_agents(session, policy, now)
    if not any(agent.online and agent.free >= 1 for agent in agents):
        return 0
    placed = place_on_sight(session, active, now)
    refused = refusals(session, policy, now)
    given = 0
    while with_room := [agent for agent in agents if agent.online and agent.free >= 1]:
        found = _reachable(session, with_room, len(refused))
        waiting = _lock(session, found, refused, active.version_id)
        decided = assign(waiting, agents, policy.assignment.choose)
        if not decided:
            break
        _store(session, decided, {each.id: each.needs.lane for each in waiting}, active, now)
        given += len(decided)
        agents = _counted_anew(session, agents, decided, now)
    if given:
        nudge(session, "plan")
    return placed + given


def _lock_agents(session: Session, policy: Policy, now: datetime) -> list[Agent]:
    """Who is online, those with room locked. The others get nothing, but it may have been their turn."""
    everybody = load_agents(session, policy, now)
    with_room = [agent.id for agent in everybody if agent.free >= 1]
    locked = load_agents(session, policy, now, ids=with_room, lock=True)
    return [*locked, *(replace(each, online=False) for each in everybody if each.free < 1)]


def _counted_anew(
    session: Session, agents: Sequence[Agent], decided: Sequence[Given], now: datetime
) -> list[Agent]:
    used = units_in_hand(session, [agent.id for agent in agents])
    given = {each.agent_id for each in decided}
    return [
        replace(
            agent,
            used=used.get(agent.id, 0),
            last_assigned_at=now if agent.id in given else agent.last_assigned_at,
        )
        for agent in agents
    ]


def _something_passes(session: Session, policy: Policy, now: datetime) -> bool:
    looks = (
        select(Conversation.id).where(Conversation.accept_by <= now),
        select(Conversation.id).where(relaxing(now)),
        select(Conversation.id).where(HELD, no_longer_held(policy, now)),
    )
    return any(session.scalar(look.limit(1)) is not None for look in looks)


def _may_give(session: Session, active: ActivePolicy, now: datetime) -> bool:
    """Whether somebody has room for something that waits, or might have; decided without taking any lock."""
    agents = [agent for agent in load_agents(session, active.policy, now) if agent.free >= 1]
    if not agents:
        return False
    return bool(_reachable(session, agents, 0, one_each=True)) or is_changing(session, active.version_id)


def _reachable(
    session: Session, agents: Sequence[Agent], refused: int, *, one_each: bool = False
) -> list[Head]:
    """The earliest that these agents have room for: of each lane no more than they could take."""
    lanes: dict[str, int] = {}
    for lane in lanes_in_use(session):
        needs = needs_of_lane(lane)
        rooms = [agent.free // needs.weight for agent in agents if can_answer(agent, needs)]
        if most := sum(room for room in rooms if room >= 1):
            lanes[lane] = 1 if one_each else int(min(most, BATCH)) + refused
    found = heads(session, lanes, 1 if one_each else BATCH + refused)
    able = {agent.id: agent for agent in agents}
    for head in held_heads(session, list(able), BATCH):
        needs = needs_of_lane(head.lane)
        keeper = able[head.known_by_id or 0]
        if keeper.free >= needs.weight and can_answer(keeper, needs):
            found.append(head)
    return found


def _lock(
    session: Session, found: Sequence[Head], refused: dict[int, set[int]], version_id: int
) -> list[Unowned]:
    """Those that this version of the policy placed and nobody else holds, as they are now, in the order of
    `reply_by`."""
    rows = session.execute(
        select(
            Conversation.id,
            Conversation.lane,
            Conversation.known_by_id,
            Conversation.held_until,
        )
        .where(
            Conversation.id.in_([head.id for head in found]),
            Conversation.reply_by.is_not(None),
            Conversation.owner_id.is_(None),
            Conversation.policy_version_id == version_id,
        )
        .order_by(Conversation.reply_by, Conversation.id)
        .with_for_update(of=Conversation, skip_locked=True)
    )
    return [
        Unowned(
            row.id,
            needs_of_lane(row.lane),
            row.known_by_id,
            row.held_until is not None,
            frozenset(refused.get(row.id, ())),
        )
        for row in rows
    ]


def _store(
    session: Session,
    decided: Sequence[Given],
    lanes: Mapping[int, str],
    active: ActivePolicy,
    now: datetime,
) -> None:
    within = active.policy.assignment.accept_within
    accept_by = None if within is None else now + within
    session.connection().execute(
        _GIVE,
        [
            {"given_id": each.conversation_id, "agent_id": each.agent_id, "now": now, "accept_by": accept_by}
            for each in sorted(decided, key=lambda each: each.conversation_id)
        ],
    )
    session.connection().execute(
        RECORD,
        [
            {
                "conversation_id": each.conversation_id,
                "user_id": each.agent_id,
                "how": "push",
                "lane": lanes[each.conversation_id],
                "reasons": list(each.reasons),
                "policy_version_id": active.version_id,
                "assigned_at": now,
                "accept_by": accept_by,
                "accepted_at": None if accept_by else now,
            }
            for each in decided
        ],
    )


_CONVERSATIONS = Base.metadata.tables["conversations"]
_NOW = bindparam("now", type_=UtcDateTime)
_GIVE = (
    update(_CONVERSATIONS)
    .where(_CONVERSATIONS.c.id == bindparam("given_id"))
    .values(
        owner_id=bindparam("agent_id"),
        owned_since=_NOW,
        updated_at=_NOW,
        held_until=None,
        accept_by=bindparam("accept_by", type_=UtcDateTime),
    )
)
