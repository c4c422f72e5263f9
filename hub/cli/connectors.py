"""`hub connectors`: what can be connected, and a new one laid out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hub.cli.output import JsonOption, fail_usage, one_line, plural, say, show, table, write, write_json
from hub.errors import Invalid

if TYPE_CHECKING:
    from connectors.base import Connector

OWN_PACKAGE = "cem-hub"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Connectors: what the hub can speak with.", no_args_is_help=True)
    group.command("list")(list_connectors)
    group.command("new")(new)
    group.command("check")(check)
    app.add_typer(group, name="connectors")


def list_connectors(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The scorecards of the hub's own, as a Markdown table.")
    ] = False,
    update: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --markdown: put the table between its marks in FILE."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the connectors: the hub's own, and those of other packages, broken ones too."""
    from connectors.registry import built_in_names, connector_type
    from connectors.scorecard import markdown as in_markdown
    from connectors.scorecard import updated

    if update is not None and not markdown:
        raise fail_usage("--update goes with --markdown")
    if markdown and as_json:
        raise fail_usage("--markdown and --json exclude each other")
    if markdown:
        own = [connector_type(name) for name in built_in_names()]
        if update is None:
            write(in_markdown(own))
            return
        try:
            text = updated(update.read_text(encoding="utf-8"), own)
        except ValueError as error:
            raise Invalid(f"{update}: {error}", field="update") from error
        update.write_text(text, encoding="utf-8")
        say(f"{update} is up to date.")
        return
    found = _all()
    if as_json:
        write_json(found)
        return
    columns = ("name", "kind", "package", "done", "todo", "")
    rows = [
        (
            each["name"],
            each["kind"] or "",
            each["package"],
            _count(each["scorecard"], "done"),
            _count(each["scorecard"], "todo"),
            one_line(each["error"], 120),
        )
        for each in found
    ]
    show(table(columns, rows, right=("done", "todo")))


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and _.")],
    kind: Annotated[
        Literal["social", "mail", "ticket"], typer.Option(help="What its conversations are.")
    ] = "ticket",
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Make a package of its own there, which plugs in when installed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Lay out a new connector, with contract tests that fail until it is written.

    Without --into it becomes one of the hub's own: run it in the root of a working copy.
    `connectors/README.md` walks through one.
    """
    from connectors.scaffold import CannotLayOut, as_package, in_working_copy

    try:
        if into is None:
            written = in_working_copy(name, kind, Path())
        else:
            written = as_package(name, kind, into)
    except CannotLayOut as error:
        raise Invalid(str(error), field="name") from error
    if as_json:
        write_json({"name": name, "files": [str(path) for path in written]})
        return
    for path in written:
        write(str(path))
    if into is None:
        say("Next: put real events into its fixtures, then work through what these tests ask for:")
        say(f"  python -m pytest tests/connectors/{name}")
        say("Name it in connectors/registry.py and in the independence contract in pyproject.toml, then:")
        say("  hub connectors list --markdown --update connectors/README.md")
    else:
        say(
            "Next: install it, put real events into tests/fixtures, then work through what the tests ask for:"
        )
        say(f"  cd {into} && pip install -e '.[dev]' && python -m pytest")


def check(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE", help="A connector, or a description for `rest`; else all connectors."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a connector's class and README, or a YAML description; nobody is contacted.

    Each problem is a line, and the exit status is 1. `hub channels test` tries a channel out.
    """
    if what is not None and what.endswith((".yaml", ".yml")):
        problems = _in_description(Path(what))
    else:
        problems = _in_connectors(what)
    if as_json:
        write_json({"valid": not problems, "problems": problems})
    else:
        for problem in problems:
            place = f"{problem['what']}:{problem['line']}" if problem.get("line") else problem["what"]
            field = f"{problem['field']}: " if problem.get("field") else ""
            say(f"{place}: {field}{problem['message']}")
        say(f"{plural(len(problems), 'problem')}." if problems else f"{what or 'Every connector'} is fine.")
    if problems:
        raise typer.Exit(1)


def _in_description(file: Path) -> list[dict[str, Any]]:
    from connectors.rest.description import DescriptionError, read_description

    try:
        read_description(file.read_text(encoding="utf-8"))
    except DescriptionError as error:
        return [{"what": str(file), **asdict(each)} for each in error.problems]
    except UnicodeDecodeError as error:
        raise Invalid(f"{file}: not UTF-8 near byte {error.start}", field="file") from error
    return []


def _in_connectors(name: str | None) -> list[dict[str, Any]]:
    from connectors.registry import UnknownConnector, connector_names, connector_type, plug_ins
    from connectors.scorecard import problems

    found: list[dict[str, Any]] = []
    try:
        types = [connector_type(each) for each in (connector_names() if name is None else (name,))]
    except UnknownConnector as error:
        raise Invalid(str(error), field="name") from error
    if name is None:
        found += [{"what": each.name, "message": each.error} for each in plug_ins() if each.error]
    found += [{"what": each.name, "message": problem} for each in types for problem in problems(each)]
    return found


def _all() -> list[dict[str, Any]]:
    from connectors.registry import built_in_names, connector_type, plug_ins

    own = [_item(name, OWN_PACKAGE, connector_type(name), "") for name in built_in_names()]
    return own + [_item(each.name, each.package, each.type, each.error) for each in plug_ins()]


def _item(name: str, package: str, found: type[Connector] | None, error: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": found.kind if found else None,
        "package": package,
        "scorecard": dict(found.scorecard) if found else {},
        "error": error,
    }


def _count(scorecard: dict[str, str], mark: str) -> str:
    return str(sum(each.split(":")[0] == mark for each in scorecard.values())) if scorecard else ""
