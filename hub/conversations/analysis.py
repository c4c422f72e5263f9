"""Between the model's `Analysis` and the row that stores it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hub.conversations.models import AnalysisRow
from sentiment.types import (
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


def to_row(message_id: int, analysis: Analysis, now: datetime) -> AnalysisRow:
    """The row that keeps `analysis` of a message."""
    emotion, embedding = analysis.emotion, analysis.embedding
    return AnalysisRow(
        message_id=message_id,
        model=analysis.model,
        created_at=now,
        language=analysis.language,
        language_confidence=analysis.language_confidence,
        sentiment=analysis.sentiment.label,
        sentiment_confidence=analysis.sentiment.confidence,
        scores=dict(analysis.sentiment.scores),
        intents=[{"label": intent.label, "confidence": intent.confidence} for intent in analysis.intents],
        abstained=list(analysis.abstained),
        emotion=emotion.label if emotion else None,
        emotion_confidence=emotion.confidence if emotion else None,
        sarcasm=analysis.sarcasm,
        expects_reply=analysis.expects_reply,
        taught=[{"name": each.name, "confidence": each.confidence} for each in analysis.taught],
        embedding=None if embedding is None else embedding.astype(_STORED).tobytes(),
    )


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
