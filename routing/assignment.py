"""Who gets which conversation: what it takes to answer one, who is eligible, and who is chosen.

Pure: the state, the facts, the policy and now in; who gets what and why out. Three invariants hold of what is
given, and the tests check them: it is given once; to an agent who is eligible then; and when nothing
more is given, none is left that an eligible agent has room for. Skills with levels, some of which relax, are
as contact centres know them: Wallace and Whitt (2005), doi:10.1287/msom.1050.0086.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from routing.assignment_rules import NeedsRule
from routing.conditions import Known
from routing.policy import Policy
from routing.targets import known_of
from routing.types import Facts


@dataclass(frozen=True, slots=True)
class Needs:
    """What it takes to answer: a team, skills with their least levels, room for `weight` units."""

    team: str | None = None
    skills: tuple[tuple[str, int], ...] = ()
    weight: int = 1

    @property
    def lane(self) -> str:
        """These needs as a text, the same for the same needs. Those of one lane need the same."""
        return json.dumps([self.weight, self.team, self.skills], separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=4096)
def needs_of_lane(lane: str) -> Needs:
    """The needs that a lane stands for; those of `""` are nobody's in particular."""
    if not lane:
        return Needs()
    weight, team, skills = json.loads(lane)
    return Needs(team, tuple((name, level) for name, level in skills), weight)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a conversation needs at `now`, by which rule ("" where none matches).

    Until `relax_at` it needs `needs`, then `relaxed`. None: they are the same by now.
    """

    rule: str
    needs: Needs
    relaxed: Needs | None = None
    relax_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who answers.

    `capacity` is in units, None where there is no limit, `used` what they have in hand. `online`: seen
    lately, not away, not locked out.
    """

    id: int
    name: str = ""
    online: bool = True
    teams: frozenset[str] = frozenset()
    skills: Mapping[str, int] = field(default_factory=dict)
    capacity: int | None = None
    used: int = 0
    last_assigned_at: datetime | None = None

    @property
    def free(self) -> float:
        """How many units there is room for."""
        return float("inf") if self.capacity is None else self.capacity - self.used


@dataclass(frozen=True, slots=True)
class Unowned:
    """A waiting conversation that nobody has.

    `known_by` is the agent who knows the customer, for whom alone it is kept while `held`. `refused_by` are
    those who declined it or let it pass lately.
    """

    id: int
    needs: Needs
    known_by: int | None = None
    held: bool = False
    refused_by: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Given:
    """A conversation for an agent, and why they got it."""

    conversation_id: int
    agent_id: int
    reasons: tuple[str, ...]


def demand(
    facts: Facts,
    waiting_since: datetime,
    policy: Policy,
    now: datetime,
    *,
    team: str | None = None,
    known: Known | None = None,
) -> Demand:
    """What a conversation needs by the first rule that matches, or by the `team` that it was sent to.

    A team that the policy has no more asks nothing: nobody new could ever be of it. `known` is `known_of`
    these facts, where the caller asks more of them.
    """
    weights = policy.capacity.weights if policy.capacity else {}
    weight = weights.get(facts.channel, weights.get(facts.channel_kind, 1))
    if team in policy.teams:
        return Demand("", Needs(team, (), weight))
    rule = _rule(facts, policy, known)
    if rule is None:
        return Demand("", Needs(None, (), weight))
    relaxed = Needs(rule.team, tuple(sorted(rule.skills.items())), weight)
    relax_at = waiting_since + rule.relax_after
    if not rule.additional_skills or relax_at <= now:
        return Demand(rule.name, relaxed)
    both = {**rule.skills, **rule.additional_skills}
    return Demand(rule.name, Needs(rule.team, tuple(sorted(both.items())), weight), relaxed, relax_at)


def _rule(facts: Facts, policy: Policy, known: Known | None) -> NeedsRule | None:
    rules = policy.assignment.needs
    if rules and known is None:
        known = known_of(facts, policy)
    return next((rule for rule in rules if known and (rule.when is None or rule.when.holds(known))), None)


def can_answer(agent: Agent, needs: Needs) -> bool:
    """Whether an agent is of the team and has the skills, busy or not, here or not."""
    return (needs.team is None or needs.team in agent.teams) and all(
        agent.skills.get(name, 0) >= level for name, level in needs.skills
    )


def is_eligible(agent: Agent, needs: Needs) -> bool:
    """Whether an agent may be given what needs this: online, able, and with room for it."""
    return agent.online and agent.free >= needs.weight and can_answer(agent, needs)


