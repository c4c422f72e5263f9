"""The figures mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment import figures
from sentiment.figures import Bin


def test_f1() -> None:
    truth = np.array([1, 1, 0, 0], np.float32)
    assert figures.f1(np.array([True, False, True, False]), truth) == 0.5
    assert figures.f1(np.zeros(4, bool), truth) == 0


def test_macro_figures_count_labels_alike() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 1, 2]), np.array([0, 0, 0, 1, 1, 0])
    assert figures.macro_recall(predicted, labels) == pytest.approx((0.75 + 1 + 0) / 3)
    assert figures.macro_f1(predicted, labels) == pytest.approx((0.75 + 2 / 3 + 0) / 3)


def test_calibration_error_is_the_gap() -> None:
    confidences = np.full(100, 0.9, np.float32)
    right = np.arange(100) < 70
    assert figures.calibration_error(confidences, right) == pytest.approx(0.2, abs=1e-6)
    assert figures.calibration_error(np.ones(4, np.float32), np.ones(4, bool)) == 0


def test_few_rows_look_miscalibrated_by_chance() -> None:
    """With n rows in one bin the gap is that of a mean: about 0.8 standard errors."""
    confidences = np.full(400, 0.8, np.float32)
    expected = 0.8 * (0.8 * 0.2 / 400) ** 0.5
    assert figures.calibration_noise(confidences) == pytest.approx(expected, rel=0.15)
    assert figures.calibration_noise(confidences) < figures.calibration_noise(confidences[:50])


def test_reliability_has_a_bin_for_what_is_there() -> None:
    confidences = np.array([0.1, 0.9, 1.0], np.float32)
    low, high = figures.reliability(confidences, np.array([False, True, False]), bins=2)
    assert low == Bin(1, pytest.approx(0.1), 0.0)
    assert high == Bin(2, pytest.approx(0.95), 0.5)


def test_the_surest_come_first() -> None:
    confidences = np.array([0.9, 0.2, 0.8, 0.1], np.float32)
    right = np.array([True, False, True, True])
    assert figures.surest(confidences, right, 0.5) == 1
    assert figures.surest(confidences, right, 1.0) == 0.75
    assert figures.surest(confidences, right, 0.01) == 1
    assert figures.risk_coverage_area(confidences, right) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


@pytest.mark.parametrize(
    ("shares", "area"), [((0.1, 0.2, 0.3, 0.4), 1), ((0.5, 0.5, 0.5, 0.5), 0.5), ((0.1, 0.3, 0.2, 0.4), 0.75)]
)
def test_ranking_quality(shares: tuple[float, ...], area: float) -> None:
    assert figures.ranking_quality(np.array(shares, np.float32), np.array([0, 0, 1, 1])) == area


def test_kappa() -> None:
    """The second case is Cohen's table of 20 and 15 agreed, 5 and 10 not."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert figures.kappa(first, first) == 1
    assert figures.kappa(first, second) == pytest.approx(0.4)
    assert figures.kappa(["yes"], ["yes"]) == 1
    assert figures.kappa(["yes", "no"], ["no", "yes"]) == -1
