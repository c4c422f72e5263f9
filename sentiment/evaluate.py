"""Measure the shipped heads again: `python -m sentiment.evaluate --data ../shared/data [--card]`.

Prints the figures as JSON; with `--card` it writes them into the model card. Official test splits are read
here and nowhere else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sentiment import datasets, fit
from sentiment.card import CARD, render
from sentiment.features import Features
from sentiment.heads import Array, Heads, load_heads, sigmoid
from sentiment.intent_fit import IntentFit, matrices
from sentiment.language import identify, objection
from sentiment.text import clean
from sentiment.types import INTENTS

QUEUES = {
    "Billing and Payments": "billing_payment",
    "Returns and Exchanges": "refund_return",
    "Technical Support": "technical_problem",
    "Service Outages and Maintenance": "technical_problem",
    "Sales and Pre-Sales": "product_question",
}
"""Queues of tickets_multilang that tell of an intent; the other queues count as none of them."""

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cache", type=Path, help="folder to keep encoded texts in")
    parser.add_argument("--card", action="store_true", help=f"write {CARD.name}")
    options = parser.parse_args()
    figures = measure(load_heads(), options.data, Features(options.cache))
    print(json.dumps(figures, indent=1))  # noqa: T201
    if options.card:
        CARD.write_text(render(figures), encoding="utf-8")


def measure(heads: Heads, data: Path, features: Features) -> Figures:
    """Everything that the model card tells."""
    return {
        "card": asdict(heads.card),
        "sentiment": _sentiment(heads, data, features),
        "languages": {
            code: _language(heads, data, features, code, name) for code, name in datasets.UMSAB.items()
        },
        "intents": _intents(heads, data, features),
        "unseen_domains": _unseen_domains(heads, data, features),
    }


def _sentiment(heads: Heads, data: Path, features: Features) -> Figures:
    rows = datasets.sentiment(data, "tweeteval_sentiment/test")
    truth = np.array([row.label for row in rows])
    shares = heads.sentiment(heads.prepare(features.of([row.text for row in rows], "test tweets")))
    predicted, confidence = shares.argmax(axis=1), shares.max(axis=1)
    right = predicted == truth
    spoken = confidence >= heads.card.sentiment_threshold
    surest = np.argsort(-confidence)[: round(0.7 * len(rows))]
    return {
        "rows": len(rows),
        "macro_recall": fit.macro_recall(predicted, truth),
        "accuracy": float(right.mean()),
        "calibration_error": fit.calibration_error(confidence, right),
        "spoken": float(spoken.mean()),
        "accuracy_when_spoken": float(right[spoken].mean()),
        "accuracy_of_surest_70": float(right[surest].mean()),
    }


def _language(heads: Heads, data: Path, features: Features, code: str, name: str) -> Figures:
    rows = datasets.sentiment(data, f"umsab/{name}_test")
    truth = np.array([row.label for row in rows])
    shares = heads.sentiment(heads.prepare(features.of([row.text for row in rows], f"umsab {name}")))
    found = [identify(clean(row.text)) for row in rows]
    trained = frozenset(heads.card.languages)
    silent = np.array([objection(language, trained) is not None for language in found])
    return {
        "rows": len(rows),
        "language_found": float(np.mean([language.code == code for language in found])),
        "language_wrong": float(np.mean([language.code not in (code, None) for language in found])),
        "silent": float(silent.mean()),
        "macro_recall_if_forced": fit.macro_recall(shares.argmax(axis=1), truth),
    }


def _intents(heads: Heads, data: Path, features: Features) -> Figures:
    own = datasets.invented()
    again = IntentFit(data, features, heads.card.layers, heads.mean, heads.scale, heads.card.seed)
    truth, _ = matrices(own)
    shares = sigmoid(again.held_out / again.temperature)
    said = shares >= np.array(again.thresholds)
    return {
        "invented": {
            "rows": len(own),
            "surest_is_acceptable": _acceptable(shares, truth, 1),
            "one_of_two_surest_is": _acceptable(shares, truth, 2),
            "macro_f1": float(np.mean([fit.f1(said[:, j], truth[:, j]) for j in range(len(INTENTS))])),
            "calibration_error": fit.calibration_error(shares.ravel(), truth.ravel() > 0),
            "silent": float((~said.any(axis=1)).mean()),
            "f1": {name: fit.f1(said[:, j], truth[:, j]) for j, name in enumerate(INTENTS)},
        },
        "public": {name: _public(heads, again, data, features, name) for name in ("banking77", "clinc150")},
    }


def _public(heads: Heads, again: IntentFit, data: Path, features: Features, name: str) -> Figures:
    """On a public set's test split: as shipped, and with that set left out of the training."""
    rows = datasets.public_intents(data, name, "test")
    truth, _ = matrices(rows)
    inputs = heads.prepare(features.of([row.text for row in rows], f"{name} test"))
    weight, bias = again.without(name)
    return {
        "rows": len(rows),
        "surest_is_right": _acceptable(heads.intents(inputs), truth, 1),
        "surest_is_right_left_out": _acceptable(sigmoid(inputs @ weight.T + bias), truth, 1),
    }


def _acceptable(shares: Array, truth: Array, top: int) -> float:
    best = np.argsort(-shares, axis=1)[:, :top]
    return float(np.take_along_axis(truth, best, axis=1).max(axis=1).mean())


def _unseen_domains(heads: Heads, data: Path, features: Features) -> Figures:
    """Sets that nothing was trained or tuned on, each of which knows one of our intents by another name."""
    complaints = datasets.table(data / "complaints19/all.tsv.gz")
    suggestions = datasets.table(data / "suggestion19/test.tsv.gz")
    reviews = datasets.table(data / "appreviews/all.tsv.gz")
    tickets = [
        row
        for path in sorted((data / "tickets_multilang").glob("*.tsv.gz"))
        for row in datasets.table(path)
        if row["language"] == "en"
    ]
    for row in tickets:
        row["text"] = f"{row['subject']}. {row['body']}"

    def judge(
        name: str, rows: list[dict[str, str]], asked: Iterable[tuple[str, Callable[[dict[str, str]], bool]]]
    ) -> Figures:
        shares = heads.intents(heads.prepare(features.of([row["text"] for row in rows], name)))
        result: Figures = {"rows": len(rows)}
        for intent, is_true in asked:
            column = INTENTS.index(intent)
            truth = np.array([is_true(row) for row in rows], np.float32)
            said = shares[:, column] >= heads.card.intent_thresholds[column]
            result[intent] = {
                "share": float(truth.mean()),
                "ranking": fit.ranking_quality(shares[:, column], truth),
                "f1": fit.f1(said, truth),
            }
        return result

    def queue_is(intent: str) -> Callable[[dict[str, str]], bool]:
        return lambda row: QUEUES.get(row["queue"]) == intent

    return {
        "complaints19": judge(
            "complaints", complaints, [("complaint", lambda row: row["label"] == "complaint")]
        ),
        "suggestion19": judge(
            "suggestions", suggestions, [("feature_suggestion", lambda row: row["label"] == "suggestion")]
        ),
        "appreviews": judge(
            "app reviews",
            reviews,
            [
                ("technical_problem", lambda row: row["label"] == "bug report"),
                ("feature_suggestion", lambda row: row["label"] == "feature request"),
            ],
        ),
        "tickets_multilang": judge(
            "tickets", tickets, [(intent, queue_is(intent)) for intent in dict.fromkeys(QUEUES.values())]
        ),
    }


if __name__ == "__main__":
    main()
