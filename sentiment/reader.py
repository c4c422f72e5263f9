"""What any model that reads texts gives: probabilities, before it is decided what may be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sentiment.heads import Array
from sentiment.types import TaughtIntent


@dataclass(frozen=True, slots=True)
class Reading:
    """Of a list of texts: `shares` (texts, labels) of each head that was read, calibrated, by head name
    (`sentiment.heads.PRODUCT`); `embeddings` (texts, width) of unit length, None from a model that has
    none; `taught` intents, None from a model that was taught none."""

    shares: Mapping[str, Array]
    embeddings: Array | None = None
    taught: Sequence[tuple[TaughtIntent, ...]] | None = None


class Reader(Protocol):
    """Something that reads cleaned texts. `languages` is None where it does not say which it knows."""

    name: str
    languages: frozenset[str] | None
    thresholds: Mapping[str, tuple[float, ...]]
    """Of each head, the share from which a label is said: one for every label."""

    def read(self, cleaned: Sequence[str]) -> Reading:
        """The probabilities of each text, in order."""
