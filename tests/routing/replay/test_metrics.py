"""Attainment and waits, counted by hand."""

from __future__ import annotations

import math

import pytest

from routing.replay.disciplines import first_come
from routing.replay.jobs import Jobs
from routing.replay.metrics import Interval, confidence, percentile, replies
from routing.replay.simulator import Outcome

JOBS = Jobs([0, 0, 10, 20], [5] * 4, [10, 5, 30, 40], [20] * 4, [1] * 4, [5] * 4, [0] * 4, [8, 4, 2, 1])
OUTCOME = Outcome([0, 5, 20, math.inf], [5, 10, 30, math.inf], first_come(JOBS))


def test_promises_kept_and_waits() -> None:
    found = replies(JOBS, OUTCOME)
    assert (found.count, found.kept, found.unanswered) == (4, 2, 1)
    assert found.attainment == 0.5
    assert found.attainment_by_value == pytest.approx(10 / 15)
    assert (found.p50, found.p90, found.longest) == (10, 20, 20)


def test_a_group_and_an_empty_one() -> None:
    assert replies(JOBS, OUTCOME, [1]).attainment == 0
    empty = replies(JOBS, OUTCOME, [])
    assert (empty.count, empty.attainment, empty.attainment_by_value, empty.p50) == (0, None, None, None)
    assert replies(JOBS, OUTCOME, [3]).longest is None


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 2), (75, 3), (90, 4), (100, 4)])
def test_percentiles(percent: float, expected: float) -> None:
    assert percentile([1, 2, 3, 4], percent) == expected


def test_how_sure_a_mean_is() -> None:
    # 0.70, 0.72, 0.74: deviation 0.02, t(2) = 4.303.
    assert confidence([0.70, 0.72, 0.74]).mean == pytest.approx(0.72)
    assert confidence([0.70, 0.72, 0.74]).half_width == pytest.approx(4.303 * 0.02 / math.sqrt(3))
    assert confidence([0.5]) == Interval(0.5, math.inf)
    assert confidence([0.4, 0.6] * 20).half_width == pytest.approx(1.96 * 0.10127 / math.sqrt(40), rel=1e-3)
