"""Making confidences honest: fitted on validation rows, never on those that a head learnt from.

A head's shares are those of `scale * logits + shift`. Three forms are tried, of ever more freedom: one scale
for all labels (temperature scaling, Guo et al. 2017), one scale and a shift for each label (Alexandari et al.
2020), a scale and a shift for each (vector scaling; Platt's for yes/no heads). Scales and shifts have a
normal prior, so that a label of which there are five rows is not bent to them.

`logits`, `shares` and `truth` (0 or 1) are (texts, labels), of rows whose truth is known.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sentiment.figures import Labels, Marks, f1
from sentiment.heads import Array, Head, sigmoid, softmax
from sentiment.weights import Calibrated

Form = Literal["temperature", "shifts", "vector"]
FORMS: tuple[Form, ...] = ("temperature", "shifts", "vector")
FOLDS = 5
SPREAD = 0.5
"""Standard deviation of the priors: of a shift around 0, of a scale around 1 or what all labels share."""


def calibrate(head: Head, logits: Array, truth: Array, sources: Labels | None = None) -> Calibrated:
    """The scale and shift that make the truth likeliest, in the simplest form that is not clearly beaten in
    cross-validation (see `best_form`), with thresholds by `thresholds`. The same rows in the same order give
    the same numbers.
    """
    scale, shift = fit(head, best_form(head, logits, truth, sources), logits, truth)
    shares = softmax(logits * scale + shift) if head.kind == "one" else sigmoid(logits * scale + shift)
    return Calibrated(
        head,
        tuple(round(float(each), 4) for each in scale),
        tuple(round(float(each), 4) for each in shift),
        thresholds(head, shares, truth),
    )


def fit(head: Head, form: Form, logits: Array, truth: Array) -> tuple[Array, Array]:
    """Scale and shift, (labels,) each, of one form."""
    labels = logits.shape[1]
    scale, _ = _minimise(head, logits, truth, torch.ones(1), torch.zeros(0))
    if form == "temperature":
        return scale.expand(labels).numpy(), np.zeros(labels, np.float32)
    around = scale.expand(labels) if form == "vector" else scale
    scale, shift = _minimise(head, logits, truth, around, torch.zeros(labels))
    return scale.expand(labels).numpy(), shift.numpy()


def best_form(head: Head, logits: Array, truth: Array, sources: Labels | None = None) -> Form:
    """The simplest form whose held-out loss no freer one beats by more than a standard error.

    `sources` (texts,) are numbers of where the texts come from. Where there are several, a whole source is
    held out at a time: shifts fit how frequent each label is in one source, and that does not travel. Else
    every fifth text is.
    """
    fold = np.arange(len(logits)) % FOLDS
    if sources is not None and len(np.unique(sources)) > 1:
        fold = sources
    best, best_losses = FORMS[0], np.empty(0)
    for form in FORMS:
        losses = np.empty(len(logits))
        for k in np.unique(fold):
            rest, held = fold != k, fold == k
            scale, shift = fit(head, form, logits[rest], truth[rest])
            honest = torch.from_numpy(logits[held] * scale + shift)
            losses[held] = _losses(head, honest, truth[held]).numpy()
        if form == FORMS[0]:
            best_losses = losses
        gain = best_losses - losses
        if gain.mean() > gain.std() / len(gain) ** 0.5:
            best, best_losses = form, losses
    return best


def _losses(head: Head, logits: Tensor, truth: Array) -> Tensor:
    """Negative log likelihood of each text."""
    wanted = torch.from_numpy(truth).to(logits.dtype)
    if head.kind == "one":
        return functional.cross_entropy(logits, wanted, reduction="none")
    return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=1)


def _minimise(
    head: Head, logits: Array, truth: Array, around: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """Scale and shift, of the sizes of `around` and `shift`, from there on."""
    x, around = torch.from_numpy(logits).double(), around.double()
    scale, shift = around.clone().requires_grad_(), shift.double().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [scale, shift], max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        honest = x * scale + shift if len(shift) else x * scale
        far = (scale / around - 1).square().sum() + shift.square().sum()
        loss = (_losses(head, honest, truth).sum() + far / (2 * SPREAD**2)) / len(x)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return scale.detach().float(), shift.detach().float()


def thresholds(
    head: Head, shares: Array, truth: Array, low: float = 0.2, high: float = 0.8
) -> tuple[float, ...]:
    """Of each label, the share from which it is worth saying. A head of kind "one" has one for all: see
    `worth_saying`. One of kind "any": see `best_threshold`."""
    if head.kind == "one":
        best = shares.argmax(axis=1)
        right = truth[np.arange(len(truth)), best] > 0
        return (round(worth_saying(shares.max(axis=1), right), 2),) * len(head.labels)
    return tuple(best_threshold(shares[:, j], truth[:, j], low, high) for j in range(len(head.labels)))


def best_threshold(shares: Array, truth: NDArray[np.generic], low: float = 0.2, high: float = 0.8) -> float:
    """The share from which saying yes gives the best F1, within bounds that keep it believable; the nearest
    to a half where several do."""
    candidates = np.arange(low, high + 1e-9, 0.02)
    found = max(candidates, key=lambda t: (f1(shares >= t, truth), -abs(t - 0.5)))
    return round(float(found), 2)


def worth_saying(confidences: Array, right: Marks, at_least: float = 0.5) -> float:
    """The lowest confidence near which labels are right at least `at_least` of the time. A right one that is
    said wins `1 - at_least`, a wrong one costs `at_least`: this is where most is won. 1 where nothing is."""
    sure, hits, rows = _from_the_surest(confidences, right)
    won = hits - at_least * rows
    best = np.flatnonzero(won == won.max())[-1]
    return float(sure[best]) if won[best] >= 0 else 1.0


def coverage_threshold(confidences: Array, right: Marks, at_least: float) -> float:
    """The lowest confidence from which all that is said is right at least `at_least` of the time: the widest
    coverage of that accuracy on the risk-coverage curve. 1 where no coverage has it."""
    sure, hits, rows = _from_the_surest(confidences, right)
    good = np.flatnonzero(hits / rows >= at_least)
    return float(sure[good[-1]]) if len(good) else 1.0


def _from_the_surest(confidences: Array, right: Marks) -> tuple[Array, Array, Array]:
    """Each confidence that there is, downwards, and how many rows are at least so sure: right ones, all."""
    values, places = np.unique(confidences, return_inverse=True)
    hits = np.bincount(places, weights=right)[::-1].cumsum()
    return values[::-1], hits, np.bincount(places)[::-1].cumsum()
