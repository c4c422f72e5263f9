"""Reads the public data sets (gzipped TSV, one header line) and the invented messages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sentiment.types import INTENTS, SENTIMENTS

INVENTED = Path(__file__).parent / "data" / "intents.jsonl"
UMSAB = {
    "ar": "arabic",
    "en": "english",
    "fr": "french",
    "de": "german",
    "hi": "hindi",
    "it": "italian",
    "pt": "portuguese",
    "es": "spanish",
}
_LABEL_COLUMN = {"bitext_cs": "intent"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the index of its label in `SENTIMENTS`."""

    text: str
    label: int


@dataclass(frozen=True, slots=True)
class Wanting:
    """A text and what it wants. `asked` are the intents that its source has an opinion on: the rest are
    unknown."""

    text: str
    intents: frozenset[str]
    asked: frozenset[str]
    source: str


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a gzipped TSV by column name; fields have no quoting."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        names = file.readline().rstrip("\n").split("\t")
        return [dict(zip(names, line.rstrip("\n").split("\t"), strict=True)) for line in file]


def sentiment(data: Path, name: str) -> list[Labelled]:
    """`name` is folder and file without endings, such as "tweeteval_sentiment/val"."""
    return [Labelled(row["text"], SENTIMENTS.index(row["label"])) for row in table(data / f"{name}.tsv.gz")]


def unseen(rows: list[Labelled], seen: list[Labelled], prefix: int = 40) -> list[Labelled]:
    """`rows` without those that begin like one of `seen`: near copies would make a validation too kind."""
    heads = {row.text[:prefix] for row in seen}
    return [row for row in rows if row.text[:prefix] not in heads]


def public_intents(data: Path, source: str, split: str) -> list[Wanting]:
    """One of the public sets whose labels `intent_mapping.json` maps onto ours; unmapped rows are left out.

    Questions to a bank are seldom marked as the complaints that some of them are, so outside bitext, which
    has that label, the public sets say nothing of `complaint` where a row tells of trouble.
    """
    mapping = json.loads((data / "intent_mapping.json").read_text(encoding="utf-8"))
    codes: Mapping[str, str] = mapping["codes"]
    trouble = {"refund_return", "delivery_status", "billing_payment", "technical_problem", "account_access"}
    rows = []
    for row in table(data / source / f"{split}.tsv.gz"):
        code = mapping[source].get(row[_LABEL_COLUMN.get(source, "label")])
        if code is None:
            continue
        intent = codes[code]
        silent = {"escalation"} if intent == "complaint" else {"complaint"} if intent in trouble else set()
        rows.append(Wanting(row["text"], frozenset({intent}), frozenset(INTENTS) - silent, source))
    return rows


def invented() -> list[Wanting]:
    """The project's own example messages, each with everything it wants."""
    everything = frozenset(INTENTS)
    with INVENTED.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [Wanting(row["text"], frozenset(row["intents"]), everything, "invented") for row in rows]
