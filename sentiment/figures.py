"""What is measured: each figure defined once, for the fits, the model card and whoever compares two versions.

Rows of predictions and truths are indices of labels, (texts,). Confidences and shares are 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment.heads import Array

Labels = NDArray[np.int64]
Marks = NDArray[np.bool_]


def f1(said: Marks, truth: NDArray[np.generic]) -> float:
    """Harmonic mean of precision and recall of one label; 0 where nothing was found."""
    yes = truth.astype(bool)
    return 2 * float((said & yes).sum()) / max(float(said.sum() + yes.sum()), 1.0)


def macro_f1(predicted: Labels, labels: Labels) -> float:
    """Mean F1 of the labels that the truth has."""
    return float(np.mean([f1(predicted == c, labels == c) for c in np.unique(labels)]))


def macro_recall(predicted: Labels, labels: Labels) -> float:
    """Mean over the labels that the truth has of the share of its rows that were found: TweetEval's figure
    for sentiment."""
    return float(np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]))


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like confidence: how many, how sure on average, and how often right."""

    rows: int
    confidence: float
    accuracy: float


def reliability(confidences: Array, right: Marks, bins: int = 15) -> list[Bin]:
    """The reliability diagram: bins of equal width from 0 to 1, empty ones left out."""
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    inside = [places == b for b in range(bins) if (places == b).any()]
    return [Bin(int(i.sum()), float(confidences[i].mean()), float(right[i].mean())) for i in inside]


def calibration_error(confidences: Array, right: Marks, bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015; Guo et al. 2017): |accuracy - confidence| of each bin
    of the reliability diagram, weighted by its share of the rows."""
    found = reliability(confidences, right, bins)
    return sum(each.rows * abs(each.accuracy - each.confidence) for each in found) / len(right)


def calibration_noise(confidences: Array, bins: int = 15, draws: int = 200) -> float:
    """The calibration error that honest confidences would show by chance on so many rows: the mean over
    draws, always the same ones, of answers that are right as often as their confidence says."""
    draw = np.random.default_rng(0)
    honest = (draw.random(len(confidences)) < confidences for _ in range(draws))
    return float(np.mean([calibration_error(confidences, right, bins) for right in honest]))


def surest(confidences: Array, right: Marks, coverage: float) -> float:
    """Accuracy of the surest rows, `coverage` (0..1] of them: one minus the risk at that coverage."""
    order = np.argsort(-confidences, kind="stable")
    return float(right[order[: max(1, round(coverage * len(right)))]].mean())


def risk_coverage_area(confidences: Array, right: Marks) -> float:
    """Area under the risk-coverage curve (El-Yaniv and Wiener 2010): the mean over all coverages of the share
    of wrong answers among the surest; 0 is best."""
    wrong = ~right[np.argsort(-confidences, kind="stable")]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def ranking_quality(shares: Array, truth: NDArray[np.generic]) -> float:
    """Area under the ROC curve: how often a yes is ranked above a no (ties count half)."""
    order = shares.argsort(kind="stable")
    values, places = np.unique(shares[order], return_inverse=True)
    means = np.bincount(places, weights=np.arange(1, len(shares) + 1)) / np.bincount(
        places, minlength=len(values)
    )
    ranks = np.empty(len(shares))
    ranks[order] = means[places]
    yes = truth.astype(bool)
    positives = int(yes.sum())
    negatives = len(yes) - positives
    return float((ranks[yes].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement of two who labelled the same rows, beyond chance (Cohen 1960): 1 is full, 0 is chance; 1
    where both gave every row the same one label."""
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    chance = sum(first.count(label) * second.count(label) for label in set(first)) / len(first) ** 2
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)
