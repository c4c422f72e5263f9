"""The shipped network, read through a workspace's adaptation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sentiment.adaptation import Adaptation, Seen
from sentiment.heads import Array, LinearHead
from sentiment.reader import Reading


class Seeing(Protocol):
    """A reader that shows what its heads see: (texts, heads, width), in the order of `heads`, and the
    embeddings (texts, width)."""

    languages: frozenset[str] | None

    @property
    def heads(self) -> Mapping[str, LinearHead]:
        """As they are shipped, calibration included."""

    def see(self, cleaned: Sequence[str]) -> tuple[Array, Array]:
        """Of each text, in order."""


class AdaptedReader:
    """A `sentiment.reader.Reader` that has no network of its own: `shipped` sees for it."""

    def __init__(self, shipped: Seeing, adaptation: Adaptation, name: str) -> None:
        """Raises: AdaptationError, where the adaptation was made for another model."""
        self.shipped = shipped
        self.name = name
        self.languages = shipped.languages
        heads = shipped.heads
        self.heads = adaptation.of(heads)
        self.thresholds: Mapping[str, tuple[float, ...]] = {k: h.thresholds for k, h in self.heads.items()}
        self._taught = adaptation.taught
        self._places = {name: place for place, name in enumerate(heads) if name in self.heads}

    def read(self, cleaned: Sequence[str]) -> Reading:
        seen = self.look(cleaned, [None] * len(cleaned))
        shares = {name: head.shares(seen.inputs[name]) for name, head in self.heads.items()}
        return Reading(shares, seen.embeddings, self._taught.find(seen.embeddings))

    def look(self, cleaned: Sequence[str], objections: Sequence[str | None]) -> Seen:
        """What the network sees of the texts, and what the adapted heads say of it."""
        seen, embeddings = self.shipped.see(cleaned)
        inputs = {name: seen[:, place] for name, place in self._places.items()}
        said = {name: head.log_shares(inputs[name]) for name, head in self.heads.items()}
        return Seen(embeddings, inputs, said, self.heads, tuple(objections))
