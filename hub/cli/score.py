"""`hub score`: what the model says of any text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from hub.cli.opening import loading_model, quiet_settings
from hub.cli.output import JsonOption, as_json, fail_usage, is_terminal, one_line, say, write
from hub.cli.texts import lines_of, open_file, table_in

if TYPE_CHECKING:
    from sentiment.types import Analysis

BATCH = 256


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(score)


def score(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A text per line, gzipped or not; - is stdin.")
    ] = "-",
    column: Annotated[
        str, typer.Option(help="The column of a TSV or CSV with a header; without it each line is a text.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="`default`, a Hugging Face id or a folder; else as HUB_MODEL says.")
    ] = "",
    as_json_lines: JsonOption = False,
) -> None:
    """Score texts: a JSON line for each, in order, with sentiment, intents, emotion and language.

    `sarcasm` and `expects_reply` are probabilities; `score` is the mood from -1 to 1.

    Needs no database. A label is null, and `abstained` says why, where the model is not sure enough.

    `echo "Where is my parcel?!" | hub score`
    """
    import sentiment

    settings = quiet_settings()
    with open_file(file) as stream:
        if file == "-" and is_terminal():
            say("A text per line; Ctrl-D ends.")
        texts = _column(stream, column) if column else lines_of(stream)
        first = next(texts, None)
        if first is None:
            return
        name = model or settings.model
        with loading_model(name):
            scorer = sentiment.load(
                name,
                intent_model=settings.intent_model or None,
                threads=settings.model_threads or None,
                precision=settings.model_precision,
            )
        # Who types wants an answer to each line.
        size = 1 if file == "-" and is_terminal() else BATCH
        batch = [first, *islice(texts, size - 1)]
        while batch:
            analyses = scorer.score(batch)
            write("\n".join(as_json(_shown(text, each)) for text, each in zip(batch, analyses, strict=True)))
            batch = list(islice(texts, size))


def _shown(text: str, analysis: Analysis) -> dict[str, Any]:
    sentiment = analysis.sentiment
    shown: dict[str, Any] = {
        "text": text,
        "language": analysis.language,
        "sentiment": {
            "label": sentiment.label,
            "confidence": round(sentiment.confidence, 4),
            "score": round(sentiment.score, 4),
            "scores": {label: round(share, 6) for label, share in sentiment.scores.items()},
        },
        "intents": [
            {"label": each.label, "confidence": round(each.confidence, 4)} for each in analysis.intents
        ],
        "emotion": {
            "label": analysis.emotion.label,
            "confidence": round(analysis.emotion.confidence, 4),
        }
        if analysis.emotion
        else None,
        "sarcasm": _rounded(analysis.sarcasm),
        "expects_reply": _rounded(analysis.expects_reply),
        "taught": [{"name": each.name, "confidence": round(each.confidence, 4)} for each in analysis.taught],
        "model": analysis.model,
    }
    if analysis.abstained:
        shown["abstained"] = list(analysis.abstained)
    return shown


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _column(stream: BinaryIO, column: str) -> Iterator[str]:
    header, rows = table_in(lines_of(stream))
    names = [name.casefold() for name in header]
    if column.casefold() not in names:
        known = ", ".join(one_line(name, 40) for name in header) or "none"
        raise fail_usage(f"--column {column}: the header has {known}")
    place = names.index(column.casefold())
    return (row[place] if place < len(row) else "" for row in rows)
