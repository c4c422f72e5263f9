"""`hub decisions`: what was decided of a conversation over time, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from hub.cli.opening import opened
from hub.cli.output import JsonOption, local, safe, say, show, write_json_list

if TYPE_CHECKING:
    from hub.conversations.decided import Decided


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(decisions)


def decisions(
    conversation: Annotated[int, typer.Argument(min=1, help="The conversation's number.")],
    as_json: JsonOption = False,
) -> None:
    """Tell what was decided of a conversation, the newest first: promise, weight, reasons, by which policy.

    Each is told as it was kept, also where the policy has changed since. With `--json`: a list of the objects
    that `GET /api/v1/conversations/ID/decisions` gives.
    """
    from hub.conversations.decided import decided
    from hub.policies.api import decision_out
    from hub.queue.queries import decisions_of

    with opened() as hub, hub.database.reading() as session:
        if as_json:
            rows = decisions_of(session, conversation)
            write_json_list(decision_out(each).model_dump(mode="json") for each in rows)
            return
        found = decided(session, conversation)
        for each in found:
            show(_described(each))
        if not found:
            say("Nothing was promised in it yet.")


def _described(row: Decided) -> Text:
    from hub.web.render import duration

    told = row.told
    line = Text(f"{local(row.at)}  ", style="dim")
    promise = told.metric.removesuffix("_time").replace("_", " ")
    line.append(f"{promise} within {duration(told.target_seconds)}", style="not dim bold")
    line.append(f", by {local(told.due_at)}  {safe(told.in_words)}", style="not dim")
    line.append(f"\n     {safe(told.policy)}, version {row.version} of the policy", style="dim")
    if row.changed:
        line.append(f"\n     {safe('; '.join(row.changed))}", style="dim")
    return line
