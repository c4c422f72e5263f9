"""The test set of real messages: labels that are the project's, by file and line of texts that are not.

Both passes and the third that decided between them were made by large language models, each alone with
`data/LABELS.md`, none by a person. See the model card for how far they agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sentiment.datasets import table
from sentiment.figures import kappa

TESTSET = Path(__file__).parent / "data" / "testset.jsonl"

Source = Literal["tweets", "mails"]


@dataclass(frozen=True, slots=True)
class Real:
    """A message as its customer wrote it, and what was decided of it. `acceptable` are the intents that a
    sensible colleague could put first, `intent` among them."""

    text: str
    source: Source
    language: str
    intent: str
    acceptable: frozenset[str]
    sentiment: str
    complaint: bool
    expects_reply: bool
    passes: tuple[Mapping[str, Any], Mapping[str, Any]]


def load(data: Path, testset: Path = TESTSET) -> list[Real]:
    """All of them, with their texts from the folder of the data sets. A mail is its subject and its body."""
    labels = [json.loads(line) for line in testset.read_text(encoding="utf-8").splitlines()]
    tables = {name: table(data / name) for name in dict.fromkeys(each["file"] for each in labels)}
    return [_real(each, tables[each["file"]][each["line"] - 1]) for each in labels]


def _real(label: Mapping[str, Any], row: Mapping[str, str]) -> Real:
    first, second = label["passes"]
    return Real(
        text=row["text"] if "text" in row else f"{row['subject']}\n{row['body']}",
        source="tweets" if "text" in row else "mails",
        language=label["language"],
        intent=label["intent"],
        acceptable=frozenset(label["acceptable"]),
        sentiment=label["sentiment"],
        complaint=label["complaint"],
        expects_reply=label["expects_reply"],
        passes=(first, second),
    )


def agreement(rows: Sequence[Real]) -> dict[str, dict[str, float]]:
    """Of the two passes, for each kind of label: the share of rows on which they agree, and Cohen's kappa."""
    kinds: dict[str, Callable[[Mapping[str, Any]], object]] = {
        "topic": lambda labels: labels["intents"][0],
        "complaint": lambda labels: "complaint" in labels["intents"],
        "sentiment": lambda labels: labels["sentiment"],
        "emotion": lambda labels: labels["emotion"],
        "sarcasm": lambda labels: labels["sarcasm"],
        "expects_reply": lambda labels: labels["expects_reply"],
    }
    found = {}
    for kind, label in kinds.items():
        first, second = ([str(label(row.passes[i])) for row in rows] for i in (0, 1))
        agreed = sum(a == b for a, b in zip(first, second, strict=True)) / len(rows)
        found[kind] = {"agreed": agreed, "kappa": kappa(first, second)}
    return found
