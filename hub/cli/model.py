"""`hub model`: what the model has learnt here, version by version."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.lessons import VersionArgument, calibrate, compare, refit
from hub.cli.opening import opened
from hub.cli.output import (
    JsonOption,
    counting,
    fail_usage,
    local,
    one_line,
    plural,
    say,
    show,
    table,
    write_json,
)

if TYPE_CHECKING:
    from hub.learning.api import ReanalysisOut, VersionOut

LOOK_EVERY_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        help="What the model has learnt here, version by version; each can be put back.", no_args_is_help=True
    )
    group.command("list")(list_versions)
    group.command("show")(show_version)
    group.command("use")(use)
    group.command("calibrate")(calibrate)
    group.command("refit")(refit)
    group.command("compare")(compare)
    group.command("reanalyse")(reanalyse)
    group.command("progress")(progress)
    app.add_typer(group, name="model")


def list_versions(as_json: JsonOption = False) -> None:
    """List the versions, the newest first, with what made each and which one reads messages now."""
    from hub.learning.api import model_out
    from hub.learning.figures import in_words

    with opened() as hub, hub.database.reading() as session:
        model = model_out(session)
    if as_json:
        write_json(model.model_dump(mode="json"))
        return
    rows = [
        (
            "*" if each.active else "",
            str(each.id),
            each.kind,
            one_line(each.note, 40),
            in_words(each.figures),
            str(each.intents),
            each.by or "–",
            local(each.at),
        )
        for each in model.versions
    ]
    rows.append(("*" if model.active is None else "", "base", "", "as it is shipped", "", "0", "", ""))
    show(
        table(
            ("", "version", "made by", "of", "figures", "intents", "who", "at"),
            rows,
            right=("version", "intents"),
        )
    )
    counts = model.corrections
    say(f"{plural(counts.messages, 'message')} corrected by people; `hub model refit` learns from them.")


def show_version(version: VersionArgument = "active", as_json: JsonOption = False) -> None:
    """Show one version: what made it, of what, and every figure that was measured."""
    from hub.learning.api import version_out
    from hub.learning.queries import find_version
    from hub.learning.versions import named_id, taught_in

    with opened() as hub, hub.database.reading() as session:
        version_id = named_id(session, version)
        if version_id is None:
            if as_json:
                write_json({"id": None, "note": "the model as it is shipped"})
            else:
                say("The model as it is shipped: nothing was learnt in it.")
            return
        found = find_version(session, version_id)
        shown = version_out(found)
        intents = [intent.name for intent in taught_in(session, found)]
    if as_json:
        write_json({**shown.model_dump(mode="json"), "taught": intents})
        return
    _describe(shown, intents)


def use(version: VersionArgument, as_json: JsonOption = False) -> None:
    """Let a version read messages from now on: an older one, a newer one, or `base`.

    It is at work in every process from the next message on. What was read already stays as it is, until
    `hub model reanalyse`.
    """
    from hub.learning.service import use as use_in_hub
    from hub.learning.versions import named_id

    with opened() as hub, hub.database.session() as session:
        version_id = named_id(session, version)
        use_in_hub(session, version_id)
    if as_json:
        write_json({"active": version_id})
    else:
        say(f"Version {version_id} reads now." if version_id else "The model reads as it is shipped now.")


def reanalyse(
    since: Annotated[str, typer.Option(metavar="DATE", help="Only what was sent from then on.")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="Only what was sent before then.")] = "",
    stop: Annotated[
        bool, typer.Option("--stop", help="End the one that goes on; what is done stays.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have stored messages read again by the version at work, the newest first, in the background.

    The processes that read new messages do it (`hub serve`, or `hub worker`), and new messages go first.
    Corrections stay. Dates are `2026-11-20` or `2026-11-20T09:00`, in your time zone where none is named.
    """
    from hub.clock import utcnow
    from hub.learning.api import reanalysis_out
    from hub.learning.reanalysis import start_reanalysis, stop_reanalysis

    begin, end = _moment(since, "--since"), _moment(until, "--until")
    if stop and (since or until):
        raise fail_usage("--stop takes neither --since nor --until")
    with opened(nudging=True) as hub, hub.database.session() as session:
        now = utcnow()
        shown = reanalysis_out(
            stop_reanalysis(session, now)
            if stop
            else start_reanalysis(session, user=None, since=begin, until=end, now=now)
        )
    if as_json:
        write_json(shown.model_dump(mode="json"))
    elif stop:
        say(f"Stopped after {shown.done:,} of {plural(shown.total, 'message')}.")
    else:
        say(f"{plural(shown.total, 'message')} will be read again; `hub model progress` tells how far it is.")


def progress(
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait until all is read, and show how far it is.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell how far the reading of stored messages is."""
    from hub.learning.api import reanalysis_out
    from hub.learning.queries import latest_reanalysis

    with opened() as hub:

        def look() -> ReanalysisOut | None:
            with hub.database.reading() as session:
                latest = latest_reanalysis(session)
                return reanalysis_out(latest) if latest else None

        found = look()
        if watch and found is not None and found.finished_at is None:
            with counting("messages read again", found.total) as count:
                count(found.done)
                while found is not None and found.finished_at is None:
                    time.sleep(LOOK_EVERY_SECONDS)
                    before, found = found, look()
                    count(found.done - before.done if found else 0)
    if as_json:
        write_json(found.model_dump(mode="json") if found else None)
    elif found is None:
        say("No messages were read again yet: hub model reanalyse")
    else:
        show(_progress_in_words(found))


def _describe(version: VersionOut, intents: list[str]) -> None:
    from hub.learning.figures import in_words

    parent = "the shipped model" if version.parent is None else f"version {version.parent}"
    rows = [
        ("version", f"{version.id}{', which reads messages now' if version.active else ''}"),
        ("made by", f"{version.kind}: {version.note}" if version.note else version.kind),
        ("out of", f"{parent} ({version.base})"),
        ("who, when", f"{version.by or 'the command line'}, {local(version.at)}"),
        ("figures", in_words(version.figures) or "–"),
        ("taught", ", ".join(intents) or "–"),
    ]
    show(table(("", ""), rows))


def _progress_in_words(found: ReanalysisOut) -> str:
    done = f"{found.done:,} of {plural(found.total, 'message')}"
    skipped = f", {found.skipped:,} could not be read and stay as they were" if found.skipped else ""
    if found.stopped:
        return f"Stopped at {local(found.finished_at)} after {done}{skipped}."
    if found.finished_at is not None:
        return f"Done at {local(found.finished_at)}: {done} read again{skipped}."
    share = found.done / found.total if found.total else 1.0
    return f"{done} read again ({share:.0%}){skipped}."


def _moment(text: str, option: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise fail_usage(f"{option} {text}: write 2026-11-20 or 2026-11-20T09:00") from error
