"""How well the embedding tells intents apart that have no head: they are taught as the product is taught, by
all rows of each set's training split at once. Beside that stands logistic regression, on the original's too.

The model learnt from CLINC150's training split, and never from Banking77: that is a new domain to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sentiment import baselines, taught
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
    few_shot: Figures = {"rows": len(rows), "metric": "accuracy"}
    for who, embed in by.items():
        asked = embed(_texts(rows), "banking77")
        named = embed([taught.spoken(label) for label in labels], "banking77's names")
        for result, examples in ((full, seen), (few_shot, few)):
            answers = _answers(
                embed(_texts(examples), "banking77 to learn from"),
                indices(examples, labels),
                asked,
                len(labels),
                named,
            )
            for how, values in answers.items():
                result[_column(who, how)] = _accuracy(values.argmax(axis=1), truth)
    words = baselines.counted(_texts(seen), indices(seen, labels), _texts(rows), len(labels))
    full["counted"] = _accuracy(words.argmax(axis=1), truth)
    return {"banking77": full, "banking77_10shot": few_shot}


def _clinc150(tools: Instruments, by: dict[str, Embed]) -> Figures:
    """`OUT` is a class among the intents; a row has it, too, where no intent is ahead of it by a margin. The
    margin is the one of best accuracy on the validation split, whose rows out of scope count `RARITY`
    times."""
    seen, held, rows = (tools.table(f"clinc150/{name}") for name in ("train", "val", "test"))
    labels = [*sorted({row["label"] for row in [*seen, *held, *rows]} - {OUT}), OUT]
    out = len(labels) - 1
    truth, held_truth = indices(rows, labels), indices(held, labels)
    result: Figures = {"rows": len(rows), "metric": "accuracy"}
    for who, embed in by.items():
        known = embed(_texts(seen), "clinc150 to learn from")
        asked = np.concatenate([embed(_texts(held), "clinc150 held out"), embed(_texts(rows), "clinc150")])
        for how, values in _answers(known, indices(seen, labels), asked, len(labels)).items():
            chosen, found = values[: len(held)], values[len(held) :]
            said = _or_out(found, _margin(chosen, held_truth, out), out)
            column = _column(who, how)
            result[column] = _accuracy(said, truth)
            result[f"{column}_out_of_scope_recall"] = _accuracy(said[truth == out], truth[truth == out])
            result[f"{column}_in_scope_accuracy"] = _accuracy(said[truth != out], truth[truth != out])
    return result


def _answers(
    known: Array, labels: Labels, asked: Array, classes: int, named: Array | None = None
) -> dict[str, Array]:
    """Values (asked, classes) of the regression by which the product is taught, with the names of the classes
    where there are any, and of a logistic one."""
    each = np.eye(classes, dtype=np.float32)
    names, at_names = (named, each) if named is not None else (known[:0], each[:0])
    rows, targets = np.concatenate([known, names]), np.concatenate([each[labels], at_names])
    return {
        "taught": taught.said(asked, rows, taught.solve(rows, targets)),
        "linear": baselines.linear(known, labels, asked, classes, balanced=False),
    }


def _column(who: str, how: str) -> str:
    """The model answers as the product does; beside it stands logistic regression on the original."""
    own = {"model": "taught", "original": "linear"}
    return who if how == own[who] else f"{who}_{how}"


def _margin(values: Array, truth: Labels, out: int) -> float:
    weight = np.where(truth == out, RARITY, 1.0)
    bounds = np.arange(-100, 101) / 100
    right = [float(((_or_out(values, bound, out) == truth) * weight).sum()) for bound in bounds]
    return float(bounds[int(np.argmax(right))])


def _or_out(values: Array, margin: float, out: int) -> Labels:
    best: Labels = values[:, :out].argmax(axis=1)
    best[values[:, :out].max(axis=1) < values[:, out] + margin] = out
    return best


def _texts(rows: Sequence[Row]) -> list[str]:
    return [row["text"] for row in rows]


def _accuracy(said: Labels, truth: Labels) -> float:
    return float((said == truth).mean()) if len(truth) else 0.0
