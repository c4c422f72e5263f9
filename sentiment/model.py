"""A loaded model: texts in, analyses out.

A *reader* turns cleaned texts into probabilities; the scorer decides what may be said of them. The default
reader is the shipped network, one pass for everything; any Hugging Face sequence classifier can stand in its
place (`sentiment.classifier`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sentiment.adaptation import Adaptation, AdaptationError, Seen
from sentiment.adapted import AdaptedReader
from sentiment.explain import CannotExplain, explain
from sentiment.heads import Array, LinearHead
from sentiment.inference import Inference
from sentiment.language import Language, identify, objection
from sentiment.network import WIDTH
from sentiment.pieces import VOCABULARY, Pieces, by_size
from sentiment.reader import Reader, Reading
from sentiment.text import clean, is_blank
from sentiment.types import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    Analysis,
    Emotion,
    Explanation,
    Intent,
    Precision,
    Sentiment,
    TaughtIntent,
)
from sentiment.weights import FOLDER, MODEL, verify
from sentiment.weights import load as load_network


class NetworkReader:
    """The shipped network. Safe to share between threads: it holds nothing that changes."""

    def __init__(self, precision: Precision = "fp32", folder: Path = FOLDER) -> None:
        """Raises: sentiment.weights.WeightsError."""
        verify(folder)
        network, card = load_network(folder / MODEL.name)
        self._inference = Inference(network, precision)
        self._pieces = Pieces(folder / VOCABULARY.name)
        self.name = card.version
        self.languages: frozenset[str] | None = frozenset(card.languages)
        self.heads: Mapping[str, LinearHead] = {each.head.name: each.linear(network) for each in card.heads}
        """In the order of what `see` gives."""
        self.thresholds: Mapping[str, tuple[float, ...]] = {
            name: head.thresholds for name, head in self.heads.items()
        }

    def read(self, cleaned: Sequence[str]) -> Reading:
        seen, embeddings = self.see(cleaned)
        each = enumerate(self.heads.items())
        return Reading({name: head.shares(seen[:, i]) for i, (name, head) in each}, embeddings)

    def logits(self, cleaned: Sequence[str]) -> dict[str, Array]:
        """What each head says, calibration included, before it becomes shares: (texts, labels) by name."""
        seen, _ = self.see(cleaned)
        return {name: head.logits(seen[:, i]) for i, (name, head) in enumerate(self.heads.items())}

    def see(self, cleaned: Sequence[str]) -> tuple[Array, Array]:
        """What each head sees of each text (texts, heads, width), and the texts' embeddings (texts, width),
        of unit length.

        Texts are read with their like in size; what is seen of one does not depend on its neighbours.
        """
        texts: list[list[list[int]]] = [[] for _ in cleaned]
        for window, owner in zip(*self._pieces.windows(cleaned), strict=True):
            texts[owner].append(window)
        seen = np.empty((len(texts), len(self.heads), WIDTH), np.float32)
        embeddings = np.empty((len(texts), WIDTH), np.float32)
        for batch in by_size([sum(map(len, windows)) for windows in texts]):
            seen[batch], embeddings[batch] = self._inference([texts[i] for i in batch])
        return seen, embeddings


class MessageScorer:
    """Implements `sentiment.types.Scorer`. Safe to share between threads.

    The first reader's word on a head counts.
    """

    def __init__(self, readers: Sequence[Reader], name: str | None = None) -> None:
        """`name` is the version's, by default those of the readers together."""
        self.name = "+".join(reader.name for reader in readers) if name is None else name
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

    def explain(self, text: str, head: str = "sentiment", label: str | None = None) -> Explanation:
        """See `sentiment.explain.explain`. A text that is read is explained where its label was not sure
        enough to be said, too. Raises: CannotExplain."""
        cleaned = clean(text)
        language = identify(cleaned)
        objections = [_objection(cleaned, language, reader) for reader in self._readers]
        readers = [each for each, why in zip(self._readers, objections, strict=True) if why is None]
        if not readers:
            raise CannotExplain(objections[0])
        return explain(readers, text, head, label)

    def see(self, texts: Sequence[str]) -> Seen:
        """What the default network sees of the texts and says of them, as it stands: what an adaptation is
        learnt from. Raises: AdaptationError, where another model reads in its place."""
        reader = self._adaptable
        cleaned = [clean(text) for text in texts]
        return reader.look(cleaned, [_objection(text, identify(text), reader) for text in cleaned])

    def adapted(self, adaptation: Adaptation, name: str) -> MessageScorer:
        """The shipped model, with this adaptation in place of any that this one has, under another name; the
        loaded network is shared. Raises: AdaptationError, where it was made for another model, or another
        model reads in the default one's place."""
        new = AdaptedReader(self._adaptable.shipped, adaptation, name)
        replaced = [
            new if isinstance(each, NetworkReader | AdaptedReader) else each for each in self._readers
        ]
        return MessageScorer(replaced, name)

    @property
    def _adaptable(self) -> AdaptedReader:
        for reader in self._readers:
            if isinstance(reader, AdaptedReader):
                return reader
            if isinstance(reader, NetworkReader):
                return AdaptedReader(reader, Adaptation(), reader.name)
        raise AdaptationError(f"{self.name} has no embeddings to learn from; the default model has")


