"""`hub score`: what the model says of any text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from rich.text import Text
from typer.core import TyperCommand

from hub.cli.opening import loading_model, quiet_settings
from hub.cli.output import (
    JsonOption,
    as_json,
    console,
    fail_usage,
    is_terminal,
    one_line,
    safe,
    say,
    show,
    write,
)
from hub.cli.texts import lines_of, open_file, table_in

if TYPE_CHECKING:
    from sentiment.types import Analysis, Explanation, Scorer

BATCH = 256
FOR, AGAINST = "cyan underline", "yellow italic"


class ScoreCommand(TyperCommand):
    """Lets `--explain` stand without a value, which Typer's options cannot: it then means the sentiment."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """A value is what begins with the name of a head; all else is the FILE."""
        if "--explain" in args:
            from sentiment.heads import PRODUCT

            at = args.index("--explain")
            if at + 1 == len(args) or args[at + 1].partition(":")[0] not in PRODUCT:
                args = [*args[:at], "--explain=sentiment", *args[at + 1 :]]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(cls=ScoreCommand)(score)


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
    explain: Annotated[
        str,
        typer.Option(
            metavar="[WHAT]",
            help="Say which words moved the sentiment, or what you name: `emotion`, `intents:complaint`.",
        ),
    ] = "",
    as_json_lines: JsonOption = False,
) -> None:
    """Score texts: a JSON line for each, in order, with sentiment, intents, emotion and language.

    `sarcasm` and `expects_reply` are probabilities; `score` is the mood from -1 to 1.

    Needs no database. A label is null, and `abstained` says why, where the model is not sure enough.

    With `--explain` the words are marked that moved a label, or listed where no terminal is, with what each
    adds to the label's log odds; with `--json` too they stand beside everything else.

    `echo "Where is my parcel?!" | hub score`
    """
    import sentiment

    if explain:
        _check(explain)
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
            if explain and not as_json_lines:
                for text in batch:
                    show(_in_words(text, _explained(scorer, text, explain)))
            else:
                analyses = scorer.score(batch)
                shown = [_shown(text, each) for text, each in zip(batch, analyses, strict=True)]
                if explain:
                    shown = [each | _explanation(_explained(scorer, each["text"], explain)) for each in shown]
                write("\n".join(map(as_json, shown)))
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


def _check(about: str) -> None:
    from sentiment.explain import CannotExplain, labels_of

    head, _, label = about.partition(":")
    try:
        labels_of(head, label or None)
    except CannotExplain as error:
        raise fail_usage(f"--explain {about}: {error}") from error


def _explained(scorer: Scorer, text: str, about: str) -> Explanation | str:
    """Why, or why not."""
    from sentiment.explain import CannotExplain

    head, _, label = about.partition(":")
    try:
        return scorer.explain(text, head, label or None)
    except CannotExplain as error:
        return str(error)


def _explanation(why: Explanation | str) -> dict[str, Any]:
    if isinstance(why, str):
        return {"explanation": None, "not_explained": why}
    words = [{**asdict(word), "contribution": round(word.contribution, 4)} for word in why.words]
    figures = {name: round(getattr(why, name), 4) for name in ("confidence", "total", "baseline")}
    return {"explanation": {"head": why.head, "label": why.label, **figures, "words": words}}


def _in_words(text: str, why: Explanation | str) -> Text:
    """The text with its words marked, or a list of them where no terminal could show that."""
    if isinstance(why, str):
        return Text(f"{one_line(text, 60)}\n  not explained: {why}\n")
    told = Text.assemble((f"{why.label}, {why.confidence:.2f} sure", "bold"))
    marked = [word for word in why.words if why.strength(word)]
    if not console(stderr=False).is_terminal:
        for word in sorted(marked, key=lambda word: -abs(word.contribution)):
            told.append(f"\n{word.contribution:+8.2f}  {one_line(word.text, 60)}")
        return told.append("\n")
    told.append(": ").append("for it", FOR).append(", ").append("against it", AGAINST).append("\n")
    end = 0
    for word in marked:
        told.append(safe(text[end : word.start]))
        style = f"{FOR if word.contribution > 0 else AGAINST}{' bold' if why.strength(word) == 3 else ''}"
        told.append(safe(word.text), style)
        end = word.end
    return told.append(safe(text[end:])).append("\n")


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