def why_not(agent: Agent, needs: Needs) -> list[str]:
    """Everything that keeps an agent from what needs this; nothing where they are eligible."""
    why = [] if agent.online else ["not online"]
    if needs.team is not None and needs.team not in agent.teams:
        why.append(f"not in team {needs.team}")
    for name, level in needs.skills:
        has = agent.skills.get(name, 0)
        if has < level:
            why.append(f"{name} {has} of {level}" if has else f"no skill {name}")
    if agent.free < needs.weight:
        why.append(f"has {agent.used} of {agent.capacity} units in hand, and this is {needs.weight}")
    return why


def assign(waiting: Iterable[Unowned], agents: Sequence[Agent], choose: str) -> list[Given]:
    """Give out what can be given; `waiting` in the order of `reply_by`.

    The earliest goes first, to the agent who knows the customer if they are eligible, else to the one whom
    `choose` (`most_free`, `least_recent`, `round_robin`) prefers.
    """
    desk = _Desk(agents, choose)
    given = []
    for conversation in waiting:
        if desk.is_full:
            break
        found = desk.give(conversation)
        if found is not None:
            given.append(found)
    return given


class _Desk:
    """The agents while conversations are given out: what each has in hand by now, and whose turn it is."""

    def __init__(self, agents: Sequence[Agent], choose: str) -> None:
        self._agents = {agent.id: agent for agent in agents if agent.online and agent.free >= 1}
        self._everybody = agents
        self._choose = choose
        self._free = {agent.id: agent.free for agent in self._agents.values()}
        longest_ago = sorted(
            agents,
            key=lambda each: (each.last_assigned_at.timestamp() if each.last_assigned_at else 0, each.id),
        )
        self._turn = {
            agent.id: turn if agent.last_assigned_at else 0 for turn, agent in enumerate(longest_ago, start=1)
        }
        self._turns = len(agents)
        self._able: dict[Needs, list[int]] = {}

    @property
    def is_full(self) -> bool:
        """Whether nobody has room for anything."""
        return not self._agents

    def give(self, conversation: Unowned) -> Given | None:
        needs = conversation.needs
        able = self._with_room(needs)
        if conversation.refused_by:
            able = [agent for agent in able if agent not in conversation.refused_by]
        if conversation.known_by in able:
            return self._hand(conversation, conversation.known_by, "knows the customer")
        if conversation.held or not able:
            return None
        chosen, why = self._pick(needs, able)
        return self._hand(conversation, chosen, why)

    def _with_room(self, needs: Needs) -> list[int]:
        able = self._able.get(needs)
        if able is None:
            able = [agent.id for agent in self._agents.values() if can_answer(agent, needs)]
        # Room only shrinks here: who has none now has none later.
        able = [agent for agent in able if self._free.get(agent, 0) >= needs.weight]
        self._able[needs] = able
        return able

    def _pick(self, needs: Needs, able: Collection[int]) -> tuple[int, str]:
        if self._choose == "least_recent":
            return min(able, key=lambda each: (self._turn[each], each)), "was given nothing for longest"
        if self._choose == "round_robin":
            ring = [agent.id for agent in self._everybody if can_answer(agent, needs)]
            last = max(ring, key=lambda each: self._turn[each])
            after = last if self._turn[last] else 0
            return min(able, key=lambda each: (each <= after, each)), "is next in turn"
        chosen = min(able, key=lambda each: (-self._free[each], self._turn[each], each))
        free, capacity = self._free[chosen], self._agents[chosen].capacity
        room = "no limit" if capacity is None else f"{free:g} of {capacity} units free"
        return chosen, f"has most room: {room}"

    def _hand(self, conversation: Unowned, agent_id: int, why: str) -> Given:
        needs, agent = conversation.needs, self._agents[agent_id]
        self._turns += 1
        self._turn[agent_id] = self._turns
        self._free[agent_id] -= needs.weight
        if self._free[agent_id] < 1:
            del self._agents[agent_id]
        return Given(conversation.id, agent_id, (*able_because(agent, needs), why))


def able_because(agent: Agent, needs: Needs) -> list[str]:
    """Why an agent may answer what needs this, as a manager reads it."""
    why = [f"in team {needs.team}"] if needs.team is not None else []
    return why + [f"{name} {agent.skills.get(name, 0)} (asked: {level})" for name, level in needs.skills]
