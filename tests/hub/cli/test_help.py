"""The help is the command line's documentation: it is whole, and there at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from hub import __version__
from hub.cli import app
from tests.hub.cli.conftest import Cli

STAYING = {"demo", "serve", "worker", "listen"}
SLOW = ("torch", "sqlalchemy", "celery", "uvicorn", "fastapi", "pydantic_settings")


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    below = getattr(command, "commands", {})
    if path and (not below or command.invoke_without_command):
        yield " ".join(path), command
    for name, each in below.items():
        yield from commands(each, *path, name)


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_what_it_takes(alone: Cli, name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name} {parameter.name}"
    assert "Usage:" in alone(*name.split(), "--help").stdout


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - STAYING))
def test_every_command_that_gives_results_gives_them_as_json_too(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


def test_help_waits_for_nothing_that_is_slow_to_import() -> None:
    code = f"import sys, hub.cli; print([name for name in {SLOW} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_the_version(alone: Cli) -> None:
    assert alone("--version").stdout == f"{__version__}\n"


def test_a_setting_that_cannot_be_used_is_one_line(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ANALYSIS_BATCH", "many")
    assert alone.problem("queue").startswith("HUB_ANALYSIS_BATCH: ")
