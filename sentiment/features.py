"""Encoded texts for training and measuring: with progress, and kept in a cache folder where one is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from sentiment.encoder import Encoder
from sentiment.text import clean, spell_symbols

console = Console(stderr=True)


class Features:
    """Layer means of texts as they were written, in half precision, which costs the figures nothing.

    The cache knows a list of texts by its hash.
    """

    def __init__(self, cache: Path | None) -> None:
        self._encoder = Encoder()
        self._cache = cache

    def of(self, texts: Sequence[str], what: str) -> NDArray[np.float16]:
        """(texts, layers, width); `what` is shown beside the progress bar."""
        ready = [spell_symbols(clean(text)) for text in texts]
        key = hashlib.sha256("\n".join(ready).encode("utf-8", "replace")).hexdigest()[:24]
        kept = self._cache / f"{key}.npy" if self._cache else None
        if kept and kept.exists():
            found: NDArray[np.float16] = np.load(kept, mmap_mode="r")
            return found
        with Progress(console=console) as progress:
            parts = [
                self._encoder.features(ready[start : start + 1000]).half().numpy()
                for start in progress.track(range(0, len(ready), 1000), description=what)
            ]
        features = np.concatenate(parts)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, features)
        return features
