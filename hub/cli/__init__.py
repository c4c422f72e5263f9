"""The command line: `hub`. A module for each theme; what is slow to import waits for its command."""

from __future__ import annotations

from typing import Annotated

import typer

from hub import __version__
from hub.cli import (
    automations,
    bench,
    channels,
    connectors,
    customers,
    database,
    decisions,
    demo,
    doctor,
    forecast,
    ingest,
    intents,
    model,
    policy,
    queue,
    rejects,
    replay,
    score,
    search,
    searches,
    serving,
    tags,
    users,
)
from hub.cli.output import HubGroup

app = typer.Typer(
    cls=HubGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hear customers on every channel, and answer them in the right order.

    Settings are `HUB_*` variables or lines of a `.env` file; without any, all is kept in `var/` and nothing
    else runs. Results go to stdout, all else to stderr. Exit status: 0 done, 1 it failed, 2 the command was
    not understood.
    """


for module in (
    demo,
    serving,
    ingest,
    score,
    intents,
    model,
    queue,
    decisions,
    rejects,
    replay,
    search,
    searches,
    tags,
    customers,
    policy,
    automations,
    forecast,
    channels,
    connectors,
    users,
    database,
    doctor,
    bench,
):
    module.register(app)
