"""The fits find what is there, and the figures mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment import fit
from sentiment.heads import Array, sigmoid, softmax


def drawn(rows: int, classes: int) -> tuple[Array, Array]:
    """Inputs, and logits that are a linear function of them."""
    rng = np.random.default_rng(7)
    inputs = rng.normal(size=(rows, 5)).astype(np.float32)
    weights = rng.normal(size=(classes, 5)).astype(np.float32)
    return inputs, inputs @ weights.T


def test_softmax_regression_recovers_the_odds() -> None:
    inputs, logits = drawn(6_000, 3)
    truth = softmax(logits)
    labels = (truth.cumsum(axis=1) < np.random.default_rng(1).random((6_000, 1))).sum(axis=1)
    weight, bias = fit.softmax_regression(inputs, labels, 3, decay=0)
    found = softmax(inputs @ weight.T + bias)
    assert np.abs(found - truth).mean() < 0.02


def test_yes_no_regression_ignores_what_nobody_knows() -> None:
    inputs, logits = drawn(4_000, 2)
    targets = (np.random.default_rng(1).random((4_000, 2)) < sigmoid(logits)).astype(np.float32)
    weights = np.ones_like(targets)
    weights[2_000:, 1] = 0
    spoilt = targets.copy()
    spoilt[2_000:, 1] = 1 - spoilt[2_000:, 1]
    clean = fit.yes_no_regressions(inputs, targets, weights, decay=0)
    dirty = fit.yes_no_regressions(inputs, spoilt, weights, decay=0)
    np.testing.assert_allclose(clean[0], dirty[0], atol=0.02)
    assert np.abs(sigmoid(inputs @ clean[0].T + clean[1]) - sigmoid(logits)).mean() < 0.03


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(temperature: float) -> None:
    _, logits = drawn(8_000, 3)
    rng = np.random.default_rng(3)
    labels = (softmax(logits).cumsum(axis=1) < rng.random((8_000, 1))).sum(axis=1)
    assert fit.softmax_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.1)
    yes = (rng.random(logits.shape) < sigmoid(logits)).astype(np.float32)
    found = fit.sigmoid_temperature(logits * temperature, yes, np.ones_like(yes))
    assert found == pytest.approx(temperature, rel=0.1)


def test_macro_recall_counts_classes_alike() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2])
    assert fit.macro_recall(np.array([0, 0, 0, 1, 1, 0]), labels) == pytest.approx((0.75 + 1 + 0) / 3)


def test_f1() -> None:
    truth = np.array([1, 1, 0, 0], np.float32)
    assert fit.f1(np.array([True, False, True, False]), truth) == 0.5
    assert fit.f1(np.zeros(4, bool), truth) == 0


def test_calibration_error_is_the_gap() -> None:
    confidences = np.full(100, 0.9, np.float32)
    right = np.arange(100) < 70
    assert fit.calibration_error(confidences, right) == pytest.approx(0.2, abs=1e-6)
    assert fit.calibration_error(np.ones(4, np.float32), np.ones(4, bool)) == 0


def test_ranking_quality() -> None:
    truth = np.array([0, 0, 1, 1], np.float32)
    assert fit.ranking_quality(np.array([0.1, 0.2, 0.3, 0.4], np.float32), truth) == 1
    assert fit.ranking_quality(np.array([0.5, 0.5, 0.5, 0.5], np.float32), truth) == 0.5
    assert fit.ranking_quality(np.array([0.1, 0.3, 0.2, 0.4], np.float32), truth) == 0.75


def test_the_best_threshold_stays_believable() -> None:
    shares = np.array([0.05, 0.1, 0.6, 0.7], np.float32)
    assert 0.1 < fit.best_threshold(shares, np.array([0, 0, 1, 1], np.float32)) <= 0.6
    assert fit.best_threshold(shares, np.ones(4, np.float32)) >= 0.2


def test_a_label_is_worth_saying_once_it_is_right_half_the_time() -> None:
    confidences = np.repeat(np.array([0.42, 0.47, 0.62], np.float32), 40)
    right = np.concatenate([np.arange(40) < 12, np.arange(40) < 24, np.arange(40) < 30])
    assert fit.worth_saying(confidences, right) == 0.45
