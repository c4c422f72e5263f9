"""Between the model's `Analysis` and the row that stores it."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from hub.conversations.models import AnalysisRow
from sentiment.types import Analysis, Intent, Sentiment, SentimentLabel


def to_row(message_id: int, analysis: Analysis, now: datetime) -> AnalysisRow:
    """The row that keeps `analysis` of a message."""
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
    )


def to_analysis(row: AnalysisRow) -> Analysis:
    """What the model said, from its row."""
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
    )


def failed(model: str, reason: str) -> Analysis:
    """The analysis of a message that the model could not read: it abstains on everything, and says why."""
    return Analysis(model, None, 0.0, Sentiment(None, 0.0, {}), (), (reason,))
