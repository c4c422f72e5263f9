"""The public tasks whose training splits the model learnt from, by their official figures on the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sentiment import baselines
from sentiment.calibrating import best_threshold
from sentiment.examples import FEELING, IRONY, OFFENSIVE, validation
from sentiment.figures import Labels, Marks, f1, macro_f1, macro_recall
from sentiment.heads import EMOTION, SENTIMENT, Array, Head
from sentiment.instruments import Figures, Instruments, indices, spoken, trust

Metric = Callable[[Labels, Labels], float]


def _f1_of_last(predicted: Labels, truth: Labels) -> float:
    last = int(truth.max())
    return f1(predicted == last, truth == last)


_TWEETEVAL: Mapping[str, tuple[Head, str, Metric]] = {
    "tweeteval_emotion": (FEELING, "macro-F1", macro_f1),
    "tweeteval_irony": (IRONY, "F1 of the ironic", _f1_of_last),
    "tweeteval_offensive": (OFFENSIVE, "macro-F1", macro_f1),
}

TOO_FEW = 500
"""Validation rows: of fewer no rule is learnt, the likeliest label is the answer."""


def measure(tools: Instruments) -> Figures:
    """By name of the task: its rows, the name of the official metric, and what the model and others reach in
    it. "sentiment" is the same task closer: how far its confidences can be believed."""
    tasks, sentiment = _sentiment(tools)
    tasks |= {name: _tweeteval(tools, name, *how) for name, how in _TWEETEVAL.items()}
    tasks["goemotions"] = _goemotions(tools)
    tasks["isarcasm"] = _isarcasm(tools)
    return {"tasks": tasks, "sentiment": sentiment}


def _sentiment(tools: Instruments) -> tuple[Figures, Figures]:
    rows, seen = tools.table("tweeteval_sentiment/test"), tools.table("tweeteval_sentiment/train_semeval17")
    texts, truth = [row["text"] for row in rows], indices(rows, SENTIMENT.labels)
    shares = tools.read(texts, "test tweets").shares["sentiment"]
    others = _linear(tools, "tweets", [row["text"] for row in seen], indices(seen, SENTIMENT.labels), texts)
    likeliest = shares.argmax(axis=1)
    answers = {
        "model": _answers(tools, SENTIMENT, macro_recall, shares),
        "as_spoken": likeliest,
        "vader": baselines.vader(texts),
        "textblob": baselines.textblob(texts),
        **others,
    }
    right = likeliest == truth
    confidences = shares.max(axis=1)
    task = {
        "rows": len(rows),
        "metric": "macro recall",
        **{who: macro_recall(said, truth) for who, said in answers.items()},
    }
    closer = {
        **trust(confidences, right),
        "spoken": spoken(confidences, right, tools.reader.thresholds["sentiment"][0]),
    }
    return {"tweeteval_sentiment": task}, closer


def _tweeteval(tools: Instruments, name: str, head: Head, metric: str, figure: Metric) -> Figures:
    rows, seen = tools.table(f"{name}/test"), tools.table(f"{name}/train")
    texts, truth = [row["text"] for row in rows], indices(rows, head.labels)
    shares = tools.read(texts, name).shares[head.name]
    likeliest = shares.argmax(axis=1)
    others = _linear(tools, name, [row["text"] for row in seen], indices(seen, head.labels), texts)
    return {
        "rows": len(rows),
        "metric": metric,
        "model": figure(_answers(tools, head, figure, shares), truth),
        "as_spoken": figure(likeliest, truth),
        **{who: figure(said, truth) for who, said in others.items()},
        "calibration_error": trust(shares.max(axis=1), likeliest == truth)["calibration_error"],
    }


def _answers(tools: Instruments, head: Head, figure: Metric, shares: Array) -> Labels:
    """The answers to texts of these shares, by the rule that is best on the task's validation split."""
    rows = [row for row in validation(tools.data) if row.targets.keys() == {head.name}]
    rows = tools.sample(rows)
    if len(rows) < TOO_FEW:
        return decided(shares, np.zeros(len(head.labels), np.float32))
    held = tools.read([row.text for row in rows], f"{head.name}, held out").shares[head.name]
    marks = np.stack([row.targets[head.name].truth for row in rows])
    return decided(shares, offsets(held, marks, figure))


