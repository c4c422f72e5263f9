"""What the model is measured beside: two lexicons, counted words, and the encoder as it was published.

Needs the packages of `.[train]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from textblob import TextBlob
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from sentiment.figures import Labels
from sentiment.heads import Array
from sentiment.inference import Inference
from sentiment.linear import multiplies_bf16
from sentiment.pieces import Pieces, by_size
from sentiment.train import origin

LOOSE, LOOSE_WORDS = 30.0, 10.0
"""Inverse weight of the L2 term (scikit-learn's C) on embeddings of unit length, and on TF-IDF: about the
best of 1 to 300 on training rows of Banking77."""


def vader(texts: Sequence[str]) -> Labels:
    """Indices in `SENTIMENTS`, by VADER (Hutto and Gilbert 2014) with its authors' bounds, from the texts as
    they were written."""
    analyser = SentimentIntensityAnalyzer()
    return _signs([analyser.polarity_scores(text)["compound"] for text in texts], 0.05)


def textblob(texts: Sequence[str]) -> Labels:
    """Indices in `SENTIMENTS`, by the sign of TextBlob's polarity."""
    return _signs([TextBlob(text).sentiment.polarity for text in texts], 1e-9)


def _signs(scores: Sequence[float], bound: float) -> Labels:
    values = np.array(scores)
    return 1 + (values >= bound).astype(np.int64) - (values <= -bound).astype(np.int64)


class Original:
    """all-MiniLM-L6-v2 as it was published: the mean of its last layer, of unit length."""

    def __init__(self) -> None:
        """It reads in bf16 where the processor can, to be done sooner: a regression on top evens it out.

        Raises: sentiment.weights.WeightsError, where its package is not installed.
        """
        self._inference = Inference(origin({"none": 1}), "bf16" if multiplies_bf16() else "fp32")
        self._pieces = Pieces()

    def embed(self, cleaned: Sequence[str]) -> Array:
        """(texts, width). Read as the shipped network reads: in windows, pictures spelled out."""
        texts: list[list[list[int]]] = [[] for _ in cleaned]
        for window, owner in zip(*self._pieces.windows(cleaned), strict=True):
            texts[owner].append(window)
        found = [
            (batch, self._inference([texts[i] for i in batch])[1])
            for batch in by_size([sum(map(len, windows)) for windows in texts])
        ]
        order = np.argsort(np.concatenate([batch for batch, _ in found]))
        embeddings: Array = np.concatenate([rows for _, rows in found])[order]
        return embeddings


def linear(seen: Array, labels: Labels, asked: Array, classes: int, balanced: bool = True) -> Array:
    """Logistic regression on embeddings: shares (asked, classes), 0 for a class that was not seen.

    `balanced` lets every class count alike, as macro averages do.
    """
    return _shares(seen, labels, asked, classes, LOOSE, balanced)


def counted(seen: Sequence[str], labels: Labels, asked: Sequence[str], classes: int) -> Array:
    """Logistic regression on TF-IDF of words and pairs of words, balanced: shares (asked, classes)."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(seen) > 1000 else 1)
    inputs = words.fit_transform(seen)
    return _shares(inputs, labels, words.transform(asked), classes, LOOSE_WORDS, balanced=True)


def _shares(seen: Any, labels: Labels, asked: Any, classes: int, loose: float, balanced: bool) -> Array:
    model = LogisticRegression(C=loose, max_iter=2000, class_weight="balanced" if balanced else None)
    model.fit(seen, labels)
    shares = np.zeros((asked.shape[0], classes), np.float32)
    shares[:, model.classes_] = model.predict_proba(asked)
    return shares
