"""`hub doctor`: checks the set-up and says what to mend."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from hub.cli import checks
from hub.cli.opening import quiet_settings
from hub.cli.output import JsonOption, plural, safe, say, show, write_json
from hub.cli.service_checks import check_broker, check_database

if TYPE_CHECKING:
    from hub.settings import Settings

CHECKS: dict[str, Callable[[Settings], Iterator[checks.Check]]] = {
    "python": checks.check_python,
    "packages": checks.check_packages,
    "time zones": checks.check_time_zones,
    "home folder": checks.check_home,
    "secret key": checks.check_secret_key,
    "policy": checks.check_policy,
    "pages": checks.check_pages,
    "database": check_database,
    "broker": check_broker,
    "model": checks.check_model,
}
MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(
    model: Annotated[
        bool,
        typer.Option(
            "--model/--no-model", help="Load the model and score a text; leave it out in health checks."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Check the set-up, and say what to mend.

    Looks at Python, packages, folders, secrets, policy, pages, database, broker, workers and model. Changes
    nothing. The exit status is 1 where something does not work; a warning alone leaves it 0.
    """
    from hub import log

    settings = quiet_settings()
    log.configure(settings)
    found = []
    for check in _run(settings, CHECKS if model else CHECKS.keys() - {"model"}):
        found.append(check)
        if not as_json:
            mark, style = MARKS[check.state]
            line = Text.assemble((mark, style), (f" {check.name:<16}", "bold"), safe(check.detail))
            if check.remedy:
                line.append(f"\n  {'':<16}→ {safe(check.remedy)}", style="yellow")
            show(line)
    failed = sum(check.state == "fail" for check in found)
    if as_json:
        write_json({"ok": failed == 0, "checks": [asdict(check) for check in found]})
    elif failed:
        say(f"{plural(failed, 'thing')} to mend.")
    else:
        say("All is well.")
    if failed:
        raise typer.Exit(1)


def _run(settings: Settings, names: Collection[str]) -> Iterator[checks.Check]:
    for name, check in CHECKS.items():
        if name in names:
            try:
                yield from check(settings)
            except Exception as error:
                # Nobody foresaw this; the other checks may still say why.
                yield checks.fail(name, f"{type(error).__name__}: {error}", "please report this")
