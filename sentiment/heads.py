"""What each head of the network answers: names of its outputs, and how to read its logits.

A head of kind "one" is a softmax over labels of which one holds; one of kind "any" is a yes/no for each
label. The product's own heads come first; the others learn beside them what the benchmarks ask, because a
reader of mockery, offence and many intents reads customers better, and so that the card can measure them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentiment.types import EMOTIONS, INTENTS, SENTIMENTS

Array = NDArray[np.float32]
Float = TypeVar("Float", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class Head:
    """`labels` in the order of the logits."""

    name: str
    kind: Literal["one", "any"]
    labels: tuple[str, ...]


def softmax(logits: Array) -> Array:
    """Shares along the last axis."""
    return np.exp(log_softmax(logits))


def log_softmax(logits: NDArray[Float]) -> NDArray[Float]:
    """Log shares along the last axis."""
    below = logits - logits.max(axis=-1, keepdims=True)
    found: NDArray[Float] = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    return found


def sigmoid(logits: Array) -> Array:
    """Probabilities of yes, one by one."""
    found: Array = 0.5 * (1 + np.tanh(0.5 * logits))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A map of a head's calibrated logits: `scale * logits + shift`, one of each for every label."""

    scale: Array
    shift: Array


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """A head as it stands, its calibration included: `weight` (labels, width), `bias` (labels,), and the
    share from which each label is said."""

    head: Head
    weight: Array
    bias: Array
    thresholds: tuple[float, ...]

    def logits(self, inputs: Array) -> Array:
        """Of what the head sees (texts, width): (texts, labels)."""
        found: Array = inputs @ self.weight.T + self.bias
        return found

    def log_shares(self, inputs: Array) -> Array:
        """Log probabilities where one label of many holds, else the log odds of each label."""
        logits = self.logits(inputs)
        return log_softmax(logits) if self.head.kind == "one" else logits

    def shares(self, inputs: Array) -> Array:
        """Probabilities: of the labels together where one of them holds, else of each."""
        logits = self.logits(inputs)
        return softmax(logits) if self.head.kind == "one" else sigmoid(logits)

    def mapped(self, affine: Affine) -> LinearHead:
        """The same head with the map after it."""
        weight, bias = self.weight * affine.scale[:, None], self.bias * affine.scale + affine.shift
        return LinearHead(self.head, weight, bias, self.thresholds)


SENTIMENT = Head("sentiment", "one", SENTIMENTS)
TOPIC = Head("topic", "one", INTENTS)
"""Whose desk it is: the first intent of a message, which is a complaint only where it is nothing else."""
INTENT = Head("intents", "any", INTENTS)
EMOTION = Head("emotion", "any", EMOTIONS)
SARCASM = Head("sarcasm", "any", ("sarcastic",))
REPLY = Head("reply", "any", ("expected",))
PRODUCT: Mapping[str, Head] = {
    head.name: head for head in (SENTIMENT, TOPIC, INTENT, EMOTION, SARCASM, REPLY)
}
