"""`hub model calibrate`, `refit` and `compare`: what asks the model about many messages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.opening import load_model, opened
from hub.cli.output import (
    JsonOption,
    counting,
    fail_usage,
    one_line,
    plural,
    say,
    show,
    table,
    write_json,
)
from hub.cli.texts import lines_of, open_file, records_in
from hub.errors import Invalid

if TYPE_CHECKING:
    from hub.learning.comparing import Comparison
    from hub.learning.service import Learnt
    from sentiment.types import SentimentLabel

COMPARED = 1000
ENOUGH_LABELS = 100

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only tell what would come of it.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Keep it though it makes nothing better.")]
VersionArgument = Annotated[
    str,
    typer.Argument(metavar="VERSION", help="Its number, `base` for the model as it is shipped, or `active`."),
]


def calibrate(
    labels: Annotated[
        str,
        typer.Option(metavar="FILE", help="JSON lines, CSV or TSV with `text` and `sentiment`; - is stdin."),
    ] = "",
    corrections: Annotated[
        bool, typer.Option("--corrections", help="Take what people corrected in place of a file.")
    ] = False,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the mood's confidences right for your own messages, from about 100 that somebody labelled.

    `sentiment` is negative, neutral or positive. Take messages as they come: of those that people corrected
    most are the model's mistakes, so that they say less of the rest. Figures before and after are by
    cross-validation; what makes nothing better is not kept.
    """
    from hub.learning.lessons import calibrate as calibrate_in_hub
    from hub.learning.lessons import labelled_by_people

    if bool(labels) == corrections:
        raise fail_usage("name a file by --labels, or take --corrections")
    labelled = _labelled(labels) if labels else []
    with opened() as hub:
        if corrections:
            with hub.database.reading() as session:
                labelled = labelled_by_people(session)
        if len(labelled) < ENOUGH_LABELS:
            say(f"{plural(len(labelled), 'labelled message')}: {ENOUGH_LABELS} or more make it sure.")
        load_model(hub)
        with counting("messages read", len(labelled)) as count:
            learnt = calibrate_in_hub(
                hub,
                labelled,
                source="corrections" if corrections else Path(labels).name if labels != "-" else "labels",
                user_id=None,
                keep=not dry_run,
                force=force,
                then=count,
            )
    _tell(learnt, dry_run, as_json)


def refit(dry_run: DryRunOption = False, force: ForceOption = False, as_json: JsonOption = False) -> None:
    """Learn from what people corrected: mood and intents are fitted to it, near to what the model knows.

    A fifth of the corrected messages is kept to judge by and never learnt from; the figures are how often the
    model agrees with people on them. What gets no better is not kept.
    """
    from hub.learning.lessons import refit as refit_in_hub

    with opened() as hub:
        load_model(hub)
        with counting("messages read") as count:
            learnt = refit_in_hub(hub, user_id=None, keep=not dry_run, force=force, then=count)
    _tell(learnt, dry_run, as_json)


def compare(
    a: VersionArgument,
    b: VersionArgument,
    limit: Annotated[
        int, typer.Option(min=0, help="How many of the newest messages to read; 0 for all.")
    ] = COMPARED,
    examples: Annotated[int, typer.Option(min=0, help="How many differing messages to show.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Read stored messages by two versions, and tell on which they differ. Nothing is changed.

    `hub model compare base active`
    """
    from hub.learning.api import comparison_out
    from hub.learning.comparing import compare as compare_in_hub

    with opened() as hub:
        load_model(hub)
        with counting("messages read by both", limit or None) as count:
            found = compare_in_hub(hub, a, b, limit=limit or None, examples=examples, then=count)
    if as_json:
        write_json(comparison_out(found).model_dump(mode="json"))
    else:
        _show_comparison(found)


def _tell(learnt: Learnt, dry_run: bool, as_json: bool) -> None:
    """Before and after, and what became of it; exits with 1 where it was refused."""
    lesson = learnt.lesson
    refused = learnt.version_id is None and not dry_run
    if as_json:
        write_json({"version": learnt.version_id, "improved": lesson.improved, **lesson.figures})
    else:
        before, after = lesson.figures["before"], lesson.figures["after"]
        rows = [
            (name.replace("_", " "), f"{before[name]:.3f}", f"{value:.3f}")
            for name, value in after.items()
            if isinstance(value, float) and name in before
        ]
        show(table(("", "before", "after"), rows, right=("before", "after")))
        counts = {name: value for name, value in lesson.figures.items() if isinstance(value, int)}
        say(", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items()))
        if learnt.version_id is not None:
            say(f"Version {learnt.version_id} reads now; `hub model use` puts another back.")
        elif refused:
            say("It makes nothing better, so nothing was changed; --force keeps it all the same.")
        else:
            say(f"It would {'be kept' if lesson.improved else 'not be kept: it makes nothing better'}.")
    if refused:
        raise typer.Exit(1)


def _labelled(file: str) -> list[tuple[str, SentimentLabel]]:
    with open_file(file) as stream:
        return [_label(number, record) for number, record in records_in(lines_of(stream))]


def _label(number: int, record: Mapping[str, Any]) -> tuple[str, SentimentLabel]:
    from sentiment.types import SENTIMENTS

    text = record.get("text")
    word = str(record.get("sentiment", record.get("label", ""))).strip().lower()
    label = next((each for each in SENTIMENTS if word in (each, each[:3])), None)
    if not isinstance(text, str) or not text.strip():
        raise Invalid(f"record {number} has no `text`", field="labels")
    if label is None:
        raise Invalid(
            f"record {number} has the sentiment {one_line(word, 40)!r}, none of {', '.join(SENTIMENTS)}",
            field="labels",
        )
    return text, label


def _show_comparison(found: Comparison) -> None:
    if not found.messages:
        say("There are no messages to compare on.")
        return
    if found.pairs:
        rows = [
            (matter.replace("_", " "), one, other, f"{count:,}")
            for (matter, one, other), count in found.pairs.most_common()
        ]
        show(table(("matter", found.a, found.b, "messages"), rows, right=("messages",)))
        for each in found.examples:
            differs = "; ".join(f"{one} → {other}" for _, one, other in each.matters)
            show(f"#{each.message_id}  {one_line(each.text, 90)}\n    {differs}")
    share = found.differing / found.messages
    say(f"They differ on {found.differing:,} of {plural(found.messages, 'message')} ({share:.1%}).")
