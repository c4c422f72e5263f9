"""Generated traces are what their figures say."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest

from routing.replay.generate import INTENTS, MEAN_SECONDS, Surge, generate
from routing.replay.metrics import confidence


@pytest.mark.parametrize("load", [0.7, 1.1])
def test_the_load_is_the_work_by_what_the_agents_can_do(load: float) -> None:
    loads = [sum(generate(load, seed).handle) / (10 * 5 * 86_400) for seed in range(8)]
    mean = confidence(loads)
    assert abs(mean.mean - load) < max(2 * mean.half_width, 0.02)


def test_the_same_seed_gives_the_same_trace() -> None:
    assert generate(0.7, 1) == generate(0.7, 1)
    assert generate(0.7, 1).at != generate(0.7, 2).at


def test_days_have_a_rhythm_and_a_surge() -> None:
    trace = generate(0.85, 1, agents=50)
    assert all(a <= b for a, b in pairwise(trace.at))
    hours = [0] * 120
    for at in trace.at:
        hours[int(at // 3600)] += 1
    assert hours[2] < 0.5 * hours[14]
    assert fmean(hours[58:61]) > 1.5 * fmean(hours[34:37])
    calm = generate(0.85, 1, agents=50, surge=None)
    assert len(calm.at) == pytest.approx(len(trace.at), rel=0.05)


def test_tiers_and_intents_have_their_shares() -> None:
    trace = generate(1.0, 1, agents=50)
    for number, tier in enumerate(trace.tiers):
        assert trace.tier.count(number) / len(trace.tier) == pytest.approx(tier.share, abs=0.01)
    for label, (share, mean) in INTENTS.items():
        times = [handle for handle, of in zip(trace.handle, trace.intent, strict=True) if of == label]
        assert len(times) / len(trace.at) == pytest.approx(share, abs=0.01)
        assert fmean(times) == pytest.approx(mean, rel=0.05)


def test_promises_and_expectations() -> None:
    trace = generate(0.7, 1, days=1.5, surge=Surge(begins=2, hours=0.5, times=3))
    known, intents = trace.jobs(safety=1.0), trace.jobs(safety=2.0, by_intent=True)
    assert set(known.work) == {round(MEAN_SECONDS + 0.5)}
    assert intents.work[0] == 2 * INTENTS[trace.intent[0]][1]
    first = trace.tiers[trace.tier[0]]
    assert known.due[0] - known.at[0] == pytest.approx(first.target_seconds)
    assert known.second_due[0] - known.due[0] == pytest.approx(first.target_seconds)
    assert known.weight[0] == known.value[0] == first.value


def test_lines_of_a_trace_file() -> None:
    trace = generate(0.7, 1, days=0.5)
    lines = list(trace.lines())
    assert len(lines) == len(trace.at)
    assert lines[0]["arrived_at"].startswith("2026-01-05T00:0")
    assert lines[0]["customer"] == {"tier": trace.tiers[trace.tier[0]].name}
    assert lines[0]["handle_seconds"] == pytest.approx(trace.handle[0], abs=0.001)
