"""Fitting linear heads: logistic regression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from sentiment.figures import Labels, calibration_error, macro_recall
from sentiment.heads import Array

__all__ = ["calibration_error", "macro_recall", "softmax_regression", "yes_no_regressions"]


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
