"""The simulator serves who is next by the discipline, with the agents there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.plan import plan
from routing.replay.disciplines import (
    PlannedQueue,
    accumulating,
    earliest_deadline,
    first_come,
    planned,
    strict_levels,
)
from routing.replay.generate import generate
from routing.replay.jobs import Jobs, Staffing
from routing.replay.metrics import replies
from routing.replay.simulator import Discipline, simulate

LEVEL_TARGETS = (600.0, 3600.0)
LEVEL_WEIGHTS = (8.0, 1.0)


def jobs_of(*rows: tuple[float, float, int]) -> Jobs:
    """Jobs from (arrival, handling time, level)."""
    at, handle, level = (list(column) for column in zip(*sorted(rows), strict=True))
    due = [a + LEVEL_TARGETS[k] for a, k in zip(at, level, strict=True)]
    weight = [LEVEL_WEIGHTS[k] for k in level]
    second = [a + 2 * LEVEL_TARGETS[k] for a, k in zip(at, level, strict=True)]
    return Jobs(at, handle, due, second, weight, [300] * len(at), level, weight)


def order(started: Sequence[float]) -> list[int]:
    return sorted(range(len(started)), key=started.__getitem__)


DISCIPLINES: dict[str, Discipline] = {
    "first come": first_come,
    "strict": strict_levels,
    "deadline": earliest_deadline,
    "accumulating": accumulating((3.0, 1.0)),
    "plan": planned(plan),
}

# One agent is busy until 100 with the first; then who is next?
WAITING = jobs_of((0, 100, 0), (1, 100, 1), (2, 100, 1), (50, 100, 0), (60, 100, 0))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first come", [0, 1, 2, 3, 4]),
        ("strict", [0, 3, 4, 1, 2]),
        ("deadline", [0, 3, 4, 1, 2]),
        # At 100 they have 99, 98, 150 and 120; at 200 the last has 420 and the first 199.
        ("accumulating", [0, 3, 4, 1, 2]),
        ("plan", [0, 3, 4, 1, 2]),
    ],
)
def test_who_is_next(name: str, expected: list[int]) -> None:
    outcome = simulate(WAITING, Staffing.constant(1), DISCIPLINES[name])
    assert order(outcome.started) == expected
    assert outcome.answered[0] == 100


def test_an_earlier_deadline_wins_over_a_better_level() -> None:
    jobs = jobs_of((0, 4000, 0), (1, 10, 1), (3500, 10, 0))
    assert order(simulate(jobs, Staffing.constant(1), earliest_deadline).started) == [0, 1, 2]
    assert order(simulate(jobs, Staffing.constant(1), strict_levels).started) == [0, 2, 1]


def test_who_goes_off_duty_finishes_what_they_have() -> None:
    jobs = jobs_of((0, 100, 0), (0, 100, 0), (10, 100, 0))
    staffing = Staffing.of_shifts([(0, 50, 1), (0, 1000, 1)])
    outcome = simulate(jobs, staffing, first_come)
    assert outcome.answered == [100, 100, 200]


def test_nobody_answers_where_nobody_is_on_duty() -> None:
    jobs = jobs_of((0, 100, 0), (500, 100, 0))
    outcome = simulate(jobs, Staffing.of_shifts([(0, 200, 1)]), first_come)
    assert outcome.answered == [100, math.inf]
    assert simulate(jobs, Staffing((), ()), first_come).started == [math.inf, math.inf]


def test_work_waits_for_the_morning() -> None:
    jobs = jobs_of((0, 100, 0), (5, 100, 0))
    outcome = simulate(jobs, Staffing.of_shifts([(1000, 2000, 1)]), first_come)
    assert outcome.started == [1000, 1100]


def test_shifts_add_up() -> None:
    staffing = Staffing.of_shifts([(0, 10, 2), (5, 15, 3), (15, 20, 3)])
    assert [staffing.at(time) for time in (-1, 0, 5, 10, 14, 15, 19, 20)] == [0, 2, 5, 3, 3, 3, 3, 0]
    assert staffing.seconds(-5, 12) == 2 * 5 + 5 * 5 + 3 * 2
    assert Staffing.constant(4).seconds(10, 20) == 40


def test_what_gave_way_is_known() -> None:
    jobs = jobs_of(*[(0.0, 300, 0)] * 6)
    queue = simulate(jobs, Staffing.constant(1), planned(plan)).queue
    assert isinstance(queue, PlannedQueue)
    # Within 600 seconds two of 300 are done; by the second promise two more.
    assert len(queue.gave_way) == 4


def test_progress_counts_every_arrival() -> None:
    trace = generate(0.7, seed=1, agents=20)
    counted: list[int] = []
    simulate(trace.jobs(), Staffing.constant(20), first_come, counted.append)
    assert sum(counted) == len(trace.at)
    assert len(counted) > 1


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(0, 5000), st.floats(1, 900), st.integers(0, 1)), min_size=1, max_size=40
    ),
    shifts=st.lists(
        st.tuples(st.floats(0, 5000), st.floats(1, 5000), st.integers(1, 3)), min_size=1, max_size=4
    ),
    name=st.sampled_from(sorted(DISCIPLINES)),
)
def test_nobody_waits_while_an_agent_is_free(
    rows: list[tuple[float, float, int]], shifts: list[tuple[float, float, int]], name: str
) -> None:
    """In every order: served once, never before arriving, never by more than there are, never too late."""
    jobs = jobs_of(*rows)
    staffing = Staffing.of_shifts([(begin, begin + length, agents) for begin, length, agents in shifts])
    outcome = simulate(jobs, staffing, DISCIPLINES[name])
    spans = list(zip(jobs.at, outcome.started, outcome.answered, jobs.handle, strict=True))
    for at, started, answered, handle in spans:
        assert started >= at
        assert answered == started + handle
    for moment in {each for span in spans for each in span[:3] if each < math.inf} | set(staffing.times):
        busy = sum(started <= moment < answered for _, started, answered, _ in spans)
        waiting = any(at <= moment < started for at, started, _, _ in spans)
        taken = sum(started == moment for _, started, _, _ in spans)
        assert not taken or busy <= staffing.at(moment)
        assert not waiting or busy >= staffing.at(moment)


def test_the_plan_can_be_made_less_often_and_hardly_loses() -> None:
    trace = generate(0.9, seed=3, days=1.0)
    jobs = trace.jobs()
    always = simulate(jobs, Staffing.constant(10), planned(plan))
    seldom = simulate(jobs, Staffing.constant(10), planned(plan, share=0.1))
    assert isinstance(always.queue, PlannedQueue)
    assert isinstance(seldom.queue, PlannedQueue)
    assert seldom.queue.plans < 0.7 * always.queue.plans
    best, good = replies(jobs, always).attainment, replies(jobs, seldom).attainment
    assert best is not None
    assert good is not None
    assert good > best - 0.02


def test_a_moment_of_the_plan_is_that_of_the_trace() -> None:
    jobs = jobs_of((7, 10, 0))
    seen = []

    def watching(*asked: object) -> object:
        seen.append(asked[2])
        return plan(*asked)  # type: ignore[arg-type]

    simulate(jobs, Staffing.constant(1), planned(watching))  # type: ignore[arg-type]
    assert seen == [jobs.start + timedelta(seconds=7)]
