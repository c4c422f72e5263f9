"""What was bent is straightened, and thresholds stand where they are said to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment import calibrating
from sentiment.calibrating import Form, best_form, calibrate, coverage_threshold
from sentiment.heads import Array, Head, sigmoid, softmax

ONE = Head("mood", "one", ("a", "b", "c"))
ANY = Head("wishes", "any", ("a", "b", "c"))


def drawn(head: Head, rows: int = 2_000) -> tuple[Array, Array]:
    """Honest logits, and a truth drawn from them."""
    rng = np.random.default_rng(7)
    logits = rng.normal(scale=2, size=(rows, 3)).astype(np.float32)
    if head.kind == "any":
        return logits, (rng.random(logits.shape) < sigmoid(logits)).astype(np.float32)
    labels = (softmax(logits).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=2)
    return logits, np.eye(3, dtype=np.float32)[labels]


@pytest.mark.parametrize("head", [ONE, ANY])
@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_temperature_is_found(head: Head, temperature: float) -> None:
    logits, truth = drawn(head)
    found = calibrate(head, logits * temperature, truth)
    assert found.scale == pytest.approx([1 / temperature] * 3, rel=0.15)
    assert found.shift == pytest.approx([0, 0, 0], abs=0.15)


@pytest.mark.parametrize("head", [ONE, ANY])
@pytest.mark.parametrize(
    ("scale", "shift", "form"),
    [
        ((0.5, 0.5, 0.5), (0, 0, 0), "temperature"),
        ((0.5, 0.5, 0.5), (1, 0, -1), "shifts"),
        ((0.4, 1, 3), (1, 0, -1), "vector"),
    ],
)
def test_the_simplest_form_that_does_it(
    head: Head, scale: tuple[float, ...], shift: tuple[float, ...], form: Form
) -> None:
    logits, truth = drawn(head)
    bent = ((logits - np.array(shift)) / np.array(scale)).astype(np.float32)
    assert best_form(head, bent, truth) == form
    found = calibrate(head, bent, truth)
    straight = bent * np.array(found.scale) + np.array(found.shift)
    assert np.abs(sigmoid(straight) - sigmoid(logits)).mean() < 0.03 or head.kind == "one"
    assert np.abs(softmax(straight) - softmax(logits)).mean() < 0.03 or head.kind == "any"


def test_what_does_not_travel_between_sources_is_left_out() -> None:
    """Of two sources each has its own frequent labels, so that a shift which helps one harms the other."""
    logits, truth = drawn(ONE, rows=4_000)
    rng = np.random.default_rng(3)
    kinds = truth.argmax(axis=1)
    frequent = np.array([[1, 0.5, 0.1], [0.1, 0.5, 1]])
    sources = np.arange(len(kinds)) % 2
    kept = rng.random(len(kinds)) < frequent[sources, kinds]
    logits, truth, sources = logits[kept] * 2, truth[kept], sources[kept]
    one = sources == 0
    assert best_form(ONE, logits[one], truth[one]) != "temperature"
    assert best_form(ONE, logits, truth, sources) == "temperature"
    assert best_form(ONE, logits[one], truth[one], sources[one]) == best_form(ONE, logits[one], truth[one])


def test_a_label_without_rows_stays_where_it_was() -> None:
    logits, truth = drawn(ANY, rows=60)
    truth[:, 2] = 0
    logits[:, 2] = -6
    found = calibrate(ANY, logits, truth)
    assert sigmoid(logits[:, 2] * found.scale[2] + found.shift[2]).max() < 0.05
    assert found.thresholds[2] == 0.5


def test_the_best_threshold_stays_believable() -> None:
    shares = np.array([0.05, 0.1, 0.6, 0.7], np.float32)
    assert calibrating.best_threshold(shares, np.array([0, 0, 1, 1], np.float32)) == 0.5
    assert calibrating.best_threshold(shares, np.zeros(4, np.float32)) == 0.5
    assert calibrating.best_threshold(shares, np.array([0, 1, 1, 1], np.float32), low=0.06) <= 0.1


@pytest.mark.parametrize(("at_least", "threshold"), [(0.5, 0.47), (0.7, 0.62), (0.2, 0.42), (0.9, 1.0)])
def test_a_label_is_worth_saying_once_it_is_right_often_enough(at_least: float, threshold: float) -> None:
    """Of forty each: 12 are right, 24 and 30."""
    confidences = np.repeat(np.array([0.42, 0.47, 0.62], np.float32), 40)
    right = np.concatenate([np.arange(40) < 12, np.arange(40) < 24, np.arange(40) < 30])
    found = calibrating.worth_saying(confidences, right, at_least)
    assert found == pytest.approx(threshold)


def test_honest_confidences_are_worth_saying_from_what_is_asked_on() -> None:
    rng = np.random.default_rng(5)
    confidences = rng.random(20_000).astype(np.float32)
    found = calibrating.worth_saying(confidences, rng.random(20_000) < confidences, 0.6)
    assert found == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(
    ("at_least", "threshold"),
    [(1.0, 0.8), (0.75, 0.7), (0.6, 0.5), (0.0, 0.1)],
)
def test_the_widest_coverage_of_an_accuracy(at_least: float, threshold: float) -> None:
    confidences = np.array([0.1, 0.5, 0.7, 0.7, 0.8, 0.9], np.float32)
    right = np.array([False, False, True, False, True, True])
    assert coverage_threshold(confidences, right, at_least) == pytest.approx(threshold)


def test_no_coverage_is_good_enough() -> None:
    assert coverage_threshold(np.array([0.9, 0.8], np.float32), np.array([False, True]), 0.9) == 1.0


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1), st.integers(0, 10))
def test_what_is_said_is_right_often_enough(rows: list[tuple[int, bool]], tenths: int) -> None:
    confidences = np.array([tens / 10 for tens, _ in rows], np.float32)
    right = np.array([is_right for _, is_right in rows])
    threshold = coverage_threshold(confidences, right, tenths / 10)
    said = confidences >= threshold
    assert not said.any() or right[said].mean() >= tenths / 10
    for lower in {float(each) for each in confidences if each < threshold}:
        assert right[confidences >= lower].mean() < tenths / 10
