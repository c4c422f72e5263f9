"""What a named model version says of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

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


@dataclass(frozen=True, slots=True)
class Sentiment:
    """`label` is None where the model abstains; `scores` are probabilities over the labels, summing to 1."""

    label: SentimentLabel | None
    confidence: float
    scores: Mapping[SentimentLabel, float]


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing the customer wants, with the model's probability."""

    label: IntentLabel
    confidence: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a model version says of one message.

    `language` is an ISO 639-1 code or None where nobody can tell. `intents` holds those above the threshold,
    surest first; empty where the model abstains. `abstained` says in words why a head is silent, empty where
    all speak.
    """

    model: str
    language: str | None
    language_confidence: float
    sentiment: Sentiment
    intents: tuple[Intent, ...]
    abstained: tuple[str, ...] = ()


class Scorer(Protocol):
    """A loaded model. `name` is its version, stored with every analysis."""

    name: str

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """One analysis per text, in order. Any Unicode is fine; empty texts are abstained on."""
