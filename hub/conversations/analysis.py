"""Between the model's `Analysis` and the row that stores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hub.conversations.models import AnalysisRow
from sentiment.types import (
    SENTIMENTS,
    Analysis,
    Emotion,
    EmotionLabel,
    Intent,
    Sentiment,
    SentimentLabel,
    TaughtIntent,
)

# As they are stored: 768 bytes a message. What half precision loses moves no cosine by more than 0.001.
_STORED = np.dtype("<f2")
# What a correction may change.
_CORRECTED = ("sentiment", "sentiment_confidence", "scores", "intents", "abstained")


def to_row(message_id: int, analysis: Analysis, now: datetime) -> AnalysisRow:
    """The row that keeps `analysis` of a message."""
    row = AnalysisRow(message_id=message_id)
    replace(row, analysis, now)
    return row


def replace(row: AnalysisRow, analysis: Analysis, now: datetime) -> None:
    """Let the row keep `analysis`, whatever it kept before, a correction included."""
    emotion, embedding = analysis.emotion, analysis.embedding
    row.model = analysis.model
    row.created_at = now
    row.language = analysis.language
    row.language_confidence = analysis.language_confidence
    row.sentiment = analysis.sentiment.label
    row.sentiment_confidence = analysis.sentiment.confidence
    row.scores = cast("dict[str, float]", dict(analysis.sentiment.scores))
    row.intents = [{"label": intent.label, "confidence": intent.confidence} for intent in analysis.intents]
    row.abstained = list(analysis.abstained)
    row.emotion = emotion.label if emotion else None
    row.emotion_confidence = emotion.confidence if emotion else None
    row.sarcasm = analysis.sarcasm
    row.expects_reply = analysis.expects_reply
    row.taught = [{"name": each.name, "confidence": each.confidence} for each in analysis.taught]
    row.embedding = None if embedding is None else embedding.astype(_STORED).tobytes()
    row.said = None


def correct(row: AnalysisRow, sentiment: str | None, intents: Sequence[str] | None) -> None:
    """Put a person's word, of which they are sure, in the place of the model's; None leaves the model's."""
    uncorrect(row)
    row.said = {name: getattr(row, name) for name in _CORRECTED}
    if sentiment is not None:
        row.sentiment, row.sentiment_confidence = sentiment, 1.0
        row.scores = {label: float(label == sentiment) for label in SENTIMENTS}
    if intents is not None:
        row.intents = [{"label": label, "confidence": 1.0} for label in intents]
    spoken = {head for head, word in (("sentiment", sentiment), ("intents", intents)) if word is not None}
    row.abstained = [why for why in row.abstained if why.partition(":")[0] not in spoken]


def uncorrect(row: AnalysisRow) -> None:
    """Let the model's own word stand again."""
    for name, value in (row.said or {}).items():
        setattr(row, name, value)
    row.said = None


def to_analysis(row: AnalysisRow) -> Analysis:
    """What the model said, from its row; without the embedding, which few ask for: see `vectors`."""
    return Analysis(
        model=row.model,
        language=row.language,
        language_confidence=row.language_confidence,
        sentiment=Sentiment(
            cast("SentimentLabel | None", row.sentiment),
            row.sentiment_confidence,
            cast("dict[SentimentLabel, float]", row.scores),
        ),
        intents=tuple(Intent(intent["label"], intent["confidence"]) for intent in row.intents),
        abstained=tuple(row.abstained),
        emotion=Emotion(cast("EmotionLabel", row.emotion), row.emotion_confidence or 0.0)
        if row.emotion
        else None,
        sarcasm=row.sarcasm,
        expects_reply=row.expects_reply,
        taught=tuple(TaughtIntent(each["name"], each["confidence"]) for each in row.taught),
    )


def vectors(stored: Iterable[bytes]) -> NDArray[np.float32]:
    """Embeddings (messages, width) from their column, of unit length but for the rounding.

    All are of one width; where that changed with the model, ask for one model's rows only.
    """
    rows = list(stored)
    flat = np.frombuffer(b"".join(rows), _STORED).astype(np.float32)
    return flat.reshape(len(rows), -1) if rows else flat.reshape(0, 0)


def failed(model: str, reason: str) -> Analysis:
    """The analysis of a message that the model could not read: it abstains on everything, and says why."""
    return Analysis(model, None, 0.0, Sentiment(None, 0.0, {}), (), (reason,))
