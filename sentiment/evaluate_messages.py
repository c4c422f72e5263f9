"""The product's own domain: invented messages that were kept from training, and real ones.

Whoever is measured beside the model learnt from the same invented messages, less those that were kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sentiment import baselines, testset
from sentiment.calibrating import FOLDS, calibrate
from sentiment.examples import held_out, invented, validation
from sentiment.figures import Labels, calibration_error, calibration_noise, f1, macro_f1, macro_recall
from sentiment.heads import EMOTION, PRODUCT, SENTIMENT, Array
from sentiment.instruments import Figures, Instruments, spoken, trust
from sentiment.language import identify, objection
from sentiment.reader import Reading
from sentiment.testset import Real
from sentiment.text import clean
from sentiment.types import INTENTS

COMPLAINT = INTENTS.index("complaint")
FITTED_IN_DOMAIN = ("sentiment", "topic", "intents", "sarcasm", "reply")
"""Heads whose calibration the invented messages have a part in; emotion's is mostly GoEmotions'."""


def measure(tools: Instruments) -> Figures:
    """ "invented": the messages that were kept from training. "agreement": of the passes over the test set of
    real messages, by kind of label and source. "real": the model and others on it, by source."""
    rows = testset.load(tools.data)
    sources = {
        "all": rows,
        **{each: [row for row in rows if row.source == each] for each in ("tweets", "mails")},
    }
    return {
        "invented": _invented(tools),
        "agreement": {
            name: {"rows": len(some), **testset.agreement(some)} for name, some in sources.items() if some
        },
        "real": _real(tools, rows),
    }


def _invented(tools: Instruments) -> Figures:
    every = invented()
    rows = tools.sample([row for row in every if held_out(row["text"])])
    reading = tools.read([row["text"] for row in rows], "invented messages")
    shares, least = reading.shares, tools.reader.thresholds
    mood = _truth(rows, "sentiment", SENTIMENT.labels)
    said = shares["sentiment"].argmax(axis=1)
    topic = shares["topic"].argmax(axis=1)
    several = np.array([[label in row["intents"] for label in INTENTS] for row in rows])
    f1s = {
        label: f1(shares["intents"][:, j] >= least["intents"][j], several[:, j])
        for j, label in enumerate(INTENTS)
    }
    reply = np.array([row["expects_reply"] for row in rows])
    sarcastic = np.array([row["sarcasm"] for row in rows])
    return {
        "rows": len(rows),
        "of": len(every),
        "sentiment": {
            "accuracy": float((said == mood).mean()),
            "macro_recall": macro_recall(said, mood),
            "macro_f1": macro_f1(said, mood),
        },
        "topic": {
            "right": float(
                np.mean([row["intents"][0] == INTENTS[i] for row, i in zip(rows, topic, strict=True)])
            ),
            "acceptable": float(several[np.arange(len(rows)), topic].mean()),
        },
        "intents": {"macro_f1": float(np.mean(list(f1s.values()))), "f1": f1s},
        "emotion_accuracy": float(
            (shares["emotion"].argmax(axis=1) == _truth(rows, "emotion", EMOTION.labels)).mean()
        ),
        "sarcasm_f1": f1(shares["sarcasm"][:, 0] >= least["sarcasm"][0], sarcastic),
        "reply_accuracy": float(((shares["reply"][:, 0] >= least["reply"][0]) == reply).mean()),
        "calibration": _honest(tools),
    }


def _truth(rows: Sequence[Mapping[str, Any]], column: str, labels: Sequence[str]) -> Labels:
    return np.array([labels.index(row[column]) for row in rows])


def _honest(tools: Instruments) -> Figures:
    """Calibration errors on the invented messages. The shipped calibration was fitted on them too, so it is
    fitted again here as it was, without a fifth of the rows, and judged on that fifth; in turns."""
    rows = [row for row in validation(tools.data) if row.targets.keys() & set(FITTED_IN_DOMAIN)]
    rows = tools.sample(rows)
    own = np.array(["topic" in row.targets for row in rows])
    logits = tools.logits([row.text for row in rows], "what calibrates")
    found = {}
    for name in FITTED_IN_DOMAIN:
        head = PRODUCT[name]
        mine = np.array([name in row.targets for row in rows])
        truth = np.stack([row.targets[name].truth for row in rows if name in row.targets])
        shares = np.empty_like(truth)
        fold = np.arange(len(truth)) % FOLDS
        for k in range(FOLDS):
            rest = fold != k
            fitted = calibrate(head, logits[name][mine][rest], truth[rest], own[mine][rest].astype(np.int64))
            shares[fold == k] = fitted.shares(logits[name][mine][fold == k])
        inside = own[mine]
        confidences, right = _claims(shares[inside], truth[inside])
        found[name] = {
            "calibration_error": calibration_error(confidences, right),
            "calibration_noise": calibration_noise(confidences),
        }
    return found


def _claims(shares: Array, truth: Array) -> tuple[Array, np.ndarray]:
    """The surest label of each row and whether it holds; of a single yes or no, its share."""
    best = shares.argmax(axis=1)
    rows = np.arange(len(shares))
    return shares[rows, best], truth[rows, best] > 0


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one reader says of all rows; None where it does not say."""

    sentiment: Labels | None = None
    topics: Array | None = None
    complaint: np.ndarray | None = None
    reply: np.ndarray | None = None

    def of(self, kept: np.ndarray) -> _Answers:
        fields = (self.sentiment, self.topics, self.complaint, self.reply)
        return _Answers(*(None if field is None else field[kept] for field in fields))


