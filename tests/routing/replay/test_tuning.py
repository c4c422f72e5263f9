"""The search for better numbers: what it may change, what it costs, and that it does not fool itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.policy import DEFAULT_POLICY, Policy, read_policy
from routing.replay.generate import generate
from routing.replay.jobs import Jobs, Staffing
from routing.replay.metrics import Interval
from routing.replay.proposing import diff, proposal
from routing.replay.tuning import Path, knobs_of, reweighed, segments_of, tune, with_values

GOLD: Path = ("weights", "tier", "gold")
SAFETY: Path = ("handling", "factor")
SECOND: Path = ("second_promise", "weight_factor")
EARLY: Path = ("plan", "early")
PATIENCE: Path = ("plan", "patience")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy(DEFAULT_POLICY)


def unlearned(policy: Policy) -> Policy:
    return policy.model_copy(update={"handling": policy.handling.model_copy(update={"learn": False})})


def jobs_of(days: float, load: float = 0.95) -> Jobs:
    """As the default policy would promise them; those of no tier are its fifth level."""
    jobs = generate(load, seed=1, agents=3, days=days).jobs()
    return replace(jobs, level=[4 if level == 3 else level for level in jobs.level])


def test_what_may_be_changed(policy: Policy) -> None:
    knobs = {knob.path: knob for knob in knobs_of(policy)}
    # The factor of everybody else stays: only proportions count.
    tiers = {("weights", "tier", t) for t in ("platinum", "gold", "silver")}
    assert set(knobs) == tiers | {EARLY, PATIENCE, SECOND}
    # Handling times are searched where they are not learnt.
    assert SAFETY in {knob.path for knob in knobs_of(unlearned(policy))}
    assert knobs[GOLD].value == 4
    assert (knobs[EARLY].lowest, knobs[EARLY].highest) == (0.1, 3)
    # Promises are not bought with longer waits of those who gave way.
    assert [
        next(
            knob.highest for knob in knobs_of(with_values(policy, {PATIENCE: value})) if knob.path == PATIENCE
        )
        for value in (1.0, 2.1, 4.0)
    ] == [2.1, 2.1, 4.0]
    changed = with_values(policy, {GOLD: 6, SAFETY: 2, SECOND: 0.25, EARLY: 0.5, PATIENCE: 3})
    assert (changed.plan.early, changed.plan.patience) == (0.5, 3)
    assert changed.weights.tier["gold"] == 6
    assert (changed.handling.factor, changed.second_promise.weight_factor) == (2, 0.25)
    assert policy.weights.tier["gold"] == 4


def test_weights_and_work_follow_the_numbers(policy: Policy) -> None:
    jobs = jobs_of(0.5)
    changed = reweighed(jobs, policy, with_values(policy, {GOLD: 6, SAFETY: 3}))
    gold = jobs.level.index(1)
    other = jobs.level.index(0)
    assert changed.weight[gold] == jobs.weight[gold] * 1.5
    assert changed.weight[other] == jobs.weight[other]
    assert changed.work[gold] == 3 * jobs.work[gold]
    assert changed.value == jobs.value


def test_days_begin_when_it_is_quiet() -> None:
    jobs = jobs_of(12)
    segments = segments_of(jobs)
    assert sum(map(len, segments)) == len(jobs)
    assert len(segments) == 13
    assert all(segment.at[0] % 86_400 >= 4 * 3600 for segment in segments[1:])
    # East of Greenwich four in the morning comes earlier.
    assert segments_of(jobs, 3600)[0].at[-1] < 3 * 3600
    short = segments_of(jobs_of(1))
    assert len(short) in (9, 10)
    assert segments_of(replace(jobs, at=[])) == []


def test_it_finds_what_is_wrong_and_proves_it_elsewhere(policy: Policy) -> None:
    """This policy has no patience with who gave way, whose answers break the promises of others."""
    wrong = with_values(policy, {PATIENCE: 0.5})
    wrong = wrong.model_copy(update={"plan": wrong.plan.model_copy(update={"least_patience": 1.0})})
    jobs = jobs_of(1, load=1.1)
    told: list[int] = []
    found = tune(
        jobs,
        Staffing.constant(3),
        wrong,
        {},
        seeds=2,
        rounds=8,
        progress=lambda more, total: told.append(total),
    )
    assert sum(1 for _ in told) == told[0] == 2 * 9
    assert found.values
    assert found.after.broken < found.before.broken
    assert found.gain.mean > 0
    assert len(found.trials) == 2
    for trial in found.trials:
        assert trial.trained_after.total <= trial.trained_before.total


def test_the_same_seeds_find_the_same(policy: Policy) -> None:
    jobs = jobs_of(1)
    first, second = (tune(jobs, Staffing.constant(3), policy, {}, seeds=2, rounds=2) for _ in range(2))
    assert first == second


def test_goals_come_before_value(policy: Policy) -> None:
    jobs = jobs_of(1, load=1.3)
    aimed = tune(jobs, Staffing.constant(3), policy, {"no tier": 0.99}, seeds=1, rounds=2)
    assert aimed.before.missed > 0
    assert aimed.before.total > aimed.before.broken
    assert aimed.before.missed == pytest.approx(0.99 - (aimed.before.tiers["no tier"] or 0))


def test_where_all_is_well_nothing_is_proposed(policy: Policy) -> None:
    jobs = jobs_of(2, load=0.2)
    found = tune(jobs, Staffing.constant(6), policy, {}, seeds=1, rounds=4)
    assert found.values == {}
    assert found.gain == Interval(0.0, 0.0)
    assert not found.sure


def test_a_past_that_is_too_short_is_refused(policy: Policy) -> None:
    jobs = jobs_of(1)
    two = replace(
        jobs, **{name: getattr(jobs, name)[:2] for name in ("at", "handle", "due", "second_due", "weight")}
    )
    with pytest.raises(ValueError, match="too short"):
        tune(
            replace(two, work=jobs.work[:2], level=jobs.level[:2], value=jobs.value[:2]),
            Staffing.constant(1),
            policy,
            {},
        )


BLOCK = """\
time_zone: UTC
currency: EUR
tiers: [gold]
policies:
  - name: All     # everybody
    first_reply_time: {default: 1h}
    next_reply_time: {default: 1h}
