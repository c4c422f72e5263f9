"""`hub search`: what customers said, by boolean query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened
from hub.cli.output import JsonOption, local, one_line, say, show, table, write_json_list
from hub.cli.paged import CursorOption, LimitOption, Paged

if TYPE_CHECKING:
    from hub.conversations.models import Conversation, Message


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("search")(search_messages)


def search_messages(
    query: Annotated[str, typer.Argument(help="Such as `refund* NEAR/5 parcel AND followers:>1000`.")],
    limit: LimitOption = None,
    cursor: CursorOption = "",
    as_json: JsonOption = False,
) -> None:
    """Search what customers said, the newest first, in the language of docs/queries.md."""
    from hub.listening.api import found_out
    from hub.listening.search import read_query, search

    with opened() as hub, hub.database.reading() as session:
        parsed = read_query(query)
        pages: Paged[tuple[Message, Conversation]] = Paged(
            lambda at, size: search(session, parsed, cursor=at, limit=size), cursor
        )
        rows = pages.rows(limit, as_json)
        if as_json:
            write_json_list(found_out(*row).model_dump(mode="json") for row in rows)
        else:
            found = list(rows)
            if not found:
                say("Nobody said that.")
            else:
                show(table(("conversation", "when", "channel", "customer", "said"), map(_cells, found)))
        if pages.next_cursor:
            say(f"There may be more: the same with --cursor {pages.next_cursor}")


def _cells(row: tuple[Message, Conversation]) -> tuple[str, ...]:
    message, conversation = row
    return (
        str(conversation.id),
        local(message.sent_at),
        conversation.goes_by.name,
        one_line(conversation.customer.name, 30),
        one_line(message.body, 100),
    )
