"""Who is eligible, who is chosen, and the invariants of what is given out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routing.assignment import (
    Agent,
    Demand,
    Given,
    Needs,
    Unowned,
    assign,
    can_answer,
    demand,
    is_eligible,
    needs_of_lane,
    why_not,
)
from routing.policy import DEFAULT_POLICY, PolicyError, read_policy
from routing.types import Facts

NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = """
teams: [service, social]
skills: [french, returns]
capacity:
  default: 4
  weights: {mail: 2, vip: 3}
assignment:
  mode: push
  choose: round_robin
  known_customer: {}
  needs:
    - name: French mail
      when: 'language == "fr" && channel.kind == "mail"'
      team: service
      skills: {returns: 2}
      additional_skills: {french: 3, returns: 4}
      relax_after: 5m
    - name: Social
      when: 'channel.kind == "social"'
      team: social
"""


def policy(rules: str = RULES) -> str:
    """The built-in policy with other rules of assignment."""
    before, rest = DEFAULT_POLICY.split("assignment:\n")
    return f"{before}{rules}\nsecond_promise:{rest.split('second_promise:')[1]}"


def facts(kind: str = "mail", channel: str = "post") -> Facts:
    return Facts(channel=channel, channel_kind=kind, metric="first_reply_time")


@pytest.mark.parametrize(
    ("asked", "since", "team", "expected"),
    [
        (facts("ticket"), 0, None, Demand("", Needs())),
        (facts("ticket", "vip"), 0, None, Demand("", Needs(weight=3))),
        (facts("social"), 0, None, Demand("Social", Needs("social"))),
        (facts("mail"), 0, None, Demand("", Needs(weight=2))),
        (facts("social"), 0, "service", Demand("", Needs("service"))),
        # They were sent to a team that the policy has no more.
        (facts("social"), 0, "weekend", Demand("Social", Needs("social"))),
    ],
)
def test_the_first_rule_that_matches_says_what_is_needed(
    asked: Facts, since: float, team: str | None, expected: Demand
) -> None:
    assert demand(asked, NOW - since * MINUTE, read_policy(policy()), NOW, team=team) == expected


def test_additional_skills_relax() -> None:
    rules = read_policy(policy(RULES.replace("language ==", 'language == "" || language ==')))
    asked, relaxed = facts("mail"), Needs("service", (("returns", 2),), 2)
    full = Needs("service", (("french", 3), ("returns", 4)), 2)
    first = demand(asked, NOW, rules, NOW)
    assert first == Demand("French mail", full, relaxed, NOW + 5 * MINUTE)
    assert demand(asked, NOW, rules, NOW + 5 * MINUTE) == Demand("French mail", relaxed)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("teams: [service, social]", "teams: [service]"), "needs[1].team", "no such team: 'social'"),
        (("[french, returns]", "[french]"), "needs[0].skills.returns", "no such skill"),
        (("teams: [service, social]", "teams: [service, social, social]"), "teams[2]", "given twice"),
        (("french: 3, returns: 4", "returns: 2"), "additional_skills.returns", "adds nothing"),
        (("vip: 3", "vip: 5"), "capacity.weights.vip", "more than an agent can hold (4)"),
        (("name: Social", "name: French mail"), "needs[1].name", "already the name"),
        (("french: 3", "french: 6"), "additional_skills.french", "is more than 5, the most"),
        (
            ("""      when: 'language == "fr" && channel.kind == "mail"'\n""", ""),
            "assignment.needs[0]",
            "no rule after it is ever used",
        ),
        (
            ('channel.kind == "social"', 'customer.tier == "platinm"'),
            "needs[1].when",
            "did you mean platinum",
        ),
    ],
)
def test_rules_that_do_not_fit_together(change: tuple[str, str], line: str, message: str) -> None:
    assert change[0] in RULES
    with pytest.raises(PolicyError) as error:
        read_policy(policy(RULES.replace(*change)))
    assert line in str(error.value)
    assert message in str(error.value)


def test_push_needs_a_capacity() -> None:
    with pytest.raises(PolicyError, match=r"assignment\.mode: push needs capacity"):
        read_policy(policy("assignment: {mode: push}"))


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ("away_after: 30m, release_after: 5m", r"line \d+: .*release_after: 5m .* away_after, 30m$"),
        # 15m where it is not given.
        ("away_after: 2h", r"release_after: 15m .* away_after, 2h$"),
        ("away_after: 15m, release_after: 15m", None),
    ],
)
def test_nothing_goes_back_while_its_owner_counts_as_here(times: str, told: str | None) -> None:
    text = policy(f"assignment: {{{times}}}")
    if told is None:
        assert read_policy(text).assignment.release_after == 15 * MINUTE
        return
    with pytest.raises(PolicyError, match=told):
        read_policy(text)


def test_the_built_in_policy_lets_everybody_take_everything() -> None:
    assert read_policy(DEFAULT_POLICY).assigns_freely
    assert not read_policy(policy()).assigns_freely
    assert demand(facts(), NOW, read_policy(DEFAULT_POLICY), NOW) == Demand("", Needs())


@given(
    st.none() | st.text(max_size=40),
    st.dictionaries(st.text(max_size=40), st.integers(1, 5), max_size=8),
    st.integers(1, 1000),
)
def test_a_lane_is_its_needs(team: str | None, skills: dict[str, int], weight: int) -> None:
    needs = Needs(team, tuple(sorted(skills.items())), weight)
    assert needs_of_lane(needs.lane) == needs


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        (Agent(1, teams=frozenset({"service"}), skills={"french": 2}, capacity=4, used=2), []),
        (Agent(1, teams=frozenset({"service"}), skills={"french": 5}), []),
        (Agent(1, online=False, teams=frozenset({"service"}), skills={"french": 2}), ["not online"]),
        (Agent(1, skills={"french": 2}), ["not in team service"]),
        (Agent(1, teams=frozenset({"service"})), ["no skill french"]),
        (Agent(1, teams=frozenset({"service"}), skills={"french": 1}), ["french 1 of 2"]),
        (
            Agent(1, teams=frozenset({"service"}), skills={"french": 2}, capacity=4, used=3),
            ["has 3 of 4 units in hand, and this is 2"],
        ),
    ],
)
def test_who_is_not_eligible_and_why(agent: Agent, why: list[str]) -> None:
    needs = Needs("service", (("french", 2),), 2)
    assert why_not(agent, needs) == why
    assert is_eligible(agent, needs) == (not why)


def given_to(choose: str, *agents: Agent, count: int = 4) -> list[int]:
    waiting = [Unowned(number, Needs()) for number in range(count)]
    return [each.agent_id for each in assign(waiting, agents, choose)]


def test_most_room_first_then_who_was_given_nothing_for_longest() -> None:
    one, two = Agent(1, capacity=3), Agent(2, capacity=4, used=1, last_assigned_at=NOW)
    assert given_to("most_free", one, two, count=7) == [1, 2, 1, 2, 1, 2]
    reasons = assign([Unowned(1, Needs())], [one], "most_free")[0].reasons
    assert reasons == ("has most room: 3 of 3 units free",)


def test_least_recently_assigned() -> None:
    agents = [
        Agent(1, capacity=2, last_assigned_at=NOW),
        Agent(2, capacity=2, last_assigned_at=NOW - MINUTE),
        Agent(3, capacity=2),
    ]
    assert given_to("least_recent", *agents, count=6) == [3, 2, 1, 3, 2, 1]


def test_round_robin_goes_on_after_who_was_last_even_where_they_are_away() -> None:
    one, two, three = (Agent(number, capacity=9) for number in (1, 2, 3))
    last = replace(two, last_assigned_at=NOW, online=False)
    assert given_to("round_robin", one, last, three) == [3, 1, 3, 1]
    assert given_to("round_robin", one, two, three) == [1, 2, 3, 1]


def test_who_knows_the_customer_comes_first_and_is_waited_for() -> None:
    free, known = Agent(1, capacity=9), Agent(2, capacity=1)
    waiting = [Unowned(number, Needs(), known_by=2, held=True) for number in (1, 2)]
    assert assign(waiting, [free, known], "most_free") == [Given(1, 2, ("knows the customer",))]
    no_longer = [replace(each, held=False) for each in waiting]
    assert [each.agent_id for each in assign(no_longer, [free, known], "most_free")] == [2, 1]


def test_who_refused_is_not_asked_again() -> None:
    waiting = [Unowned(1, Needs(), refused_by=frozenset({1})), Unowned(2, Needs())]
    assert [each.conversation_id for each in assign(waiting, [Agent(1, capacity=9)], "most_free")] == [2]
    assert [each.agent_id for each in assign(waiting, [Agent(1), Agent(2)], "least_recent")] == [2, 1]


def test_what_is_too_heavy_does_not_hold_up_what_is_not() -> None:
    waiting = [Unowned(1, Needs(weight=3)), Unowned(2, Needs(weight=1))]
    given_out = assign(waiting, [Agent(1, capacity=4, used=2)], "most_free")
    assert [each.conversation_id for each in given_out] == [2]


NEEDS = st.builds(
    Needs,
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([(), (("x", 1),), (("x", 3),), (("x", 2), ("y", 1))]),
    st.integers(1, 3),
)
AGENTS = st.builds(
    lambda number, online, teams, skills, capacity, used, ago: Agent(
        number,
        "",
        online,
        frozenset(teams),
        skills,
        capacity,
        min(used, capacity),
        NOW - ago * MINUTE if ago else None,
    ),
    st.integers(1, 10**6),
    st.booleans(),
    st.sets(st.sampled_from("ab")),
    st.dictionaries(st.sampled_from("xy"), st.integers(1, 5)),
    st.integers(1, 6),
    st.integers(0, 6),
    st.integers(0, 9),
)
CHOICES = st.sampled_from(["most_free", "least_recent", "round_robin"])


def check(waiting: list[Unowned], agents: list[Agent], given_out: list[Given]) -> None:
    """The three invariants, replayed one conversation at a time."""
    by_id = {agent.id: agent for agent in agents}
    conversations = {each.id: each for each in waiting}
    assert len({each.conversation_id for each in given_out}) == len(given_out)
    for each in given_out:
        conversation, agent = conversations.pop(each.conversation_id), by_id[each.agent_id]
        assert is_eligible(agent, conversation.needs)
        assert agent.id not in conversation.refused_by
        assert not conversation.held or agent.id == conversation.known_by
        by_id[agent.id] = replace(agent, used=agent.used + conversation.needs.weight)
    for conversation in conversations.values():
        free = {agent.id for agent in by_id.values() if is_eligible(agent, conversation.needs)}
        free -= conversation.refused_by
        assert not (free & {conversation.known_by} if conversation.held else free)


@settings(max_examples=200)
@given(st.data(), st.lists(AGENTS, max_size=8, unique_by=lambda each: each.id), CHOICES)
def test_the_invariants_hold_of_every_state(data: st.DataObject, agents: list[Agent], choose: str) -> None:
    ids = st.sampled_from([agent.id for agent in agents] or [0])
    unowned = st.builds(Unowned, st.integers(), NEEDS, ids | st.none(), st.booleans(), st.frozensets(ids))
    waiting = data.draw(st.lists(unowned, max_size=20, unique_by=lambda each: each.id))
    check(waiting, agents, assign(waiting, agents, choose))


class Floor(RuleBasedStateMachine):
    """A floor of agents through a day: what is given out keeps the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[int, Unowned] = {}
        self.owned: dict[int, tuple[Unowned, int]] = {}
        self.agents: dict[int, Agent] = {}
        self.numbers = iter(range(1, 10**6))
        self.now = NOW

    def in_hand(self, agent_id: int) -> int:
        return sum(each.needs.weight for each, owner in self.owned.values() if owner == agent_id)

    @rule(needs=NEEDS, held=st.booleans(), known=st.integers(1, 5))
    def arrives(self, needs: Needs, held: bool, known: int) -> None:
        number = next(self.numbers)
        held = held and known in self.agents and self.agents[known].online
        self.waiting[number] = Unowned(number, needs, known, held)

    @rule(number=st.integers(1, 5), agent=AGENTS)
    def changes(self, number: int, agent: Agent) -> None:
        """Somebody signs in, goes away, learns or is moved; what they have stays theirs."""
        self.agents[number] = replace(agent, id=number, used=0, online=True)

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.agents)))
        self.agents[number] = replace(self.agents[number], online=False)
        for each, owner in list(self.owned.values()):
            if owner == number:
                self.waiting[each.id] = self.owned.pop(each.id)[0]
        for each in list(self.waiting.values()):
            if each.held and each.known_by == number:
                self.waiting[each.id] = replace(each, held=False)

    @precondition(lambda self: self.owned)
    @rule(data=st.data(), how=st.sampled_from(["answered", "declined"]))
    def ends(self, data: st.DataObject, how: str) -> None:
        each, owner = self.owned.pop(data.draw(st.sampled_from(sorted(self.owned))))
        if how == "declined":
            self.waiting[each.id] = replace(each, held=False, refused_by=each.refused_by | {owner})

    @rule()
    def time_passes(self) -> None:
        self.now += MINUTE
        for each in self.waiting.values():
            self.waiting[each.id] = replace(each, held=False, refused_by=frozenset())

    @rule(choose=CHOICES)
    def given_out(self, choose: str) -> None:
        agents = [replace(agent, used=self.in_hand(agent.id)) for agent in self.agents.values()]
        waiting = sorted(self.waiting.values(), key=lambda each: each.id)
        given_out = assign(waiting, agents, choose)
        check(waiting, agents, given_out)
        for each in given_out:
            self.owned[each.conversation_id] = (self.waiting.pop(each.conversation_id), each.agent_id)
            self.agents[each.agent_id] = replace(self.agents[each.agent_id], last_assigned_at=self.now)

    @invariant()
    def nobody_twice_and_nobody_who_cannot(self) -> None:
        assert not self.waiting.keys() & self.owned.keys()
        for _, owner in self.owned.values():
            assert self.agents[owner].online


TestFloor = Floor.TestCase
TestFloor.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_ten_thousand_waiting_and_two_hundred_agents_are_given_out_quickly() -> None:
    """Only what there is room for is looked at: an able agent is found without asking everybody each time."""
    teams = ("a", "b")
    agents = [Agent(n, teams=frozenset({teams[n % 2]}), skills={"x": n % 6}, capacity=5) for n in range(200)]
    waiting = [Unowned(n, Needs(teams[n % 2], (("x", n % 5 + 1),))) for n in range(10_000)]
    given_out = assign(waiting, agents, "most_free")
    able = sum(1 for agent in agents if any(can_answer(agent, each.needs) for each in waiting[:10]))
    assert len(given_out) == able * 5
    check(waiting[:2000], agents, assign(waiting[:2000], agents, "round_robin"))
