"""Sentiment: texts in, analyses out. Imports nothing else of the project.

    scorer = sentiment.load()
    [analysis] = scorer.score(["Where is my parcel?! Two weeks now."])

Importing this package is cheap; torch is first imported by `load`.
"""

from __future__ import annotations

from sentiment.types import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    Analysis,
    Emotion,
    EmotionLabel,
    Explanation,
    Intent,
    IntentLabel,
    Precision,
    Scorer,
    Sentiment,
    SentimentLabel,
    TaughtIntent,
    Word,
)

__all__ = [
    "EMOTIONS",
    "INTENTS",
    "SENTIMENTS",
    "Analysis",
    "Emotion",
    "EmotionLabel",
    "Explanation",
    "Intent",
    "IntentLabel",
    "Precision",
    "Scorer",
    "Sentiment",
    "SentimentLabel",
    "TaughtIntent",
    "Word",
    "load",
]


def load(
    model: str = "default",
    intent_model: str | None = None,
    threads: int | None = None,
    precision: Precision = "fp32",
) -> Scorer:
    """Load a model, once per process (about two seconds of one core and 450 MB for the default).

    `model` is "default" (packaged, offline) or any Hugging Face sequence classification id or local folder
    whose labels can be read as negative, neutral and positive. `intent_model` is None (the default model
    brings its own intents; another abstains), "default", or a classifier whose labels are named as
    `INTENTS`. Ids are looked up in the local cache only, unless the environment says `HF_HUB_OFFLINE=0`.
    `threads` sets torch's threads, for the whole process. `precision` is the default model's: "bf16" is
    faster where the processor multiplies bfloat16; elsewhere it warns and reads in fp32. Weights are read
    from safetensors only, and no remote code runs.

    Raises: sentiment.weights.WeightsError, sentiment.classifier.ClassifierError.
    """
    from sentiment.model import load as load_model

    return load_model(model, intent_model, threads, precision)
