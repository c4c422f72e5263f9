"""What each head of the network answers: names of its outputs, and how to read its logits.

A head of kind "one" is a softmax over labels of which one holds; one of kind "any" is a yes/no for each
label. The product's own heads come first; the others learn beside them what the benchmarks ask, because a
reader of mockery, offence and many intents reads customers better, and so that the card can measure them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sentiment.types import EMOTIONS, INTENTS, SENTIMENTS

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """`labels` in the order of the logits."""

    name: str
    kind: Literal["one", "any"]
    labels: tuple[str, ...]


def softmax(logits: Array) -> Array:
    """Shares along the last axis."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: Array = shares / shares.sum(axis=-1, keepdims=True)
    return found


def sigmoid(logits: Array) -> Array:
    """Probabilities of yes, one by one."""
    found: Array = 0.5 * (1 + np.tanh(0.5 * logits))
    return found


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
