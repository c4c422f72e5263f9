"""Fitting and measuring linear heads: logistic regression, temperatures, thresholds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sentiment.heads import Array, sigmoid, softmax

Labels = NDArray[np.int64]


def softmax_regression(
    inputs: Array, labels: Labels, classes: int, decay: float, balance: float = 0.0
) -> tuple[Array, Array]:
    """Multinomial logistic regression: weights (classes, inputs) and biases; `decay` is the L2 term.

    Classes weigh as their share to the power of -`balance`: 0 takes rows as they are, 1 all classes alike.
    """
    targets = torch.from_numpy(labels)
    shares = np.bincount(labels, minlength=classes) / len(labels)
    weights = torch.from_numpy((shares**-balance).astype(np.float32))
    return _minimise(inputs, classes, decay, lambda x: functional.cross_entropy(x, targets, weight=weights))


def yes_no_regressions(inputs: Array, targets: Array, weights: Array, decay: float) -> tuple[Array, Array]:
    """One logistic regression per column of `targets`; `weights` (texts, labels) is 0 where the truth is
    unknown."""
    truth, weight = torch.from_numpy(targets), torch.from_numpy(weights)

    def loss(logits: torch.Tensor) -> torch.Tensor:
        losses = functional.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="sum")
        return losses / weight.sum()

    return _minimise(inputs, targets.shape[1], decay, loss)


def _minimise(
    inputs: Array, outputs: int, decay: float, loss: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[Array, Array]:
    x = torch.from_numpy(np.ascontiguousarray(inputs, np.float32))
    weight = torch.zeros(outputs, x.shape[1], requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=300, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss(x @ weight.T + bias) + decay * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach().numpy(), bias.detach().numpy()


TEMPERATURES = np.geomspace(0.4, 4.0, 93)


def softmax_temperature(logits: Array, labels: Labels) -> float:
    """The temperature of least negative log likelihood."""

    def loss(temperature: float) -> float:
        shares = softmax(logits / temperature)[np.arange(len(labels)), labels]
        return -float(np.log(np.maximum(shares, 1e-12)).mean())

    return float(min(TEMPERATURES, key=loss))


def sigmoid_temperature(logits: Array, targets: Array, weights: Array) -> float:
    """The same for yes/no heads, over all of them together."""

    def loss(temperature: float) -> float:
        shares = np.clip(sigmoid(logits / temperature), 1e-7, 1 - 1e-7)
        return -float((weights * (targets * np.log(shares) + (1 - targets) * np.log(1 - shares))).sum())

    return float(min(TEMPERATURES, key=loss))


def best_threshold(shares: Array, truth: Array, low: float = 0.2, high: float = 0.8) -> float:
    """The probability from which saying yes gives the best F1, within bounds that keep it believable."""
    candidates = np.arange(low, high + 1e-9, 0.02)
    return round(float(max(candidates, key=lambda t: f1(shares >= t, truth))), 2)


def worth_saying(confidences: Array, right: NDArray[np.bool_], at_least: float = 0.5) -> float:
    """The lowest confidence from which a label is right at least `at_least` of the time, judged in bins of
    0.05."""
    for low in np.arange(0.3, 0.95, 0.05):
        inside = (confidences >= low) & (confidences < low + 0.05)
        if inside.sum() >= 20 and right[inside].mean() >= at_least:
            return round(float(low), 2)
    return 0.5


def f1(said: NDArray[np.bool_], truth: Array) -> float:
    """Harmonic mean of precision and recall; 0 where nothing was found."""
    hits = float((said & (truth > 0)).sum())
    return 2 * hits / max(float(said.sum() + (truth > 0).sum()), 1.0)


def macro_recall(predicted: Labels, labels: Labels) -> float:
    """Mean over classes of the share of its rows that were found: TweetEval's figure for sentiment."""
    return float(np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]))


def calibration_error(confidences: Array, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: |accuracy - confidence| in equal-width bins, weighted by their share."""
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = [
        abs(right[places == b].mean() - confidences[places == b].mean()) * (places == b).mean()
        for b in range(bins)
        if (places == b).any()
    ]
    return float(sum(gaps))


def ranking_quality(shares: Array, truth: Array) -> float:
    """Area under the ROC curve: how often a yes is ranked above a no (ties count half)."""
    order = shares.argsort(kind="stable")
    values, places = np.unique(shares[order], return_inverse=True)
    means = np.bincount(places, weights=np.arange(1, len(shares) + 1)) / np.bincount(
        places, minlength=len(values)
    )
    ranks = np.empty(len(shares))
    ranks[order] = means[places]
    positives = int((truth > 0).sum())
    negatives = len(truth) - positives
    return float((ranks[truth > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))
