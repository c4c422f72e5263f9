"""A loaded model: texts in, analyses out.

A *reader* turns cleaned texts into probabilities; the scorer decides what may be said of them. The default
reader is the packaged encoder with the shipped heads, one pass for everything; any Hugging Face sequence
classifier can stand in its place (`sentiment.classifier`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sentiment.encoder import SHA256, Encoder
from sentiment.heads import Array, Heads, load_heads
from sentiment.language import Language, identify, objection
from sentiment.reader import Probabilities, Reader
from sentiment.text import clean, is_blank, spell_symbols
from sentiment.types import INTENTS, SENTIMENTS, Analysis, Intent, Sentiment


class HeadsReader:
    """The packaged encoder with the shipped heads."""

    def __init__(self, encoder: Encoder, heads: Heads) -> None:
        self.name = heads.card.version
        self.languages: frozenset[str] | None = frozenset(heads.card.languages)
        self.sentiment_threshold = heads.card.sentiment_threshold
        self.intent_thresholds = heads.card.intent_thresholds
        self._encoder = encoder
        self._heads = heads

    def read(self, cleaned: Sequence[str]) -> Probabilities:
        features = self._encoder.features([spell_symbols(text) for text in cleaned]).numpy()
        inputs = self._heads.prepare(features)
        return Probabilities(self._heads.sentiment(inputs), self._heads.intents(inputs))


class MessageScorer:
    """Implements `sentiment.types.Scorer`. Safe to share between threads.

    The first reader's word on sentiment counts, and the first's on intents that has one.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        self.name = "+".join(reader.name for reader in readers)
        self._readers = tuple(readers)

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """One analysis per text, in order; a text's analysis does not depend on the others."""
        cleaned = [clean(text) for text in texts]
        languages = [identify(text) for text in cleaned]
        drafts = [_Draft(language) for language in languages]
        for reader in self._readers:
            open_ = [i for i, text in enumerate(cleaned) if drafts[i].may_read(text, reader)]
            if not open_:
                continue
            found = reader.read([cleaned[i] for i in open_])
            for row, i in enumerate(open_):
                drafts[i].take(reader, found, row)
        return [draft.finish(self.name) for draft in drafts]


class _Draft:
    """What is known so far of one message, and why the rest is not."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._sentiment: Sentiment | None = None
        self._intents: tuple[Intent, ...] | None = None
        self._reasons: dict[str, str] = {}
        if language.code is None:
            self._reasons["language"] = "too little to tell it from" if language.words else "no words"

    def may_read(self, cleaned: str, reader: Reader) -> bool:
        reason = "nothing was written" if is_blank(cleaned) else None
        if reason is None and reader.languages is not None:
            reason = objection(self._language, reader.languages)
        if reason:
            if self._sentiment is None:
                self._reasons["sentiment"] = reason
            if self._intents is None:
                self._reasons["intents"] = reason
        return reason is None

    def take(self, reader: Reader, found: Probabilities, row: int) -> None:
        if self._sentiment is None and found.sentiment is not None:
            self._take_sentiment(found.sentiment[row], reader.sentiment_threshold)
        if self._intents is None and found.intents is not None:
            self._take_intents(found.intents[row], reader.intent_thresholds)

    def finish(self, name: str) -> Analysis:
        if self._sentiment is None:
            self._reasons.setdefault("sentiment", "no model was given for it")
        if self._intents is None:
            self._reasons.setdefault("intents", "no model was given for them")
        return Analysis(
            model=name,
            language=self._language.code,
            language_confidence=self._language.confidence,
            sentiment=self._sentiment or Sentiment(None, 0.0, dict.fromkeys(SENTIMENTS, 1 / len(SENTIMENTS))),
            intents=self._intents or (),
            abstained=tuple(f"{head}: {why}" for head, why in self._reasons.items()),
        )

    def _take_sentiment(self, shares: Array, threshold: float) -> None:
        scores = {label: float(share) for label, share in zip(SENTIMENTS, shares, strict=True)}
        best = max(SENTIMENTS, key=lambda label: scores[label])
        sure = scores[best] >= threshold
        self._sentiment = Sentiment(best if sure else None, scores[best], scores)
        self._reasons.pop("sentiment", None)
        if not sure:
            self._reasons["sentiment"] = f"at most {scores[best]:.2f} sure, {threshold:.2f} needed"

    def _take_intents(self, shares: Array, thresholds: tuple[float, ...]) -> None:
        order = np.argsort(-shares, kind="stable")
        self._intents = tuple(
            Intent(INTENTS[i], float(shares[i])) for i in order if shares[i] >= thresholds[i]
        )
        self._reasons.pop("intents", None)
        if not self._intents:
            self._reasons["intents"] = "none is likely enough"


def load(model: str, intent_model: str | None, threads: int | None) -> MessageScorer:
    """See `sentiment.load`."""
    if threads is not None:
        torch.set_num_threads(threads)
    if model == "default" and intent_model in (None, "default"):
        return MessageScorer([_default()])
    from sentiment.classifier import IntentClassifier, SentimentClassifier

    readers: list[Reader] = [_default() if model == "default" else SentimentClassifier(model)]
    if intent_model == "default":
        readers.append(_default())
    elif intent_model is not None:
        readers.insert(0, IntentClassifier(intent_model))
    return MessageScorer(readers)


def _default() -> HeadsReader:
    return HeadsReader(Encoder(), load_heads(encoder_sha256=SHA256))
