"""The trained heads: pooled features in, calibrated probabilities out.

One logistic layer over the concatenated layer means of the encoder. Each layer's mean is scaled to unit
length and then standardised with the training set's mean and deviation, so that one strength of
regularisation suits all. The sentiment head is a softmax over three labels; the intents are one yes/no
each, since a message may want several things. Temperatures were fitted on validation data (Guo et al. 2017,
"On Calibration of Modern Neural Networks").
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from sentiment.types import INTENTS, SENTIMENTS

Array = NDArray[np.float32]
WEIGHTS = Path(__file__).parent / "weights" / "heads.safetensors"


class HeadsError(Exception):
    """The heads file does not fit this code or this encoder; train it anew."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the file says of itself. `layers` are indices into the encoder's layer means, 0 the embeddings."""

    version: str
    encoder_sha256: str
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    sentiment_labels: tuple[str, ...]
    sentiment_temperature: float
    sentiment_threshold: float
    intent_labels: tuple[str, ...]
    intent_temperature: float
    intent_thresholds: tuple[float, ...]
    seed: int

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Lists come back as the tuples they were."""
        raw: dict[str, Any] = json.loads(text)
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()
        }
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Heads:
    """Weights are (labels, inputs), biases (labels,); `mean` and `scale` (inputs,) standardise the inputs."""

    card: Card
    mean: Array
    scale: Array
    sentiment_weight: Array
    sentiment_bias: Array
    intent_weight: Array
    intent_bias: Array

    def sentiment(self, inputs: Array) -> Array:
        """Probabilities (texts, 3) of already prepared `inputs`, in the order of `SENTIMENTS`."""
        return softmax(
            (inputs @ self.sentiment_weight.T + self.sentiment_bias) / self.card.sentiment_temperature
        )

    def intents(self, inputs: Array) -> Array:
        """Probabilities (texts, 14) of already prepared `inputs`, each on its own, in the order of
        `INTENTS`."""
        return sigmoid((inputs @ self.intent_weight.T + self.intent_bias) / self.card.intent_temperature)

    def prepare(self, features: Array | NDArray[np.float16]) -> Array:
        """Layer means (texts, layers, width) to the heads' inputs (texts, inputs)."""
        return (flatten(features, self.card.layers) - self.mean) / self.scale

    def save(self, path: Path) -> None:
        """Write weights and card as safetensors."""
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: np.ascontiguousarray(getattr(self, name), np.float32) for name in _TENSORS}
        save_file(tensors, path, metadata={"card": json.dumps(asdict(self.card), sort_keys=True)})
        path.chmod(0o644)


_TENSORS = ("mean", "scale", "sentiment_weight", "sentiment_bias", "intent_weight", "intent_bias")


def load_heads(path: Path = WEIGHTS, encoder_sha256: str | None = None) -> Heads:
    """Read a heads file. Raises: HeadsError, where it is missing, for other labels or for another encoder."""
    try:
        with safe_open(path, framework="numpy") as file:
            card = Card.from_json(file.metadata()["card"])
            tensors = {name: file.get_tensor(name) for name in _TENSORS}
    except Exception as error:  # safetensors raises its own and the system's errors; all mean the same here
        raise HeadsError(f"{path} cannot be read as heads: {error}") from error
    if card.sentiment_labels != SENTIMENTS or card.intent_labels != INTENTS:
        raise HeadsError(f"{path} was trained for other labels")
    if encoder_sha256 is not None and card.encoder_sha256 != encoder_sha256:
        raise HeadsError(f"{path} was trained on another encoder ({card.encoder_sha256})")
    return Heads(card, **tensors)


def flatten(features: Array | NDArray[np.float16], layers: tuple[int, ...]) -> Array:
    """The chosen layers' means, each of unit length, side by side: (texts, len(layers) * width)."""
    chosen = features[:, list(layers), :].astype(np.float32)
    norms = np.linalg.norm(chosen, axis=2, keepdims=True)
    unit: Array = chosen / np.maximum(norms, 1e-12)
    return unit.reshape(len(features), -1)


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Array) -> Array:
    """Elementwise, without overflow."""
    result: Array = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
    return result
