"""What all measurements share: the data, the shipped model, the original encoder, a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.progress import Progress

from sentiment.baselines import Original
from sentiment.datasets import table
from sentiment.figures import (
    Labels,
    Marks,
    calibration_error,
    calibration_noise,
    reliability,
    risk_coverage_area,
    surest,
)
from sentiment.heads import Array
from sentiment.model import NetworkReader
from sentiment.reader import Reading
from sentiment.text import clean

Figures = dict[str, Any]
Row = dict[str, str]
Read = TypeVar("Read")

CHUNK = 512
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
POINTS = 50
"""Of the risk-coverage curve."""


class Instruments:
    """`most` is how many rows of each table are read, evenly spaced; None reads all."""

    def __init__(self, data: Path, progress: Progress, most: int | None = None) -> None:
        """Raises: sentiment.weights.WeightsError, where the model or the original encoder is missing."""
        self.data = data
        self.reader = NetworkReader()
        self._original = Original()
        self._progress = progress
        self._most = most

    def table(self, name: str) -> list[Row]:
        """The rows of a data set: `name` is folder and file without endings."""
        return self.sample(table(self.data / f"{name}.tsv.gz"))

    def sample(self, rows: list[Read]) -> list[Read]:
        """The rows, or some of them where not all are asked for."""
        return rows if self._most is None else rows[:: max(1, len(rows) // self._most)]

    def read(self, texts: Sequence[str], what: str) -> Reading:
        """What the shipped model makes of texts as they were written. `what` is shown meanwhile."""
        parts = self._each(texts, what, self.reader.read)
        embeddings = np.concatenate([part.embeddings for part in parts if part.embeddings is not None])
        return Reading(
            {name: np.concatenate([part.shares[name] for part in parts]) for name in parts[0].shares},
            embeddings,
        )

    def logits(self, texts: Sequence[str], what: str) -> dict[str, Array]:
        """The logits of the same, by head."""
        parts = self._each(texts, what, self.reader.logits)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def original(self, texts: Sequence[str], what: str) -> Array:
        """What the original encoder makes of them: embeddings (texts, width)."""
        return np.concatenate(self._each(texts, f"{what}, original", self._original.embed))

    def _each(self, texts: Sequence[str], what: str, read: Callable[[list[str]], Read]) -> list[Read]:
        bar = self._progress.add_task(what, total=len(texts))
        parts = []
        for start in range(0, len(texts), CHUNK):
            chunk = [clean(text) for text in texts[start : start + CHUNK]]
            parts.append(read(chunk))
            self._progress.advance(bar, len(chunk))
        self._progress.remove_task(bar)
        self._progress.console.log(f"{what}: {len(texts):,} texts", highlight=False)
        return parts


def indices(rows: Sequence[Row], labels: Sequence[str], column: str = "label") -> Labels:
    """The rows' labels as indices."""
    return np.array([labels.index(row[column]) for row in rows])


def trust(confidences: Array, right: Marks) -> Figures:
    """How far confidences can be believed, and how right the surest answers are."""
    bins = [
        {"rows": b.rows, "confidence": b.confidence, "accuracy": b.accuracy}
        for b in reliability(confidences, right)
    ]
    return {
        "rows": len(right),
        "accuracy": float(right.mean()),
        "calibration_error": calibration_error(confidences, right),
        "calibration_noise": calibration_noise(confidences),
        "reliability": bins,
        "surest": {f"{share:.1f}": surest(confidences, right, share) for share in COVERAGES},
        "curve": [[i / POINTS, surest(confidences, right, i / POINTS)] for i in range(1, POINTS + 1)],
        "risk_coverage_area": risk_coverage_area(confidences, right),
    }


def spoken(confidences: Array, right: Marks, threshold: float) -> Figures:
    """What is left where nothing is said below `threshold`."""
    said = confidences >= threshold
    return {
        "threshold": threshold,
        "share": float(said.mean()),
        "accuracy": float(right[said].mean()) if said.any() else None,
    }
