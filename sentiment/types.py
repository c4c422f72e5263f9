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


@dataclass(frozen=True, slots=True)
class Word:
    """Some of a text as it was written, `text[start:end]` of it: a word, a picture, a passage of a long text.

    `contribution` is what it adds to the log odds of a label; below 0 it speaks against it.
    """

    start: int
    end: int
    text: str
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why `model` holds `label` for as likely as it does: `words`, in the order of the text.

    `head` is one of `sentiment.heads.PRODUCT`. `confidence` is the label's probability, whether that is
    enough to say it or not, `total` its natural log odds, and `baseline` those of a text without words. Words
    work together, so that contributions need not add up to the difference of the two.
    """

    model: str
    head: str
    label: str
    confidence: float
    total: float
    baseline: float
    words: tuple[Word, ...]

    def strength(self, word: Word) -> int:
        """How much a word matters beside the one that matters most: 3, 2, 1, or 0 for hardly at all."""
        most = max(abs(each.contribution) for each in self.words)
        bounds = (0.15 * most, 0.4 * most, 0.7 * most)
        return sum(abs(word.contribution) >= max(bound, 0.1) for bound in bounds)


class Scorer(Protocol):
    """A loaded model. `name` is its version, stored with every analysis."""

    name: str

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """One analysis per text, in order. Any Unicode is fine; empty texts are abstained on."""

    def explain(self, text: str, head: str = "sentiment", label: str | None = None) -> Explanation:
        """Which words moved `label` of `head`; the likeliest label where none is named. Raises:
        sentiment.explain.CannotExplain, where no model reads the text, or none has such a label."""
