"""Where not everybody can answer everything: who answers whom, what relaxes, and what nobody is there for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.assignment import Needs
from routing.handling import Handling
from routing.plan import plan
from routing.replay.desk import desk_of
from routing.replay.disciplines import (
    PlannedQueue,
    accumulating,
    earliest_deadline,
    first_come,
    planned,
    strict_levels,
)
from routing.replay.generate import generate
from routing.replay.jobs import Abilities, Demanded, Jobs, Staffing
from routing.replay.simulator import Discipline, Outcome, simulate

FRENCH, GERMAN = Needs(skills=(("french", 2),)), Needs(skills=(("german", 3),))
ANYTHING = Demanded("", Needs())
NEED_FRENCH, NEED_GERMAN = Demanded("French", FRENCH), Demanded("German", GERMAN)
AT_FIRST_GERMAN = Demanded("At first", GERMAN, Needs(), 60.0)
DEMANDS = (ANYTHING, NEED_FRENCH, NEED_GERMAN, AT_FIRST_GERMAN)
NOBODY_CAN = Demanded("Latin", Needs(skills=(("latin", 1),)))


def speaks(**skills: int) -> Abilities:
    return Abilities(frozenset(), tuple(sorted(skills.items())))


DISCIPLINES: dict[str, Discipline] = {
    "first come": first_come,
    "strict": strict_levels,
    "deadline": earliest_deadline,
    "accumulating": accumulating((3.0, 1.0)),
    "plan": planned(plan, handling=Handling(default=timedelta(minutes=5))),
}


def jobs_of(*rows: tuple[float, float, int, Demanded]) -> Jobs:
    """Jobs from (arrival, handling time, level, what it needs)."""
    ordered = sorted(rows, key=lambda row: row[:3])
    at, handle, level = [row[0] for row in ordered], [row[1] for row in ordered], [row[2] for row in ordered]
    due = [a + (600.0, 3600.0)[k] for a, k in zip(at, level, strict=True)]
    second = [2 * d - a for a, d in zip(at, due, strict=True)]
    weight = [(8.0, 1.0)[k] for k in level]
    demands = tuple(dict.fromkeys(row[3] for row in ordered))
    demand = [demands.index(row[3]) for row in ordered]
    work = [300] * len(at)
    return Jobs(at, handle, due, second, weight, work, level, weight, demand=demand, demands=demands)


def team(*groups: tuple[Abilities, int]) -> Staffing:
    return Staffing.of_groups((abilities, Staffing.constant(agents)) for abilities, agents in groups)


def times(outcome: Outcome) -> tuple[Sequence[float], Sequence[float], int]:
    queue = outcome.queue
    return outcome.started, outcome.answered, queue.changes if isinstance(queue, PlannedQueue) else 0


ROW = st.tuples(st.floats(0, 3000), st.floats(1, 900), st.integers(0, 1), st.sampled_from(DEMANDS))
SHIFT = st.tuples(
    st.floats(0, 3000), st.floats(1, 5000), st.integers(1, 2), st.sampled_from(["", "french", "german"])
)


def shifts_of(rows: Sequence[tuple[float, float, int, str]]) -> Staffing:
    return Staffing.of_groups(
        (speaks(**({skill: 3} if skill else {})), Staffing.of_shifts([(begin, begin + length, agents)]))
        for begin, length, agents, skill in rows
    )


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=30),
    shifts=st.lists(SHIFT, min_size=1, max_size=4),
    name=st.sampled_from(sorted(DISCIPLINES)),
)
def test_everybody_able_is_as_if_there_were_no_skills(
    rows: list[tuple[float, float, int, Demanded]], shifts: list[tuple[float, float, int, str]], name: str
) -> None:
    """To the last bit, in every order: also where lanes are kept apart for what never comes."""
    jobs = jobs_of(*rows)
    plain = replace(jobs, demand=(), demands=())
    everything = Abilities(None, (("french", 5), ("german", 5)))
    spans = [(begin, begin + length, agents) for begin, length, agents, _ in shifts]
    able = Staffing.of_groups([(everything, Staffing.of_shifts([span])) for span in spans])
    without = Staffing.of_shifts(spans)
    assert (able.times, able.counts) == (without.times, without.counts)
    expected = times(simulate(plain, without, DISCIPLINES[name]))
    assert times(simulate(jobs, able, DISCIPLINES[name])) == expected
    apart = replace(jobs, demands=(*jobs.demands, NOBODY_CAN))
    assert desk_of(apart, able) is not None
    assert times(simulate(apart, able, DISCIPLINES[name])) == expected


def test_lanes_change_nothing_of_a_busy_plan() -> None:
    """Hundreds who wait, promises that give way, and handling times that are learnt."""
    jobs = generate(1.1, seed=2, agents=4, days=0.5).jobs(1.0)
    apart = replace(jobs, demand=[0] * len(jobs), demands=(ANYTHING, NOBODY_CAN))
    for discipline in (strict_levels, DISCIPLINES["plan"]):
        plain = simulate(jobs, Staffing.constant(4), discipline)
        assert times(simulate(apart, team((speaks(), 4)), discipline)) == times(plain)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=30),
    shifts=st.lists(SHIFT, min_size=1, max_size=4),
    name=st.sampled_from(sorted(DISCIPLINES)),
)
def test_only_who_can_answers_and_nobody_who_can_is_idle(
    rows: list[tuple[float, float, int, Demanded]], shifts: list[tuple[float, float, int, str]], name: str
) -> None:
    jobs, staffing = jobs_of(*rows), shifts_of(shifts)
    outcome = simulate(jobs, staffing, DISCIPLINES[name])
    desk = outcome.desk
    if desk is None:
        return
    lane_at = []
    for job, demand in enumerate(jobs.demand):
        relaxes = jobs.at[job] + jobs.demands[demand].relax_seconds
        lane_at.append((relaxes, desk.lanes[demand], desk.relaxed[demand]))
        started, answered = outcome.started[job], outcome.answered[job]
        assert started >= jobs.at[job]
        assert answered == started + jobs.handle[job]
        if answered < math.inf:
            assert _lane(lane_at[job], started) in desk.kinds[outcome.kind[job]].lanes
    moments = {*outcome.started, *outcome.answered, *jobs.at, *staffing.times, *(r for r, _, _ in lane_at)}
    for moment in moments - {math.inf}:
        waiting = {
            _lane(lane_at[job], moment)
            for job in range(len(jobs))
            if jobs.at[job] <= moment < outcome.started[job]
        }
        for number, kind in enumerate(desk.kinds):
            mine = [job for job in range(len(jobs)) if outcome.kind[job] == number]
            busy = sum(outcome.started[job] <= moment < outcome.answered[job] for job in mine)
            on_duty = kind.staffing.at(moment)
            if busy < on_duty:
                assert not waiting & set(kind.lanes)
            assert busy <= on_duty or all(outcome.started[job] != moment for job in mine)


def _lane(at: tuple[float, int, int], moment: float) -> int:
    return at[1] if moment < at[0] else at[2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Until 100 both are busy; then the German takes the first of all, the other the first that they can.
        ("first come", [0, 0, 100, 100, 200]),
        # The German takes the first of the better level, which leaves the other nothing.
        ("strict", [0, 0, 400, 100, 200]),
        ("plan", [0, 0, 400, 100, 200]),
    ],
)
def test_the_first_that_they_can_answer(name: str, expected: list[float]) -> None:
    jobs = jobs_of(
        (0, 100, 0, NEED_GERMAN),
        (0, 100, 1, ANYTHING),
        (1, 100, 1, NEED_GERMAN),
        (2, 100, 0, ANYTHING),
        (3, 200, 0, NEED_GERMAN),
    )
    outcome = simulate(jobs, team((speaks(german=3), 1), (speaks(german=2), 1)), DISCIPLINES[name])
    assert outcome.started == expected


def test_who_was_free_for_longest_asks_first() -> None:
    jobs = jobs_of((0, 10, 0, NEED_GERMAN), (100, 50, 0, ANYTHING), (101, 50, 0, NEED_GERMAN))
    staffing = team((speaks(), 1), (speaks(german=3), 1))
    outcome = simulate(jobs, staffing, first_come)
    # The German answered last, so that the other takes what anybody can.
    assert outcome.started == [0, 100, 101]
    assert outcome.desk is not None
    assert [outcome.desk.kinds[kind].abilities for kind in outcome.kind] == [
        (speaks(german=3),),
        (speaks(),),
        (speaks(german=3),),
    ]


def test_additional_skills_relax_while_it_waits_and_keep_its_place() -> None:
    jobs = jobs_of((0, 500, 1, NEED_GERMAN), (1, 10, 1, AT_FIRST_GERMAN), (2, 100, 1, ANYTHING))
    staffing = team((speaks(german=3), 1), (speaks(), 1))
    for name in ("first come", "plan"):
        outcome = simulate(jobs, staffing, DISCIPLINES[name])
        # At 61 the other agent is busy until 102; nobody else came meanwhile.
        assert outcome.started == [0, 102, 2]
    late = jobs_of((0, 500, 1, NEED_GERMAN), (1, 10, 1, AT_FIRST_GERMAN), (70, 100, 1, ANYTHING))
    assert simulate(late, staffing, first_come).started == [0, 61, 71]


@pytest.mark.parametrize(
    ("abilities", "needs", "can"),
    [
        (Abilities(), Needs("service", (("german", 5),), 9), True),
        (Abilities(frozenset(), (), None), Needs(), True),
        (Abilities(frozenset(["service"]), None), Needs("service", (("german", 5),)), True),
        (Abilities(frozenset(["social"]), None), Needs("service"), False),
        (Abilities(None, (("german", 2),)), Needs("service", (("german", 2),)), True),
        (Abilities(None, (("german", 2),)), Needs("service", (("german", 3),)), False),
        (Abilities(None, (("german", 2),)), Needs(skills=(("french", 1),)), False),
        (Abilities(capacity=1), Needs(weight=2), False),
        (Abilities(capacity=2), Needs(weight=2), True),
    ],
)
def test_who_can(abilities: Abilities, needs: Needs, can: bool) -> None:
    assert abilities.can(needs) is can


def test_agents_are_told_apart_only_where_it_matters() -> None:
    jobs = jobs_of((0, 10, 0, ANYTHING), (0, 10, 0, NEED_GERMAN))
    staffing = team((speaks(german=3), 2), (speaks(german=4, french=1), 1), (speaks(french=5), 3))
    desk = desk_of(jobs, staffing)
    assert desk is not None
    assert [(len(kind.abilities), kind.staffing.counts, len(kind.lanes)) for kind in desk.kinds] == [
        (2, (3,), 2),
        (1, (3,), 1),
    ]
    assert desk_of(jobs, Staffing.constant(3)) is None
    assert desk_of(jobs, team((speaks(german=3), 2), (speaks(german=4), 1))) is None


def test_groups_add_up() -> None:
    early, late = Staffing.of_shifts([(0, 100, 2)]), Staffing.of_shifts([(50, 200, 3)])
    staffing = Staffing.of_groups([(speaks(), early), (speaks(german=1), late), (speaks(), late)])
    assert [staffing.at(time) for time in (-1, 0, 50, 100, 200)] == [0, 2, 8, 6, 0]
    assert {abilities: part.at(60) for abilities, part in staffing.groups} == {
        speaks(): 5,
        speaks(german=1): 3,
    }
    assert (early.last, Staffing.constant(1).last, Staffing((), ()).last) == (100, math.inf, -math.inf)
