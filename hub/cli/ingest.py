"""`hub ingest`: files through the whole flow."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from hub.cli.opening import loading_model, opened
from hub.cli.output import (
    JsonOption,
    counting,
    fail_usage,
    local,
    one_line,
    plural,
    say,
    table,
    write_json,
)
from hub.errors import HubError

if TYPE_CHECKING:
    from connectors.base import InboundMessage
    from hub.inbox.ingest import Preview
    from hub.inbox.service import Received
    from hub.runtime import Hub

INTERRUPTED = 130
LOOK_EVERY_SECONDS = 0.3
# A worker loads its model in some seconds; one that is not there never will.
PATIENCE_SECONDS = 30.0
LONGEST_SHOWN = 1000


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(ingest)


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Files or folders: JSONL, CSV, TSV (also gzipped), .eml, mbox, Maildir."
        ),
    ],
    channel: Annotated[
        str, typer.Option(help="The channel they come in by; made where there is none.")
    ] = "files",
    kind: Annotated[
        Literal["social", "mail", "ticket"] | None, typer.Option(help="What a channel made by this is.")
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN,…",
            help="Where fields are found, such as text=body,author=user,external_id=id,sent_at=created.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen, and store nothing.")
    ] = False,
    analyse: Annotated[
        bool,
        typer.Option("--analyse/--no-analyse", help="Have the messages analysed, or leave it to others."),
    ] = True,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="With a broker: wait until the workers have analysed them."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Take files through the whole flow: received, analysed, given their place in the queue.

    Safe to repeat and to interrupt: what is known by its id (or, without one, by its content and how often
    that came before) is not stored again. A record that cannot be read is kept raw with its reason, for
    `hub rejects`.

    The last line of stdout is `{"received": …, "stored": …, "duplicates": …, "rejected": …}`, with
    `--dry-run` and the first messages and rejects beside it.
    """
    from hub.inbox.ingest import ingest as take_in
    from hub.inbox.ingest import ingest_channel, preview

    mapping = _mapping(columns)
    with opened(nudging=True) as hub:
        if dry_run:
            with counting("records read") as count:
                shown = preview(hub, paths, channel, mapping, count)
            _tell_preview(shown)
            return
        try:
            with _gently() as go_on:
                channel_id = ingest_channel(hub, channel, kind)
                with counting("records received", then=go_on) as count:
                    result = take_in(hub, paths, channel_id, mapping, count)
                problem = _analyse(hub, wait, go_on) if analyse else None
        except KeyboardInterrupt:
            say("\nStopped. What was received is stored; the same command again goes on from there.")
            _tell_rest(hub)
            raise typer.Exit(INTERRUPTED) from None
        _tell(result, channel)
        _tell_rest(hub)
        write_json(_figures(result))
        if problem is not None:
            raise problem


def _mapping(columns: str) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in columns.split(","))):
        field, equals, column = part.partition("=")
        if not (equals and field.strip() and column.strip()):
            raise fail_usage(f"--map: {part!r} is not FIELD=COLUMN")
        mapping[field.strip()] = column.strip()
    return mapping


def _analyse(hub: Hub, wait: bool, go_on: Callable[[], None]) -> HubError | None:
    """Have everything analysed; where that is not possible, why."""
    from hub.inbox.ingest import analyse_all, unanalysed

    with hub.database.reading() as session:
        waiting = unanalysed(session)
    if waiting == 0:
        return None
    if hub.settings.broker_url:
        if not wait or _workers_did_it(hub, waiting, go_on):
            return None
        say(f"No worker has analysed anything for {PATIENCE_SECONDS:.0f} seconds; doing it here.")
    with counting("messages analysed", waiting, then=go_on) as count:
        try:
            with loading_model(hub.settings.model):
                hub.scorer  # noqa: B018 - loaded here, so that its failure is told as one
        except HubError as error:
            return error
        analyse_all(hub, count)
    return None


def _workers_did_it(hub: Hub, waiting: int, go_on: Callable[[], None]) -> bool:
    """Look on while workers analyse; False where nothing moves."""
    from hub.inbox.ingest import newest_message_id, unanalysed

    with hub.database.reading() as session:
        newest = newest_message_id(session)
    left, moved_at = waiting, time.monotonic()
    with counting("messages analysed by the workers", waiting) as count:
        while left:
            go_on()
            time.sleep(LOOK_EVERY_SECONDS)
            with hub.database.reading() as session:
                now_left = unanalysed(session, up_to=newest)
            if now_left != left:
                count(left - now_left)
                left, moved_at = now_left, time.monotonic()
            elif time.monotonic() - moved_at > PATIENCE_SECONDS:
                return False
    return True


@contextmanager
def _gently() -> Iterator[Callable[[], None]]:
    """Have Ctrl-C wait for the end of a batch, so that none is left half done: what is given raises it then.

    The second Ctrl-C does not wait.
    """
    asked = Event()

    def ask(signum: int, frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)
        say("Stopping after this batch; Ctrl-C again stops at once.")

    def go_on() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield go_on
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(result: Received, channel: str) -> None:
    if result.received == 0:
        say("Nothing was found in these files.")
        return
    say(_counts(result))
    if result.rejected:
        say(f"{plural(result.rejected, 'record')} kept raw with the reason: hub rejects --channel {channel}")
    if result.stored:
        say("Placed in the queue: hub queue")


def _tell_rest(hub: Hub) -> None:
    from hub.inbox.ingest import unanalysed

    with hub.database.reading() as session:
        left = unanalysed(session)
    if left:
        who = "`hub worker`" if hub.settings.broker_url else "`hub serve`, or `hub ingest` again,"
        say(f"{plural(left, 'message')} not analysed yet: {who} will do it.")


def _tell_preview(shown: Preview) -> None:
    if shown.messages:
        say("Would be stored, the first of them:")
        say(table(("sent", "author", "id", "text"), [_message_row(each) for each in shown.messages]))
        say()
    if shown.rejects:
        say("Would be rejected, the first of them:")
        rows = [
            (each.where, each.reason, each.detail, one_line(_text(each.raw), 60)) for each in shown.rejects
        ]
        say(table(("where", "reason", "what is wrong", "begins with"), rows))
        say()
    say(_counts(shown.result))
    say("Nothing was stored.")
    rejects = [
        {"where": each.where, "reason": each.reason, "detail": each.detail, "raw": _text(each.raw)}
        for each in shown.rejects
    ]
    write_json({**_figures(shown.result), "dry_run": True, "messages": shown.messages, "rejects": rejects})


def _figures(result: Received) -> dict[str, int]:
    """What files can bring: messages, and no word of earlier ones."""
    return {name: getattr(result, name) for name in ("received", "stored", "duplicates", "rejected")}


def _counts(result: Received) -> Table:
    counts = _figures(result)
    return table(tuple(counts), [[f"{number:,}" for number in counts.values()]], right=tuple(counts))


def _message_row(message: InboundMessage) -> tuple[str, str, str, str]:
    author = message.author
    who = (author.name or author.identities[0].value) if author else "–"
    return local(message.sent_at), who, one_line(message.external_id, 24), one_line(message.text, 80)


def _text(raw: bytes) -> str:
    return raw[:LONGEST_SHOWN].decode("utf-8", "backslashreplace")