def decided(shares: Array, offset: Array) -> Labels:
    """The label of the greatest log share after the offset of each (labels,) is added."""
    found: Labels = (np.log(np.maximum(shares, 1e-12)) + offset).argmax(axis=1)
    return found


def offsets(shares: Array, truth: Array, figure: Metric) -> Array:
    """The offsets that `decided` needs to be best in an official figure, which asks for something else than
    the likeliest label: the F1 of one label, or all labels alike however rare. One number is chosen: of two
    labels the odds from which the second is said, of more how far to lean against what is frequent. `shares`
    and `truth` (0 or 1) are (texts, labels)."""
    frequent = np.log(np.maximum(truth.mean(axis=0), 1e-12))
    candidates = (
        [np.array([0, odds], np.float32) for odds in np.arange(-15, 16) / 10]
        if truth.shape[1] == 2
        else [-lean * frequent for lean in np.arange(0, 11) / 10]
    )
    labels = truth.argmax(axis=1)
    found: Array = max(
        candidates,
        key=lambda offset: (figure(decided(shares, offset), labels), -float(np.abs(offset).sum())),
    )
    return found


def _linear(
    tools: Instruments, what: str, seen: list[str], labels: Labels, asked: list[str]
) -> dict[str, Labels]:
    """What counted words and the original encoder answer, each with logistic regression."""
    classes = int(labels.max()) + 1
    original = baselines.linear(
        tools.original(seen, f"{what} to learn from"), labels, tools.original(asked, what), classes
    )
    return {
        "counted": baselines.counted(seen, labels, asked, classes).argmax(axis=1),
        "original": original.argmax(axis=1),
    }


def _goemotions(tools: Instruments) -> Figures:
    """Thresholds are chosen on the development split, the model's as the original encoder's: those that the
    product speaks by are higher, since it names one feeling and should be believed. "as_spoken" is with
    them."""
    splits = {name: tools.table(f"goemotions/{name}") for name in ("train", "dev", "test")}
    texts = {name: [row["text"] for row in rows] for name, rows in splits.items()}
    known, dev, test = (
        np.array([[label in row["label"].split(",") for label in EMOTION.labels] for row in rows])
        for rows in splits.values()
    )
    model = tools.read([*texts["dev"], *texts["test"]], "goemotions").shares["emotion"]
    seen, asked = (
        tools.original(texts["train"], "goemotions to learn from"),
        tools.original([*texts["dev"], *texts["test"]], "goemotions"),
    )
    original = np.zeros_like(model)
    for j in np.flatnonzero(known.any(axis=0) & ~known.all(axis=0)):
        labels = known[:, j].astype(np.int64)
        original[:, j] = baselines.linear(seen, labels, asked, 2, balanced=False)[:, 1]
    found: Figures = {"rows": len(test), "metric": "macro-F1"}
    for who, shares in (("model", model), ("original", original)):
        least = [best_threshold(shares[: len(dev), j], dev[:, j], low=0.04) for j in range(dev.shape[1])]
        found[who] = _macro_f1_of_many(shares[len(dev) :], test, least)
    spoken = tools.reader.thresholds["emotion"]
    return {**found, "as_spoken": _macro_f1_of_many(model[len(dev) :], test, spoken)}


def _macro_f1_of_many(shares: Array, truth: Marks, thresholds: Sequence[float]) -> float:
    return float(np.mean([f1(shares[:, j] >= least, truth[:, j]) for j, least in enumerate(thresholds)]))


def _isarcasm(tools: Instruments) -> Figures:
    rows, seen = tools.table("isarcasm/test_en"), tools.table("isarcasm/train_en")
    texts, truth = [row["text"] for row in rows], indices(rows, ("0", "1"))
    said = tools.read(texts, "isarcasm").shares["sarcasm"][:, 0] >= tools.reader.thresholds["sarcasm"][0]
    others = _linear(tools, "isarcasm", [row["text"] for row in seen], indices(seen, ("0", "1")), texts)
    return {
        "rows": len(rows),
        "metric": "F1 of the sarcastic",
        "model": f1(said, truth),
        **{who: f1(answer == 1, truth) for who, answer in others.items()},
    }