def _objection(cleaned: str, language: Language, reader: Reader) -> str | None:
    """Why the reader should not speak of a text; None where it may."""
    if is_blank(cleaned):
        return "nothing was written"
    return objection(language, reader.languages) if reader.languages is not None else None


class _Draft:
    """What is known so far of one message, and why the rest is not."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._sentiment: Sentiment | None = None
        self._intents: tuple[Intent, ...] | None = None
        self._emotion: Emotion | None = None
        self._sarcasm: float | None = None
        self._reply: float | None = None
        self._embedding: Array | None = None
        self._taught: tuple[TaughtIntent, ...] = ()
        self._reasons: dict[str, str] = {}
        if language.code is None:
            self._reasons["language"] = "too little to tell it from" if language.words else "no words"

    def may_read(self, cleaned: str, reader: Reader) -> bool:
        reason = _objection(cleaned, self._language, reader)
        if reason:
            if self._sentiment is None:
                self._reasons["sentiment"] = reason
            if self._intents is None:
                self._reasons["intents"] = reason
        return reason is None

    def take(self, reader: Reader, found: Reading, row: int) -> None:
        shares = {name: table[row] for name, table in found.shares.items()}
        if self._sentiment is None and "sentiment" in shares:
            self._take_sentiment(shares["sentiment"], reader.thresholds["sentiment"])
        if self._intents is None and "intents" in shares:
            self._take_intents(shares, reader.thresholds)
        if self._emotion is None and "emotion" in shares:
            best = int(np.argmax(shares["emotion"]))
            if shares["emotion"][best] >= reader.thresholds["emotion"][best]:
                self._emotion = Emotion(EMOTIONS[best], float(shares["emotion"][best]))
        if self._sarcasm is None and "sarcasm" in shares:
            self._sarcasm = float(shares["sarcasm"][0])
        if self._reply is None and "reply" in shares:
            self._reply = float(shares["reply"][0])
        if self._embedding is None and found.embeddings is not None:
            self._embedding = found.embeddings[row]
        if found.taught is not None:
            self._taught = found.taught[row]

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
            emotion=self._emotion,
            sarcasm=self._sarcasm,
            expects_reply=self._reply,
            taught=self._taught,
            embedding=self._embedding,
        )

    def _take_sentiment(self, shares: Array, thresholds: tuple[float, ...]) -> None:
        scores = {label: float(share) for label, share in zip(SENTIMENTS, shares, strict=True)}
        best = max(SENTIMENTS, key=lambda label: scores[label])
        threshold = thresholds[SENTIMENTS.index(best)]
        sure = scores[best] >= threshold
        self._sentiment = Sentiment(best if sure else None, scores[best], scores)
        self._reasons.pop("sentiment", None)
        if not sure:
            self._reasons["sentiment"] = f"at most {scores[best]:.2f} sure, {threshold:.2f} needed"

    def _take_intents(self, shares: Mapping[str, Array], thresholds: Mapping[str, tuple[float, ...]]) -> None:
        found = {
            i: float(share)
            for i, (share, least) in enumerate(zip(shares["intents"], thresholds["intents"], strict=True))
            if share >= least
        }
        order = sorted(found, key=lambda i: -found[i])
        if "topic" in shares:
            topic = int(np.argmax(shares["topic"]))
            if shares["topic"][topic] >= thresholds["topic"][topic]:
                found[topic] = float(shares["topic"][topic])
                order = [topic, *(i for i in order if i != topic)]
        self._intents = tuple(Intent(INTENTS[i], found[i]) for i in order)
        self._reasons.pop("intents", None)
        if not self._intents:
            self._reasons["intents"] = "none is likely enough"


def load(model: str, intent_model: str | None, threads: int | None, precision: Precision) -> MessageScorer:
    """See `sentiment.load`."""
    if threads is not None:
        torch.set_num_threads(threads)
    if model == "default" and intent_model in (None, "default"):
        return MessageScorer([NetworkReader(precision)])
    from sentiment.classifier import IntentClassifier, SentimentClassifier

    readers: list[Reader] = [NetworkReader(precision) if model == "default" else SentimentClassifier(model)]
    if intent_model == "default":
        readers.append(NetworkReader(precision))
    elif intent_model is not None:
        readers.insert(0, IntentClassifier(intent_model))
    return MessageScorer(readers)
