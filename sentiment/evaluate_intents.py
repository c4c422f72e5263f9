"""How well the embedding tells intents apart that have no head: a linear one is fitted on each set's training
split, on the shipped embedding and on the original's.

The model learnt from CLINC150's training split, and never from Banking77: that is a new domain to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sentiment import baselines
from sentiment.figures import Labels
from sentiment.heads import Array
from sentiment.instruments import Figures, Instruments, Row, indices

OUT = "oos"
"""CLINC150's name for what is out of scope."""
RARITY = 10.0
"""CLINC150's test split has ten times the out-of-scope rows of its validation split."""

Embed = Callable[[Sequence[str], str], Array]


def measure(tools: Instruments) -> Figures:
    """ "tasks", in the form of `sentiment.evaluate_tasks`."""
    by: dict[str, Embed] = {
        "model": lambda texts, what: _embeddings(tools, texts, what),
        "original": tools.original,
    }
    return {"tasks": {**_banking77(tools, by), "clinc150": _clinc150(tools, by)}}


def _embeddings(tools: Instruments, texts: Sequence[str], what: str) -> Array:
    found = tools.read(texts, what).embeddings
    assert found is not None
    return found


def _banking77(tools: Instruments, by: dict[str, Embed]) -> Figures:
    seen, few, rows = (tools.table(f"banking77/{name}") for name in ("train", "train_10shot", "test"))
    labels = sorted({row["label"] for row in [*seen, *few, *rows]})
    truth = indices(rows, labels)
    full: Figures = {"rows": len(rows), "metric": "accuracy"}
    taught: Figures = {"rows": len(rows), "metric": "accuracy"}
    for who, embed in by.items():
        asked = embed(_texts(rows), "banking77")
        for result, examples in ((full, seen), (taught, few)):
            known = indices(examples, labels)
            shares = baselines.linear(
                embed(_texts(examples), "banking77 to learn from"), known, asked, len(labels), balanced=False
            )
            result[who] = _accuracy(shares.argmax(axis=1), truth)
    words = baselines.counted(_texts(seen), indices(seen, labels), _texts(rows), len(labels))
    full["counted"] = _accuracy(words.argmax(axis=1), truth)
    return {"banking77": full, "banking77_10shot": taught}


def _clinc150(tools: Instruments, by: dict[str, Embed]) -> Figures:
    """One head over the intents and `OUT`; what it is less sure of than a threshold is taken for out of scope
    too. The threshold is the one of best accuracy on the validation split, whose rows out of scope count
    `RARITY` times."""
    seen, held, rows = (tools.table(f"clinc150/{name}") for name in ("train", "val", "test"))
    labels = [*sorted({row["label"] for row in [*seen, *held, *rows]} - {OUT}), OUT]
    out = len(labels) - 1
    truth, held_truth = indices(rows, labels), indices(held, labels)
    result: Figures = {"rows": len(rows), "metric": "accuracy"}
    for who, embed in by.items():
        known = embed(_texts(seen), "clinc150 to learn from")
        asked = np.concatenate([embed(_texts(held), "clinc150 held out"), embed(_texts(rows), "clinc150")])
        shares = baselines.linear(known, indices(seen, labels), asked, len(labels), balanced=False)
        chosen, found = shares[: len(held)], shares[len(held) :]
        threshold = _rejection(chosen, held_truth, out)
        said = _or_out(found, threshold, out)
        result[who] = _accuracy(said, truth)
        result[f"{who}_out_of_scope_recall"] = _accuracy(said[truth == out], truth[truth == out])
        result[f"{who}_in_scope_accuracy"] = _accuracy(said[truth != out], truth[truth != out])
    return result


def _rejection(shares: Array, truth: Labels, out: int) -> float:
    weight = np.where(truth == out, RARITY, 1.0)
    bounds = np.arange(0.0, 0.96, 0.01)
    right = [float(((_or_out(shares, bound, out) == truth) * weight).sum()) for bound in bounds]
    return float(bounds[int(np.argmax(right))])


def _or_out(shares: Array, threshold: float, out: int) -> Labels:
    best: Labels = shares.argmax(axis=1)
    best[shares[:, :out].max(axis=1) < threshold] = out
    return best


def _texts(rows: Sequence[Row]) -> list[str]:
    return [row["text"] for row in rows]


def _accuracy(said: Labels, truth: Labels) -> float:
    return float((said == truth).mean()) if len(truth) else 0.0
