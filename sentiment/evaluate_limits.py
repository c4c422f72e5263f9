"""Where the model is out of its depth: other languages, and sets that nothing was trained or tuned on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sentiment import datasets
from sentiment.figures import f1, macro_recall, ranking_quality
from sentiment.heads import SENTIMENT
from sentiment.instruments import Figures, Instruments, Row, indices
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

Asked = Mapping[str, Callable[[Row], bool]]
"""Which rows have an intent."""


def measure(tools: Instruments) -> Figures:
    return {
        "languages": {code: _language(tools, code, name) for code, name in datasets.UMSAB.items()},
        "unseen": _unseen(tools),
    }


def _language(tools: Instruments, code: str, name: str) -> Figures:
    """What the language does to the sentiment: `macro_recall_if_forced` is what would be reached if nothing
    were left out, `macro_recall_where_spoken` what is reached in the rest."""
    rows = tools.table(f"umsab/{name}_test")
    truth = indices(rows, SENTIMENT.labels)
    texts = [row["text"] for row in rows]
    said = tools.read(texts, f"umsab {name}").shares["sentiment"].argmax(axis=1)
    found = [identify(clean(text)) for text in texts]
    assert tools.reader.languages is not None
    silent = np.array([objection(language, tools.reader.languages) is not None for language in found])
    return {
        "rows": len(rows),
        "found": float(np.mean([language.code == code for language in found])),
        "taken_for_another": float(np.mean([language.code not in (code, None) for language in found])),
        "silent": float(silent.mean()),
        "macro_recall_if_forced": macro_recall(said, truth),
        "accuracy_where_spoken": None if silent.all() else float((said == truth)[~silent].mean()),
    }


def _unseen(tools: Instruments) -> Figures:
    """Each set knows one of our intents by another name."""
    mails = [
        {**row, "text": f"{row['subject']}\n{row['body']}"}
        for path in sorted((tools.data / "tickets_multilang").glob("*.tsv.gz"))
        for row in datasets.table(path)
        if row["language"] == "en"
    ]
    return {
        "complaints19": _judged(
            tools, "complaints19", tools.table("complaints19/all"), {"complaint": _label_is("complaint")}
        ),
        "suggestion19": _judged(
            tools,
            "suggestion19",
            tools.table("suggestion19/test"),
            {"feature_suggestion": _label_is("suggestion")},
        ),
        "appreviews": _judged(
            tools,
            "appreviews",
            tools.table("appreviews/all"),
            {
                "technical_problem": _label_is("bug report"),
                "feature_suggestion": _label_is("feature request"),
            },
        ),
        "tickets_multilang": _judged(
            tools,
            "tickets",
            tools.sample(mails),
            {intent: _queue_is(intent) for intent in dict.fromkeys(QUEUES.values())},
        ),
    }


def _judged(tools: Instruments, what: str, rows: list[Row], asked: Asked) -> Figures:
    shares = tools.read([row["text"] for row in rows], what).shares["intents"]
    result: Figures = {"rows": len(rows), "intents": {}}
    for intent, is_true in asked.items():
        column = INTENTS.index(intent)
        truth = np.array([is_true(row) for row in rows])
        share = float(truth.mean())
        result["intents"][intent] = {
            "share": share,
            "ranking": ranking_quality(shares[:, column], truth),
            "f1": f1(shares[:, column] >= tools.reader.thresholds["intents"][column], truth),
            "f1_of_always_yes": 2 * share / (1 + share),
        }
    return result


def _label_is(label: str) -> Callable[[Row], bool]:
    return lambda row: row["label"] == label


def _queue_is(intent: str) -> Callable[[Row], bool]:
    return lambda row: QUEUES.get(row["queue"]) == intent