weights:
  tier:
    # loyal
    "gold": 4.0   # much
    default: 1
handling:
  default: 5m"""


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        (DEFAULT_POLICY, {GOLD: 6, SAFETY: 1.8}, ["gold: 6,", "factor: 1.8"]),
        (BLOCK, {GOLD: 2.5}, ['    "gold": 2.5   # much\n']),
        (BLOCK, {SAFETY: 2}, ["handling:\n  factor: 2\n  default: 5m"]),
        (BLOCK, {SECOND: 0.3}, ["  default: 5m\nsecond_promise:\n  weight_factor: 0.3\n"]),
        (BLOCK.replace("handling:\n  default: 5m", "handling: {default: 5m}"), {SAFETY: 2}, ["{factor: 2, "]),
    ],
)
def test_a_proposal_keeps_all_else_as_it_was_written(
    text: str, values: dict[Path, float], expected: list[str]
) -> None:
    changed = proposal(text, values)
    assert all(each in changed for each in expected)
    assert read_policy(changed).model_dump() == with_values(read_policy(text), values).model_dump()
    assert proposal(text, {}) == text
    difference = diff(text, changed, "policy.yaml")
    assert difference.startswith("--- policy.yaml\n+++ policy.yaml, proposed\n")
    assert sum(line.startswith("+") for line in difference.splitlines()) <= 2 * len(values) + 2


def test_what_cannot_be_changed_in_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be changed"):
        proposal(BLOCK.replace('"gold": 4.0', "? gold\n    : 4.0"), {GOLD: 2})
