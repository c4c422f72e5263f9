"""What the network learns from: public rows and invented messages, each with what it says of which head."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sentiment.datasets import table
from sentiment.heads import EMOTION, INTENT, REPLY, SARCASM, SENTIMENT, TOPIC, Array, Head

MESSAGES = Path(__file__).parent / "data" / "messages"

FEELING = Head("feeling", "one", ("anger", "joy", "optimism", "sadness"))
IRONY = Head("irony", "one", ("non_irony", "irony"))
OFFENSIVE = Head("offensive", "one", ("not-offensive", "offensive"))
BENCHMARKS: Mapping[str, Head] = {head.name: head for head in (FEELING, IRONY, OFFENSIVE)}
"""TweetEval's other tasks, shipped so that the card can measure them; the product does not use them."""
SHORTEST_CUT = 6
"""Words of a tweet of which a part is worth reading."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one row says of one head: the wanted output of each label (outputs,), and how much it counts."""

    truth: Array
    weight: float


@dataclass(frozen=True, slots=True)
class Example:
    """A text as it was written and its targets by head name. It is read `times` times in a training."""

    text: str
    targets: Mapping[str, Target]
    times: float


def target(head: Head, labels: Sequence[str], weight: float = 1.0) -> Target:
    """The row has these labels of the head and no others."""
    truth = np.zeros(len(head.labels), np.float32)
    truth[[head.labels.index(label) for label in labels]] = 1
    return Target(truth, weight)


def invented() -> list[dict[str, Any]]:
    """The project's own messages as they are written in `sentiment/data/messages` (see `LABELS.md`)."""
    return [
        json.loads(line)
        for path in sorted(MESSAGES.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def held_out(text: str) -> bool:
    """Whether an invented message is kept from training, to calibrate and to measure on: every tenth."""
    return zlib.crc32(text.encode()) % 10 == 0


def of_message(row: Mapping[str, Any]) -> dict[str, Target]:
    """What an invented message teaches."""
    return {
        "sentiment": target(SENTIMENT, [row["sentiment"]]),
        "topic": target(TOPIC, row["intents"][:1]),
        "intents": target(INTENT, row["intents"]),
        "emotion": target(EMOTION, [row["emotion"]], 0.5),
        "sarcasm": target(SARCASM, SARCASM.labels if row["sarcasm"] else ()),
        "reply": target(REPLY, REPLY.labels if row["expects_reply"] else ()),
    }


def classes(data: Path) -> dict[str, Head]:
    """Sets of many intents: they teach the embedding to tell intents apart."""
    return {
        name: Head(name, "one", tuple(sorted({row[column] for row in table(data / path)})))
        for name, (path, column, _) in _CLASSES.items()
    }


_CLASSES = {
    "clinc150": ("clinc150/train.tsv.gz", "label", 2),
    "hwu64": ("hwu64/train.tsv.gz", "label", 1.5),
    "bitext_cs": ("bitext_cs/all.tsv.gz", "intent", 0.4),
}
"""File, column of the label, and how often a row is read; bitext's rows are made from templates."""


def examples(data: Path) -> Iterator[Example]:
    """Everything that the network learns from, in a fixed order.

    Banking77 is not among it: what the embedding makes of intents that it has never met is measured there.
    """

    def rows(path: str) -> Iterator[tuple[str, dict[str, str]]]:
        return ((row["text"], row) for row in table(data / path))

    def public(path: str, head: Head, times: float) -> Iterator[Example]:
        for text, row in rows(path):
            yield Example(text, {head.name: target(head, row["label"].split(","))}, times)

    yield from public("tweeteval_sentiment/train_semeval17.tsv.gz", SENTIMENT, 2)
    yield from public("tweeteval_emotion/train.tsv.gz", FEELING, 4)
    yield from public("tweeteval_irony/train.tsv.gz", IRONY, 3)
    yield from public("tweeteval_offensive/train.tsv.gz", OFFENSIVE, 1.5)
    yield from public("goemotions/train.tsv.gz", EMOTION, 1.4)
    for text, row in rows("isarcasm/train_en.tsv.gz"):
        labels = SARCASM.labels if row["label"] == "1" else ()
        yield Example(text, {"sarcasm": target(SARCASM, labels)}, 2)
    for name, head in classes(data).items():
        path, column, times = _CLASSES[name]
        for text, row in rows(path):
            yield Example(text, {name: target(head, [row[column]])}, times)
    for row in invented():
        if not held_out(row["text"]):
            yield Example(row["text"], of_message(row), 3)


def parts(rows: Sequence[Example], seed: int) -> Iterator[Example]:
    """A run of words out of each tweet of `rows`, two to four fifths of it: a text that nobody labelled, and
    so without targets until a teacher has read it."""
    draw = random.Random(seed)  # noqa: S311 - cuts examples
    for row in rows:
        words = row.text.split()
        if row.targets.keys() == {SENTIMENT.name} and len(words) >= SHORTEST_CUT:
            taken = round(len(words) * draw.uniform(0.4, 0.8))
            start = draw.randrange(len(words) - taken + 1)
            yield Example(" ".join(words[start : start + taken]), {}, 1.5)


def validation(data: Path) -> Iterator[Example]:
    """What the heads are calibrated on: nothing of it was learnt from, and none of it is a test split.

    Of the validation tweets, those that begin like a training tweet are left out: near copies would make the
    figures too kind.
    """
    learnt = {row["text"][:40] for row in table(data / "tweeteval_sentiment/train_semeval17.tsv.gz")}
    for path, head in (
        ("tweeteval_sentiment/val", SENTIMENT),
        ("tweeteval_emotion/val", FEELING),
        ("tweeteval_irony/val", IRONY),
        ("tweeteval_offensive/val", OFFENSIVE),
        ("goemotions/dev", EMOTION),
    ):
        for row in table(data / f"{path}.tsv.gz"):
            if head is not SENTIMENT or row["text"][:40] not in learnt:
                yield Example(row["text"], {head.name: target(head, row["label"].split(","))}, 1)
    for row in invented():
        if held_out(row["text"]):
            yield Example(row["text"], of_message(row), 1)
