"""What any model that reads texts gives: probabilities, before it is decided what may be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sentiment.heads import Array


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Per text, in the order of `SENTIMENTS` (texts, 3) and `INTENTS` (texts, 14); None where not read."""

    sentiment: Array | None
    intents: Array | None


class Reader(Protocol):
    """Something that reads cleaned texts. `languages` is None where it does not say which it knows."""

    name: str
    languages: frozenset[str] | None
    sentiment_threshold: float
    intent_thresholds: tuple[float, ...]

    def read(self, cleaned: Sequence[str]) -> Probabilities:
        """The probabilities of each text, in order."""
