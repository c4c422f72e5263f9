"""What a named model version says of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

SentimentLabel = Literal["negative", "neutral", "positive"]
SENTIMENTS: tuple[SentimentLabel, ...] = get_args(SentimentLabel)

IntentLabel = Literal[
    "complaint",
    "refund_return",
    "delivery_status",
    "billing_payment",
    "technical_problem",
    "account_access",
    "cancel_churn",
    "product_question",
    "loyalty_rewards",
    "praise_thanks",
    "feature_suggestion",
    "escalation",
    "spam_irrelevant",
    "other",
]
INTENTS: tuple[IntentLabel, ...] = get_args(IntentLabel)

EmotionLabel = Literal[
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
]
"""GoEmotions' names (Demszky et al. 2020)."""
EMOTIONS: tuple[EmotionLabel, ...] = get_args(EmotionLabel)

Precision = Literal["fp32", "bf16"]
"""What the default model multiplies matrices in; all else is fp32."""


@dataclass(frozen=True, slots=True)
class Sentiment:
    """`label` is None where the model abstains; `scores` are probabilities over the labels, summing to 1."""

    label: SentimentLabel | None
    confidence: float
    scores: Mapping[SentimentLabel, float]

    @property
    def score(self) -> float:
        """From -1, surely negative, to 1, surely positive; 0 where nothing is known."""
        return self.scores.get("positive", 0.0) - self.scores.get("negative", 0.0)


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing the customer wants, with the model's probability."""

    label: IntentLabel
    confidence: float


@dataclass(frozen=True, slots=True)
class Emotion:
    """The feeling that shows most; "neutral" where none does."""

    label: EmotionLabel
    confidence: float


@dataclass(frozen=True, slots=True)
class TaughtIntent:
    """An intent that somebody taught this hub, by the name they gave it."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a model version says of one message.

    `language` is an ISO 639-1 code or None where nobody can tell. `intents` holds those above the threshold:
    the topic first, then the others, surest first; empty where the model abstains. `emotion`, `sarcasm` and
    `expects_reply` (probabilities) are None where the model abstains or does not read them. `embedding`
    (384 numbers, of unit length) is near that of messages which say the like. `abstained` says in words why
    a head is silent, empty where all speak.
    """

    model: str
    language: str | None
    language_confidence: float
    sentiment: Sentiment
    intents: tuple[Intent, ...]
    abstained: tuple[str, ...] = ()
    emotion: Emotion | None = None
    sarcasm: float | None = None
    expects_reply: float | None = None
    taught: tuple[TaughtIntent, ...] = ()
    embedding: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


class Scorer(Protocol):
    """A loaded model. `name` is its version, stored with every analysis."""

    name: str

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """One analysis per text, in order. Any Unicode is fine; empty texts are abstained on."""
