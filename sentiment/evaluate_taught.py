"""Measure taught intents: `python -m sentiment.evaluate_taught --data ../shared/data`.

Banking77's 77 intents are taught by its ten examples each and asked of its test split, which nothing learnt
from. That tells how well they are told apart. What a workspace does is teach a few, most messages being about
something else: so lessons of some of them are asked of a stream of messages, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sentiment.adaptation import Seen
from sentiment.datasets import table
from sentiment.figures import Labels, calibration_error
from sentiment.heads import Array
from sentiment.taught import FEWEST, LIKELY, Taught, spoken

INTENTS = (1, 3, 10)
"""Taught together in a lesson."""
LESSONS = 20
"""Drawn of each size."""
MINE, NEIGHBOURS, OTHERS = 60, 60, 280
"""Messages that a lesson is asked of: of its intents, of intents that it left out, of anything else."""
SEED = 20261122


class Sees(Protocol):
    """The part of `sentiment.model.MessageScorer` that is measured."""

    def see(self, texts: Sequence[str]) -> Seen:
        """Of each text, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Embeddings (texts, width) and the index of each text's intent."""

    embeddings: Array
    labels: Labels

    def of(self, label: int) -> Array:
        found: Array = self.embeddings[self.labels == label]
        return found


def few_shot(scorer: Sees, data: Path) -> dict[str, Any]:
    """Figures. `together` has all intents taught at once: `accuracy`, the likeliest is the right one;
    `named`, something was likely enough to be named; `right_when_named`.

    `lessons` have some `intents` by some `examples`. Of messages that have one, `found` were named by it and
    `mistaken` by another; `neighbours_named` are messages of intents that were not taught, and `others_named`
    tweets (TweetEval's sentiment test split) and requests to an assistant (CLINC150's), in equal parts: of
    the latter a few are about cards and accounts, too. `calibration_error` is that of the likeliest intent's
    probability, over all of them.
    """
    taught, asked = table(data / "banking77/train_10shot.tsv.gz"), table(data / "banking77/test.tsv.gz")
    names = sorted({row["label"] for row in taught})
    examples, questions = (
        Rows(_embed(scorer, rows), np.array([names.index(row["label"]) for row in rows]))
        for rows in (taught, asked)
    )
    named = scorer.see([spoken(name) for name in names]).embeddings
    others = [table(data / f"{name}/test.tsv.gz") for name in ("tweeteval_sentiment", "clinc150")]
    most = min(2_000, *map(len, others))
    stream = _embed(scorer, [row for rows in others for row in rows[:: len(rows) // most][:most]])
    rng = np.random.default_rng(SEED)
    lessons = [
        _lessons(rng, examples, named, questions, stream, min(count, len(names) - 1), shots)
        for count in INTENTS
        for shots in (FEWEST, 2 * FEWEST)
    ]
    return {"together": _together(examples, named, questions), "lessons": lessons}


def _embed(scorer: Sees, rows: Sequence[dict[str, str]]) -> Array:
    return scorer.see([row["text"] for row in rows]).embeddings


def _teach(examples: Sequence[Array], named: Array) -> Taught:
    found = Taught()
    for label, rows in enumerate(examples):
        found = found.with_intent(f"{label:03}", rows, named[label])
    return found


def _together(examples: Rows, named: Array, questions: Rows) -> dict[str, Any]:
    labels = np.unique(examples.labels)
    shares = _teach([examples.of(label) for label in labels], named).shares(questions.embeddings)
    right, sure = shares.argmax(axis=1) == questions.labels, shares.max(axis=1) >= LIKELY
    return {
        "intents": len(labels),
        "rows": len(right),
        "accuracy": float(right.mean()),
        "named": float(sure.mean()),
        "right_when_named": float(right[sure].mean()),
    }


def _lessons(
    rng: np.random.Generator,
    examples: Rows,
    named: Array,
    questions: Rows,
    others: Array,
    count: int,
    shots: int,
) -> dict[str, Any]:
    """All messages of all lessons together."""
    confidences, rights = [], []
    for _ in range(LESSONS):
        chosen = rng.choice(np.unique(examples.labels), count, replace=False)
        taught = _teach([rng.permutation(examples.of(label))[:shots] for label in chosen], named[chosen])
        known = np.isin(questions.labels, chosen)
        mine = rng.choice(np.flatnonzero(known), MINE)
        neighbours = rng.choice(np.flatnonzero(~known), NEIGHBOURS)
        asked = np.concatenate([questions.embeddings[[*mine, *neighbours]], rng.choice(others, OTHERS)])
        shares = taught.shares(asked)
        confidences.append(shares.max(axis=1))
        right = np.zeros(len(asked), bool)
        right[:MINE] = chosen[shares[:MINE].argmax(axis=1)] == questions.labels[mine]
        rights.append(right)
    sure, right = np.array(confidences), np.array(rights)
    said = sure >= LIKELY
    return {
        "intents": count,
        "examples": shots,
        "rows": sure.size,
        "found": float((said & right)[:, :MINE].mean()),
        "mistaken": float((said & ~right)[:, :MINE].mean()),
        "neighbours_named": float(said[:, MINE:-OTHERS].mean()),
        "others_named": float(said[:, -OTHERS:].mean()),
        "calibration_error": calibration_error(sure.ravel(), right.ravel()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    options = parser.parse_args()
    from sentiment.model import MessageScorer, NetworkReader

    print(json.dumps(few_shot(MessageScorer([NetworkReader()]), options.data), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
