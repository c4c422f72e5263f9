"""How fast the model reads, beside one transformers pipeline per question, one text at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

import sentiment
from sentiment.encoder import packaged_folder
from sentiment.types import INTENTS, SENTIMENTS

# The pipelines are slow: they read this many texts of each round.
PIPELINE_TEXTS = 24
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Messages per second on one CPU thread, both measured in turns in one run."""

    scorer: float
    pipelines: float


def measure(texts: Sequence[str]) -> Speed:
    """Score `texts` with the default model and with three pipelines on the same encoder, in turns."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    scorer = sentiment.load(threads=1)
    pipelines = [_pipeline(len(SENTIMENTS)), _pipeline(len(INTENTS)), _pipeline(2)]
    few = list(texts)[:: max(1, len(texts) // PIPELINE_TEXTS)][:PIPELINE_TEXTS]
    scorer.score(few)
    _ask(pipelines, few[:2])
    ours = theirs = 0.0
    for _ in range(ROUNDS):
        began = time.process_time()
        scorer.score(texts)
        between = time.process_time()
        _ask(pipelines, few)
        ours += between - began
        theirs += time.process_time() - between
    return Speed(ROUNDS * len(texts) / ours, ROUNDS * len(few) / theirs)


def _pipeline(labels: int) -> Any:
    folder = str(packaged_folder())
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def _ask(pipelines: Sequence[Any], texts: Sequence[str]) -> None:
    for text in texts:
        for pipeline in pipelines:
            pipeline(text, truncation=True)
