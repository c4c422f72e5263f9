"""The fits find what is there, and the figures mean what they say."""

from __future__ import annotations

import numpy as np

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
