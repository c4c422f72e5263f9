"""`hub searches`: queries that are watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened
from hub.cli.output import JsonOption, one_line, say, show, table, write_json, write_json_list

if TYPE_CHECKING:
    from hub.listening.saved import Found

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The saved search's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Saved searches: queries that count what comes in.", no_args_is_help=True)
    group.command("save")(save)
    group.command("list")(list_saved)
    group.command("remove")(remove)
    app.add_typer(group, name="searches")


def save(
    name: NameArgument,
    query: Annotated[str, typer.Argument(help="Such as `refund* NEAR/5 parcel AND followers:>1000`.")],
    as_json: JsonOption = False,
) -> None:
    """Watch a query: it counts what comes in from now on, and what was said in the last 90 days.

    `hub searches save "Late parcels" "late NEAR/5 parcel*"`
    """
    from hub.clock import utcnow
    from hub.listening.api import saved_out
    from hub.listening.saved import save_search

    with opened() as hub, hub.database.session() as session:
        saved = saved_out(save_search(session, name, query, user=None, now=utcnow()))
    if as_json:
        write_json(saved.model_dump(mode="json"))
    else:
        say(f"{saved.name!r} is watched from now on; a running hub looks back over 90 days by itself.")


def list_saved(as_json: JsonOption = False) -> None:
    """List the saved searches, and what each found in the last seven days."""
    from hub.clock import utcnow
    from hub.listening.api import saved_report
    from hub.listening.saved import found_by_searches

    with opened() as hub, hub.database.reading() as session:
        found = found_by_searches(session, "7d", utcnow())
        if as_json:
            write_json_list(saved_report(each).model_dump(mode="json") for each in found)
        elif not found:
            say("Nothing is watched yet: hub searches save NAME QUERY")
        else:
            columns = ("name", "messages", "before", "negative", "query")
            show(table(columns, map(_cells, found), right=("messages", "before", "negative")))


def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Watch a query no more."""
    from hub.listening.api import saved_out
    from hub.listening.saved import named_search, remove_search

    with opened() as hub, hub.database.session() as session:
        saved = named_search(session, name)
        removed = saved_out(saved)
        remove_search(session, saved)
    if as_json:
        write_json(removed.model_dump(mode="json"))
    else:
        say(f"{removed.name!r} is counted no more.")


def _cells(found: Found) -> tuple[str, ...]:
    share = found.tally.negative_share
    return (
        one_line(found.saved.name, 40),
        f"{found.tally.messages:,}",
        f"{found.before:,}",
        "–" if share is None else f"{share:.0%}",
        one_line(found.saved.query, 80),
    )
