"""`hub rejects`: records that could not be read, kept as they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened
from hub.cli.output import (
    JsonOption,
    local,
    one_line,
    say,
    show,
    table,
    write,
    write_bytes,
    write_json,
    write_json_list,
)
from hub.cli.paged import CursorOption, LimitOption, Paged

if TYPE_CHECKING:
    from hub.inbox.queries import RejectRow


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(rejects)
    group.command("show")(show_reject)
    app.add_typer(group, name="rejects")


def rejects(
    context: typer.Context,
    channel: Annotated[str, typer.Option(help="Only this channel.")] = "",
    reason: Annotated[str, typer.Option(help="Only this reason, such as `bad_date`.")] = "",
    limit: LimitOption = None,
    cursor: CursorOption = "",
    as_json: JsonOption = False,
) -> None:
    """List records that could not be read, the newest first. They are kept raw, with the reason.

    Mend the source and ingest it again: what was taken before is not taken twice.
    """
    if context.invoked_subcommand:
        return
    from hub.channels.service import find_channel
    from hub.inbox.api import to_item
    from hub.inbox.queries import Filters, count_reasons, list_rejects

    with opened() as hub, hub.database.reading() as session:
        if channel:
            find_channel(session, channel)
        filters = Filters(reason, channel)
        pages: Paged[RejectRow] = Paged(
            lambda at, size: list_rejects(session, filters, cursor=at, limit=size), cursor
        )
        rows = pages.rows(limit, as_json)
        if as_json:
            write_json_list(to_item(row).model_dump(mode="json") for row in rows)
        else:
            found = list(rows)
            if not found:
                say(
                    "Nothing was rejected."
                    if not (channel or reason)
                    else "Nothing of that kind was rejected."
                )
                return
            columns = ("id", "channel", "where", "reason", "what is wrong", "begins with")
            show(table(columns, map(_cells, found), right=("id",)))
            counts = count_reasons(session, filters)
            say(", ".join(f"{each.count:,} {each.reason}" for each in counts))
        if pages.next_cursor:
            say(f"There are more: hub rejects --cursor {pages.next_cursor}")


def show_reject(
    reject_id: Annotated[int, typer.Argument(metavar="ID")],
    raw: Annotated[
        bool, typer.Option("--raw", help="The record's very bytes, for a file or another program.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one whole record, with whatever a terminal would not print as escapes."""
    from base64 import b64encode

    from hub.inbox.queries import find_reject, printable

    with opened() as hub, hub.database.reading() as session:
        reject = find_reject(session, reject_id)
        if raw:
            write_bytes(reject.raw)
            return
        facts = {
            "id": reject.id,
            "channel": reject.channel.name,
            "where": reject.source,
            "reason": reject.reason,
            "detail": reject.detail,
            "received_at": reject.created_at,
            "size_bytes": len(reject.raw),
        }
        text = printable(reject.raw)
        if as_json:
            write_json({**facts, "raw": text, "raw_base64": b64encode(reject.raw).decode()})
            return
        say(f"{reject.source}: {reject.reason}: {reject.detail}")
        say(f"{reject.channel.name}, {local(reject.created_at)}, {len(reject.raw):,} bytes")
        write(text)


def _cells(row: RejectRow) -> tuple[str, ...]:
    reject = row.reject
    return (
        str(reject.id),
        row.channel.name,
        one_line(reject.source, 40),
        reject.reason,
        one_line(reject.detail, 80),
        one_line(row.text, 40),
    )