def _real(tools: Instruments, every: Sequence[Real]) -> Figures:
    """Rows in other languages are only counted, with how many of them the model is silent on."""
    rows = tools.sample([row for row in every if row.language == "en"])
    texts = [row.text for row in rows]
    reading = tools.read(texts, "real messages")
    readers = {
        "model": _model(tools, reading),
        "vader": _Answers(baselines.vader(texts)),
        "textblob": _Answers(baselines.textblob(texts)),
        **_learnt(tools, texts),
    }
    found: Figures = {"languages": _silent(tools, every)}
    for name in ("all", "tweets", "mails"):
        kept = np.array([name in ("all", row.source) for row in rows])
        if not kept.any():
            continue
        some = [row for row, keep in zip(rows, kept, strict=True) if keep]
        shares = {head: table[kept] for head, table in reading.shares.items()}
        found[name] = {
            "rows": len(some),
            "judged": {who: _judged(answers.of(kept), some) for who, answers in readers.items()},
            **_trusted(tools, shares, some),
        }
    return found


def _model(tools: Instruments, reading: Reading) -> _Answers:
    shares, least = reading.shares, tools.reader.thresholds
    return _Answers(
        shares["sentiment"].argmax(axis=1),
        shares["topic"],
        shares["intents"][:, COMPLAINT] >= least["intents"][COMPLAINT],
        shares["reply"][:, 0] >= least["reply"][0],
    )


def _learnt(tools: Instruments, texts: Sequence[str]) -> dict[str, _Answers]:
    rows = tools.sample([row for row in invented() if not held_out(row["text"])])
    seen = [row["text"] for row in rows]
    mood = _truth(rows, "sentiment", SENTIMENT.labels)
    topic = np.array([INTENTS.index(row["intents"][0]) for row in rows])
    complaint = np.array([int("complaint" in row["intents"]) for row in rows])
    reply = np.array([int(row["expects_reply"]) for row in rows])
    known, asked = tools.original(seen, "invented to learn from"), tools.original(texts, "real messages")

    def answers(shares: Any) -> _Answers:
        return _Answers(
            shares(mood, len(SENTIMENT.labels)).argmax(axis=1),
            shares(topic, len(INTENTS)),
            shares(complaint, 2)[:, 1] >= 0.5,
            shares(reply, 2)[:, 1] >= 0.5,
        )

    return {
        "counted": answers(lambda labels, classes: baselines.counted(seen, labels, texts, classes)),
        "original": answers(lambda labels, classes: baselines.linear(known, labels, asked, classes)),
    }


def _judged(said: _Answers, rows: Sequence[Real]) -> Figures:
    found: Figures = {}
    if said.sentiment is not None:
        mood = np.array([SENTIMENT.labels.index(row.sentiment) for row in rows])
        found["sentiment"] = {
            "accuracy": float((said.sentiment == mood).mean()),
            "macro_f1": macro_f1(said.sentiment, mood),
            "macro_recall": macro_recall(said.sentiment, mood),
        }
    if said.topics is not None:
        order = np.argsort(-said.topics, axis=1, kind="stable")
        acceptable = np.array(
            [[INTENTS[i] in row.acceptable for i in best[:2]] for row, best in zip(rows, order, strict=True)]
        )
        right = np.array([row.intent == INTENTS[best[0]] for row, best in zip(rows, order, strict=True)])
        found["topic"] = {
            "acceptable": float(acceptable[:, 0].mean()),
            "one_of_two": float(acceptable.any(axis=1).mean()),
            "right": float(right.mean()),
        }
    if said.complaint is not None:
        found["complaint_f1"] = f1(said.complaint, np.array([row.complaint for row in rows]))
    if said.reply is not None:
        found["reply_accuracy"] = float((said.reply == np.array([row.expects_reply for row in rows])).mean())
    return found


def _trusted(tools: Instruments, shares: Mapping[str, Array], rows: Sequence[Real]) -> Figures:
    """How far the model's confidences can be believed."""
    mood = np.array([SENTIMENT.labels.index(row.sentiment) for row in rows])
    right = shares["sentiment"].argmax(axis=1) == mood
    topic = shares["topic"].argmax(axis=1)
    acceptable = np.array([INTENTS[i] in row.acceptable for i, row in zip(topic, rows, strict=True)])
    least = tools.reader.thresholds
    confidences, topics = shares["sentiment"].max(axis=1), shares["topic"].max(axis=1)
    return {
        "sentiment": {
            **trust(confidences, right),
            "spoken": spoken(confidences, right, least["sentiment"][0]),
        },
        "topic": {**trust(topics, acceptable), "spoken": spoken(topics, acceptable, least["topic"][0])},
    }


def _silent(tools: Instruments, rows: Sequence[Real]) -> Figures:
    """By language of the test set: its rows, and of how many the model says nothing."""
    assert tools.reader.languages is not None
    found: Figures = {}
    for row in rows:
        counts = found.setdefault("en" if row.language == "en" else "other", {"rows": 0, "silent": 0})
        counts["rows"] += 1
        counts["silent"] += objection(identify(clean(row.text)), tools.reader.languages) is not None
    return found
