"""The model that knows three words, with what it takes to learn: it sees texts as bags of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from sentiment.adaptation import Adaptation, AdaptationError, Seen
from sentiment.heads import INTENT, SENTIMENT, Array, LinearHead, sigmoid
from sentiment.types import INTENTS, SENTIMENTS, Analysis, Intent, Sentiment
from tests.factories import WordScorer

WIDTH = 256
LUGGAGE = (
    "my suitcase never arrived",
    "where is the bag I checked in",
    "luggage lost between two flights",
    "nobody at the belt had my trolley",
    "still no trace of our rucksack",
)


class Pupil(WordScorer):
    """Implements `hub.learning.versions.Adaptable`; `foreign` is a language that it does not read."""

    def __init__(self, name: str = "words-1", adaptation: Adaptation | None = None) -> None:
        self.name = name
        self.adaptation = adaptation or Adaptation()

    def see(self, texts: Sequence[str]) -> Seen:
        """Embeddings only: all that a taught intent needs."""
        objections = tuple("written in a foreign language" if "foreign" in text else None for text in texts)
        return Seen(bags(texts), {}, {}, {}, objections)

    def adapted(self, adaptation: Adaptation, name: str) -> Pupil:
        """Raises: AdaptationError for one that refits heads, of which there are none."""
        if adaptation.heads:
            raise AdaptationError("made for another model")
        return Pupil(name, adaptation)

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """As without lessons, and with the intents that it was taught."""
        taught = self.adaptation.taught.find(bags(texts))
        return [
            replace(said, model=self.name, taught=found)
            for said, found in zip(super().score(texts), taught, strict=True)
        ]


def bags(texts: Sequence[str]) -> Array:
    """Bags of words (texts, WIDTH), of unit length."""
    found = np.zeros((len(texts), WIDTH), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split() or ["nothing"]:
            found[row, crc32(word.encode()) % WIDTH] += 1
    unit: Array = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


class Student(Pupil):
    """Reads by two heads over bags of words, which can be calibrated and refitted: at first it holds every
    message for neutral (0.6 sure), and finds no intent in it."""

    def see(self, texts: Sequence[str]) -> Seen:
        """Everything, for both heads."""
        plain = super().see(texts)
        heads = self.adaptation.of(HEADS)
        return replace(
            plain,
            inputs=dict.fromkeys(heads, plain.embeddings),
            log_shares={name: head.log_shares(plain.embeddings) for name, head in heads.items()},
            heads=heads,
        )

    def adapted(self, adaptation: Adaptation, name: str) -> Student:
        """The same with an adaptation."""
        adaptation.of(HEADS)
        return Student(name, adaptation)

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """The likeliest sentiment, and the intents that are likelier than not."""
        said = self.see(texts).log_shares
        return [
            Analysis(
                model=self.name,
                language="en",
                language_confidence=0.99,
                sentiment=Sentiment(
                    SENTIMENTS[int(moods.argmax())],
                    float(np.exp(moods.max())),
                    {label: float(np.exp(mood)) for label, mood in zip(SENTIMENTS, moods, strict=True)},
                ),
                intents=tuple(
                    Intent(INTENTS[i], float(sigmoid(odds[i]))) for i in np.argsort(-odds) if odds[i] > 0
                ),
            )
            for moods, odds in zip(said["sentiment"], said["intents"], strict=True)
        ]


HEADS = {
    "sentiment": LinearHead(
        SENTIMENT, np.zeros((3, WIDTH), np.float32), np.log(np.float32([0.2, 0.6, 0.2])), (0.0,) * 3
    ),
    "intents": LinearHead(
        INTENT, np.zeros((14, WIDTH), np.float32), np.full(14, -2, np.float32), (0.5,) * 14
    ),
}
