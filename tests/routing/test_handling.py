"""Handling times: the policy's numbers, and what is learnt of each intent, whatever some cases say."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.handling import Expected, Handling, HandlingTimes, Learnt
from sentiment.types import INTENTS, IntentLabel

MINUTE = timedelta(minutes=1)
RULES = Handling(default=5 * MINUTE, by_intent={"refund_return": 8 * MINUTE, "praise_thanks": 2 * MINUTE})


def test_without_cases_it_is_what_the_policy_says() -> None:
    times = HandlingTimes(RULES)
    assert times.seconds("refund_return") == 480
    assert times.seconds("complaint") == times.seconds(None) == 300
    # Of several the longest that the policy names.
    assert times.of(["complaint", "praise_thanks", "refund_return"]) == Expected(480, "refund_return")
    assert times.of(["complaint", "praise_thanks"]) == Expected(120, "praise_thanks")
    assert times.of(["complaint"]) == Expected(300, "complaint")
    assert times.of([]) == Expected(300, None)
    assert HandlingTimes(RULES.model_copy(update={"factor": 1.5})).seconds("refund_return") == 720


def test_what_is_learnt_counts_the_more_the_more_cases_there_are() -> None:
    times = HandlingTimes(RULES)
    for _ in range(10):
        times.saw("refund_return", 240)
    # Ten cases of half the time against ten that the policy is worth, drawn towards three quarters of it.
    assert times.seconds("refund_return") == pytest.approx((480 * 0.75 + 240) / 2, rel=0.01)
    assert times.seconds("praise_thanks") == pytest.approx(120 * 0.75, rel=0.01)
    for _ in range(1000):
        times.saw("refund_return", 240)
    assert times.seconds("refund_return") == pytest.approx(240, rel=0.03)
    assert times.learnt["refund_return"].cases == 1010


def test_an_intent_that_the_policy_does_not_name_is_learnt_too() -> None:
    times = HandlingTimes(RULES)
    for _ in range(300):
        times.saw(times.of(["complaint"]).intent, 900)
    assert times.seconds("complaint") == pytest.approx(900, rel=0.05)
    assert times.of(["praise_thanks", "complaint"]).intent == "complaint"


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_true_times_are_found_from_wrong_ones(factor: float) -> None:
    """Log-normal times, as in call centres, and one in fifty a lunch break."""
    dice = Random(1)
    true: dict[IntentLabel, float] = {"refund_return": 480, "praise_thanks": 120, "complaint": 300}
    told = {intent: timedelta(seconds=mean * factor) for intent, mean in true.items()}
    times = HandlingTimes(Handling(default=5 * MINUTE * factor, by_intent=told))
    for _ in range(500):
        intent = dice.choice(list(true))
        lunch = dice.random() < 0.02
        times.saw(intent, 7000 if lunch else true[intent] * dice.lognormvariate(-0.18, 0.6))
    for intent, mean in true.items():
        assert times.seconds(intent) == pytest.approx(mean, rel=0.25)


def test_where_the_policy_learns_nothing_its_numbers_stand() -> None:
    times = HandlingTimes(RULES.model_copy(update={"learn": False}))
    for _ in range(100):
        times.saw("complaint", 60)
    assert times.seconds("complaint") == 300
    assert times.of(["complaint", "praise_thanks"]).intent == "praise_thanks"
    # It is seen all the same, for whoever lets it learn later.
    assert times.learnt["complaint"].cases == 100
    assert HandlingTimes(RULES, times.learnt).seconds("complaint") == pytest.approx(60, rel=0.3)


def test_new_times_take_the_place_of_old_ones() -> None:
    times = HandlingTimes(RULES, {"complaint": Learnt(5000, 200.0, 300.0)})
    for _ in range(400):
        times.saw("complaint", 600)
    assert times.seconds("complaint") > 540


@given(st.lists(st.tuples(st.sampled_from([*INTENTS[:3], None]), st.floats(0.1, 7200)), max_size=30))
def test_expected_is_between_the_policys_and_what_was_seen(
    seen: list[tuple[IntentLabel | None, float]],
) -> None:
    times = HandlingTimes(Handling(default=5 * MINUTE))
    for intent, seconds in seen:
        times.saw(intent, seconds)
    everything = [300.0, *(seconds for _, seconds in seen)]
    for intent in (*INTENTS, None):
        assert min(everything) * 0.999 <= times.seconds(intent) <= max(everything) * 1.001
