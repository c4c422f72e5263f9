"""Measure the shipped model beside others: `python -m sentiment.evaluate --data ../shared/data`.

Prints the figures as JSON; with `--card` it writes the model card and its pictures from them. Official test
splits and the project's own test set are read here and nowhere else. The same model, data and machine give
the same figures, those of speed excepted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from sentiment import (
    behaviour,
    bench,
    evaluate_intents,
    evaluate_limits,
    evaluate_messages,
    evaluate_tasks,
)
from sentiment.card import CARD, IMAGES, pictures, render
from sentiment.datasets import table
from sentiment.evaluate_taught import few_shot
from sentiment.instruments import Figures, Instruments
from sentiment.model import MessageScorer
from sentiment.weights import MODEL, WeightsError

QUICK = 300
"""Rows of each table with `--quick`."""
SPEED_TEXTS = 200
"""A quarter of them mails, the rest tweets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--json", type=Path, help="write the figures there instead of to the terminal")
    parser.add_argument("--card", action="store_true", help=f"write {CARD.name} and its pictures")
    parser.add_argument("--quick", action="store_true", help=f"read {QUICK} rows of each table, for a glance")
    options = parser.parse_args()
    if options.card and options.quick:
        parser.error("a card is written from all rows: leave out --quick")
    try:
        with Progress(console=Console(stderr=True)) as progress:
            figures = measure(options.data, progress, QUICK if options.quick else None)
    except (WeightsError, FileNotFoundError) as error:
        sys.exit(f"cannot measure: {error}")
    text = json.dumps(figures, indent=1) + "\n"
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    if options.card:
        CARD.write_text(render(figures), encoding="utf-8")
        for name, picture in pictures(figures).items():
            (IMAGES / name).write_text(picture, encoding="utf-8")


def measure(data: Path, progress: Progress, most: int | None = None) -> Figures:
    """Everything that the model card tells; `most` rows of each table, None for all.

    Raises: sentiment.weights.WeightsError, FileNotFoundError, where a model or a data set is missing.
    """
    tools = Instruments(data, progress, most)
    parts: list[Callable[[Instruments], Figures]] = [
        evaluate_tasks.measure,
        evaluate_intents.measure,
        evaluate_messages.measure,
        evaluate_limits.measure,
        _taught,
        _behaviour,
        _speed,
    ]
    figures: Figures = {"model": _model(tools), "tasks": {}}
    for part in progress.track(parts, description="all measurements"):
        found = part(tools)
        figures["tasks"] |= found.pop("tasks", {})
        figures |= found
    return figures


def _model(tools: Instruments) -> Figures:
    return {
        "version": tools.reader.name,
        "languages": sorted(tools.reader.languages or ()),
        "thresholds": dict(tools.reader.thresholds),
        "bytes": MODEL.stat().st_size,
    }


def _taught(tools: Instruments) -> Figures:
    return {"taught": few_shot(MessageScorer([tools.reader]), tools.data)}


def _behaviour(tools: Instruments) -> Figures:
    tried = behaviour.measure(MessageScorer([tools.reader]))
    return {
        "behaviour": {name: {"cases": group.cases, "failed": group.rate} for name, group in tried.items()}
    }


def _speed(tools: Instruments) -> Figures:
    """Last, since it leaves torch with one thread."""
    tweets = [row["text"] for row in tools.table("tweeteval_sentiment/test")]
    mails = [
        f"{row['subject']}\n{row['body']}"
        for path in sorted((tools.data / "tickets_multilang").glob("*.tsv.gz"))
        for row in table(path)
        if row["language"] == "en"
    ]
    few = SPEED_TEXTS // 4
    texts = [*tweets[: SPEED_TEXTS - few], *mails[:few]]
    return {"speed": asdict(bench.measure(texts))}


if __name__ == "__main__":
    main()
