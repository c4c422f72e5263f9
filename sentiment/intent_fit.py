"""Fitting the intent heads on public rows and invented messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentiment import datasets, fit
from sentiment.datasets import Wanting
from sentiment.features import Features, console
from sentiment.heads import Array, flatten, sigmoid
from sentiment.types import INTENTS

PUBLIC_SETS = (("banking77", "train"), ("bitext_cs", "all"), ("clinc150", "train"))
PUBLIC_NAMES = tuple(name for name, _ in PUBLIC_SETS)
PER_LABEL = 100
"""At most this many rows of one public set for one intent; more drown the invented messages."""
INVENTED_WEIGHT = 6.0
DECAY = 3e-3
FOLDS = 5


class IntentFit:
    """The fitted heads: `weight` (intents, inputs), `bias`, `temperature` and `thresholds`.

    Temperature and thresholds come from the invented messages by cross-validation: they are what is nearest
    to the messages of real customers, and each is judged by a fit that has not seen it. `held_out` keeps
    those logits.
    """

    def __init__(
        self, data: Path, features: Features, layers: tuple[int, ...], mean: Array, scale: Array, seed: int
    ) -> None:
        def prepare(rows: Sequence[Wanting], what: str) -> Array:
            found: Array = (flatten(features.of([row.text for row in rows], what), layers) - mean) / scale
            return found

        self._public = {
            name: capped(datasets.public_intents(data, name, split), seed) for name, split in PUBLIC_SETS
        }
        self._public_inputs = {name: prepare(rows, name) for name, rows in self._public.items()}
        self._own = datasets.invented()
        self._own_inputs: Array = prepare(self._own, "invented messages")

        folds = np.arange(len(self._own)) % FOLDS
        self.held_out = np.zeros((len(self._own), len(INTENTS)), np.float32)
        for fold in range(FOLDS):
            console.print(f"fitting intents, fold {fold + 1} of {FOLDS}")
            weight, bias = self.fit(PUBLIC_NAMES, folds != fold)
            unseen = folds == fold
            self.held_out[unseen] = self._own_inputs[unseen] @ weight.T + bias
        truth, weights = matrices(self._own)
        self.temperature = fit.sigmoid_temperature(self.held_out, truth, weights)
        shares = sigmoid(self.held_out / self.temperature)
        self.thresholds = tuple(fit.best_threshold(shares[:, j], truth[:, j]) for j in range(len(INTENTS)))
        console.print("fitting intents on everything")
        self.weight, self.bias = self.fit(PUBLIC_NAMES, np.ones(len(self._own), bool))

    def fit(self, public: Sequence[str], own: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Weights and biases from the named public sets and the invented messages that the mask `own`
        picks."""
        rows = [row for name in public for row in self._public[name]]
        rows += [row for row, picked in zip(self._own, own, strict=True) if picked]
        inputs = np.concatenate([*(self._public_inputs[name] for name in public), self._own_inputs[own]])
        truth, weights = matrices(rows)
        invented = np.array(
            [[INVENTED_WEIGHT if row.source == "invented" else 1.0] for row in rows], np.float32
        )
        return fit.yes_no_regressions(inputs, truth, weights * invented, DECAY)

    def without(self, name: str) -> tuple[Array, Array]:
        """Weights and biases of a fit that has not seen one of the public sets."""
        rest = [other for other in PUBLIC_NAMES if other != name]
        return self.fit(rest, np.ones(len(self._own), bool))


def matrices(rows: Sequence[Wanting]) -> tuple[Array, Array]:
    """Truth (rows, intents) as 0 and 1, and weights that are 0 where a row's source does not say."""
    truth = np.array([[intent in row.intents for intent in INTENTS] for row in rows], np.float32)
    weights = np.array([[intent in row.asked for intent in INTENTS] for row in rows], np.float32)
    return truth, weights


def capped(rows: Sequence[Wanting], seed: int) -> list[Wanting]:
    """At most `PER_LABEL` rows for each intent, drawn with the seed."""
    by_intent: dict[frozenset[str], list[Wanting]] = defaultdict(list)
    for index in np.random.default_rng(seed).permutation(len(rows)):
        by_intent[rows[index].intents].append(rows[index])
    return [row for group in by_intent.values() for row in group[:PER_LABEL]]
