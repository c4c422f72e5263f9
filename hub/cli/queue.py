"""`hub queue`: who waits, in the order of serving, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from hub.cli.opening import opened
from hub.cli.output import JsonOption, local, one_line, safe, say, show, write_json_list
from hub.cli.paged import CursorOption, LimitOption, Paged

if TYPE_CHECKING:
    from hub.queue.queries import QueueRow

MOODS = {"negative": "red", "positive": "green"}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(queue)


def queue(
    limit: LimitOption = None,
    cursor: CursorOption = "",
    channel: Annotated[str, typer.Option(help="Only this channel.")] = "",
    tier: Annotated[str, typer.Option(help="Only customers of this loyalty tier.")] = "",
    owner: Annotated[str, typer.Option(metavar="EMAIL", help="Only what this user has.")] = "",
    unowned: Annotated[bool, typer.Option("--unowned", help="Only what nobody has yet.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the conversations that wait for an answer, the earliest `reply_by` first.

    Each says by when it will be answered, what it weighs and why. With `--json`: a list of the objects that
    `GET /api/v1/queue` gives.
    """
    from hub.accounts.service import find_user
    from hub.channels.service import find_channel
    from hub.clock import utcnow
    from hub.queue.api import to_item
    from hub.queue.queries import Filters, count_waiting, list_queue

    now = utcnow()
    with opened() as hub, hub.database.reading() as session:
        if channel:
            find_channel(session, channel)
        whose, user_id = "unowned" if unowned else "all", None
        if owner:
            whose, user_id = "mine", find_user(session, owner).id
        filters = Filters(whose, user_id, channel, tier)
        pages: Paged[QueueRow] = Paged(
            lambda at, size: list_queue(session, filters, now, cursor=at, limit=size), cursor
        )
        rows = pages.rows(limit, as_json)
        if as_json:
            write_json_list(to_item(row).model_dump(mode="json") for row in rows)
        else:
            place = 0
            for place, row in enumerate(rows, start=1):
                show(_described(place, row, overdue=row.promise.due_at < now))
            if not place:
                say("Nobody is waiting." if count_waiting(session) == 0 else "Nobody of these is waiting.")
        if pages.next_cursor:
            say(f"There are more: hub queue --cursor {pages.next_cursor}")


def _described(place: int, row: QueueRow, *, overdue: bool) -> Text:
    conversation, analysis = row.conversation, row.analysis
    told = Text(f"{place:>3}  ", style="dim")
    told.append(f"by {local(conversation.reply_by)}", style="bold red" if overdue else "bold")
    told.append(f"  weight {conversation.weight or 1:g}  #{conversation.id}", style="not dim")
    told.append(f"  {safe(conversation.customer.name)}", style="not dim bold")
    about = [conversation.customer.tier, conversation.goes_by.name]
    about.append(conversation.owner.name if conversation.owner else None)
    told.append(f" ({safe(', '.join(each for each in about if each))})", style="not dim")
    mood = analysis.sentiment if analysis else "not analysed yet"
    told.append(f"  {mood or 'mood unclear'}", style=MOODS.get(mood or "", "not dim"))
    if conversation.waiting_since is None:
        told.append("  an update is owed", style="not dim")
    told.append(f"\n     {one_line(row.preview, 110)}", style="not dim")
    for reason in conversation.reasons or []:
        told.append(f"\n     × {reason['factor']:g}  {safe(reason['text'])}", style="dim")
    due = f"promised by {local(row.promise.due_at)} ({safe(row.promise.policy)})"
    if conversation.gave_way_at is not None:
        due += (
            f", gave way at {local(conversation.gave_way_at)} to {conversation.gave_way_to} of more weight"
            if conversation.gave_way_to
            else ", which can no longer be kept"
        )
    told.append(f"\n     {due}", style="dim")
    return told
