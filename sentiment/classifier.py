"""Any Hugging Face sequence classifier in place of the default model, read from safetensors only."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from sentiment.heads import Array, sigmoid, softmax
from sentiment.pieces import by_size
from sentiment.reader import Reading
from sentiment.types import INTENTS, SENTIMENTS

MAX_TOKENS = 256
"""Longer texts are cut here, or where the model's own limit is lower."""
THRESHOLD = 0.5
"""Nothing is known of a stranger's calibration; what it holds for less likely than not is not said."""

_WORDS = {"neg": 0, "negative": 0, "neu": 1, "neutral": 1, "mixed": 1, "pos": 2, "positive": 2}


class ClassifierError(Exception):
    """A model cannot be used: not found, not in safetensors, or its labels say nothing we know."""


class _Classifier:
    """A loaded classifier; `name` ends in the beginning of its weights' SHA-256."""

    languages: frozenset[str] | None = None
    thresholds: Mapping[str, tuple[float, ...]] = {
        "sentiment": (THRESHOLD,) * len(SENTIMENTS),
        "intents": (THRESHOLD,) * len(INTENTS),
    }

    def __init__(self, model: str) -> None:
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            folder = _folder(model)
            self._tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            self._model = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **options
            ).eval()
        except (HfHubHTTPError, OSError, ValueError, ImportError, RuntimeError) as error:
            raise ClassifierError(f"the model {model} cannot be loaded: {error}") from error
        config = self._model.config
        self.labels: Mapping[int, str] = {int(index): str(label) for index, label in config.id2label.items()}
        self.name = f"{folder.name if Path(model).is_dir() else model}@{_digest(folder)}"
        self._limit = min(MAX_TOKENS, self._tokenizer.model_max_length, _positions(config))
        self._several = config.problem_type == "multi_label_classification"

    def probabilities(self, cleaned: Sequence[str]) -> Array:
        """(texts, labels): a softmax, or one yes/no each where the model was made for several labels."""
        encoded = self._tokenizer(list(cleaned), truncation=True, max_length=self._limit)["input_ids"]
        logits = np.zeros((len(cleaned), len(self.labels)), np.float32)
        for batch in by_size([len(ids) for ids in encoded]):
            inputs = self._tokenizer.pad({"input_ids": [encoded[i] for i in batch]}, return_tensors="pt")
            with torch.inference_mode():
                logits[batch] = self._model(**inputs).logits.float().numpy()
        return sigmoid(logits) if self._several else softmax(logits)


class SentimentClassifier(_Classifier):
    """Reads sentiment. Raises: ClassifierError."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._places = sentiment_places(self.labels)

    def read(self, cleaned: Sequence[str]) -> Reading:
        shares = self.probabilities(cleaned)
        result = np.zeros((len(shares), len(SENTIMENTS)), np.float32)
        for column, place in enumerate(self._places):
            result[:, place] += shares[:, column]
        return Reading({"sentiment": result / result.sum(axis=1, keepdims=True).clip(min=1e-9)})


class IntentClassifier(_Classifier):
    """Reads intents; its labels must be named as ours. Raises: ClassifierError."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        names = [_plain(self.labels[i]).replace(" ", "_") for i in range(len(self.labels))]
        strange = sorted(set(names) - set(INTENTS))
        if strange:
            raise ClassifierError(f"{model} has labels that are not intents of ours: {', '.join(strange)}")
        self._places = [INTENTS.index(name) for name in names]

    def read(self, cleaned: Sequence[str]) -> Reading:
        result = np.zeros((len(cleaned), len(INTENTS)), np.float32)
        result[:, self._places] = self.probabilities(cleaned)
        return Reading({"intents": result})


def sentiment_places(labels: Mapping[int, str]) -> list[int]:
    """For each label the index in `SENTIMENTS` that it means.

    Read are words ("NEG", "very positive"), star ratings ("1 star" to "5 stars", 3 neutral), and numbered
    labels (LABEL_0 …) as they are customary: two are negative and positive, three have neutral between
    them, five are stars. Raises: ClassifierError.
    """
    names = [_plain(labels[i]) for i in range(len(labels))]
    if all(re.fullmatch(r"label \d+", name) for name in names) and len(names) in (2, 3, 5):
        return {2: [0, 2], 3: [0, 1, 2], 5: [0, 0, 1, 2, 2]}[len(names)]
    places = [_place(name) for name in names]
    if None in places or not {0, 2} <= set(places):
        raise ClassifierError(f"cannot read {', '.join(labels.values())} as negative, neutral and positive")
    return [place for place in places if place is not None]


def _place(name: str) -> int | None:
    stars = re.fullmatch(r"([1-5])(?: stars?)?", name)
    if stars:
        return (0, 0, 1, 2, 2)[int(stars[1]) - 1]
    return _WORDS.get(re.sub(r"^(very|extremely|slightly|strongly) ", "", name))


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().lower()


def _folder(model: str) -> Path:
    """The model's folder; of one on the Hub the local copy, fetched only where the environment allows it."""
    if Path(model).is_dir():
        return Path(model).resolve()
    offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"
    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    return Path(snapshot_download(model, allow_patterns=patterns, local_files_only=offline))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]


def _positions(config: object) -> int:
    """How many tokens the model has places for; RoBERTa's first two are spoken for."""
    return int(getattr(config, "max_position_embeddings", 0) or MAX_TOKENS + 2) - 2
