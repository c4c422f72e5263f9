"""What the plan is for: it keeps more promises, and more valuable ones, than usual orders, and is fair.

On one generated trace; `hub bench --only plan` measures it on twenty seeds and four loads (docs/plan.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache

import pytest

from routing.handling import Handling
from routing.plan import plan
from routing.replay.disciplines import PlannedQueue, earliest_deadline, first_come, planned, strict_levels
from routing.replay.generate import generate, handling
from routing.replay.jobs import Jobs, Staffing
from routing.replay.metrics import replies
from routing.replay.ours import REPLAN_SHARE
from routing.replay.simulator import Discipline, Outcome, simulate

AGENTS = 5
UNTAUGHT = Handling(default=timedelta(minutes=5))
OURS = planned(plan, share=REPLAN_SHARE, handling=UNTAUGHT)


@cache
def trace() -> Jobs:
    return generate(1.0, seed=3, agents=AGENTS, days=3).jobs(1.0)


def run(jobs: Jobs, discipline: Discipline) -> Outcome:
    return simulate(jobs, Staffing.constant(AGENTS), discipline)


@cache
def ran(discipline: Discipline) -> Outcome:
    return run(trace(), discipline)


def kept(outcome: Outcome) -> tuple[float, float]:
    found = replies(trace(), outcome)
    assert found.attainment is not None
    assert found.attainment_by_value is not None
    return found.attainment, found.attainment_by_value


def longest(outcome: Outcome, group: Sequence[int] | None = None) -> float:
    return replies(trace(), outcome, group).longest or 0.0


@pytest.mark.parametrize("rival", [first_come, strict_levels, earliest_deadline])
def test_the_plan_keeps_more_and_more_valuable_promises(rival: Discipline) -> None:
    (share, by_value), (theirs, theirs_by_value) = kept(ran(OURS)), kept(ran(rival))
    assert share > theirs + 0.1
    assert by_value > theirs_by_value + 0.04


def test_the_best_tier_is_answered_in_time() -> None:
    best = [job for job, level in enumerate(trace().level) if level == 0]
    p90 = replies(trace(), ran(OURS), best).p90
    assert p90 is not None
    assert p90 <= 15 * 60


def test_the_longest_wait_stays_near_that_of_strict_levels() -> None:
    assert longest(ran(OURS)) <= 1.4 * longest(ran(strict_levels))


def test_promises_seldom_come_and_go() -> None:
    queue = ran(OURS).queue
    assert isinstance(queue, PlannedQueue)
    assert queue.changes < 0.5 * len(trace())


@pytest.mark.parametrize("factor", [0.5, 2])
def test_wrong_handling_times_are_unlearnt(factor: float) -> None:
    """Told half or twice the true times, it keeps nearly what it keeps when told nothing, and is as fair."""
    told = run(trace(), planned(plan, share=REPLAN_SHARE, handling=handling(factor)))
    (share, by_value), (theirs, theirs_by_value) = kept(told), kept(ran(strict_levels))
    assert share > theirs + 0.1
    assert by_value > theirs_by_value + 0.04
    assert longest(told) <= 1.4 * longest(ran(strict_levels))
