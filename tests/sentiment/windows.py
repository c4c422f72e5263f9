"""Word pieces without a text, for what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sentiment.network import VOCABULARY


def windows(lengths: Sequence[Sequence[int]], seed: int = 0) -> list[list[list[int]]]:
    """Texts whose windows have these lengths, of any pieces; the same for the same lengths."""
    draw = Random(seed)
    return [[[draw.randrange(VOCABULARY) for _ in range(length)] for length in text] for text in lengths]
