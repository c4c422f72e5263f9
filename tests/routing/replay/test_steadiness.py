"""How much a plan moves while nothing happens: next to nothing."""

from __future__ import annotations

import pytest

from routing.plan import plan
from routing.replay.disciplines import planned
from routing.replay.generate import generate
from routing.replay.jobs import Staffing
from routing.replay.simulator import simulate
from routing.replay.steadiness import Watched, swaps


@pytest.mark.parametrize(
    ("after", "count"), [([1, 2, 3, 4], 0), ([2, 1, 3, 4], 1), ([4, 3, 2, 1], 6), ([1, 9, 3, 8, 2, 4], 1)]
)
def test_pairs_that_swap(after: list[int], count: int) -> None:
    assert swaps([1, 2, 3, 4], after) == count


def test_the_plan_stands_still_while_nothing_happens() -> None:
    """In a crisis, where much gives way and is owed; hardly a pair near the head changes its order."""
    watched = Watched(plan, every=5)
    jobs = generate(1.2, seed=2, agents=5, days=1.0, surge=None).jobs(1.0, by_intent=True)
    outcome = simulate(jobs, Staffing.constant(5), planned(watched, share=0.05))
    seen = simulate(jobs, Staffing.constant(5), planned(plan, share=0.05))
    assert outcome.answered == seen.answered
    assert watched.looks > 20
    assert watched.pairs > 10_000
    assert watched.swapped <= 0.001 * watched.pairs
