"""The command line as a person or a program uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from hub.cli import app
from hub.runtime import Hub, open_hub
from hub.settings import Settings
from tests.factories import WordScorer

# To make the tree of commands takes longer than most of them do.
_built = cache(get_command)


class Cli:
    """Runs commands in this process; each result has its exit status checked."""

    def __init__(self) -> None:
        self._runner = CliRunner()

    def __call__(self, *words: object, status: int = 0, given: str | bytes | None = None) -> Result:
        """Run `hub WORDS…` with `given` on stdin; the exit status must be `status`."""
        result = self._runner.invoke(app, [str(word) for word in words], input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    def json(self, *words: object, status: int = 0, given: str | bytes | None = None) -> Any:
        """The same with --json; nothing else may be on stdout."""
        return json.loads(self(*words, "--json", status=status, given=given).stdout)

    def problem(self, *words: object) -> str:
        """What a command that fails says, as one line."""
        lines = self(*words, status=1).stderr.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("Error: ")
        return lines[0].removeprefix("Error: ")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in an empty folder, without a database of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "var"))
    monkeypatch.setattr("sentiment.load", lambda *_, **__: WordScorer())
    monkeypatch.setattr("typer.testing._get_command", _built)
    return Cli()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: what is below the commands is tried on either database where it stands."""
    return sqlite_url


@pytest.fixture
def cli(alone: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line over a migrated database, with a model that knows three words."""
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    return alone


@pytest.fixture
def hub(cli: Cli) -> Iterator[Hub]:
    """The hub that `cli` speaks to."""
    hub = open_hub(Settings(), nudge=lambda job: None)
    yield hub
    hub.close()


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """Three posts, of which the second is a complaint, and two records that cannot be read."""
    path = tmp_path / "posts.jsonl"
    records = [
        {"id": "1", "author": "anna", "text": "a good day", "sent_at": "2026-03-01T09:00:00Z"},
        {"id": "2", "author": "ben", "text": "bad, bad \x1b[31mparcel", "sent_at": "2026-03-01T09:01:00Z"},
        {"id": "3", "author": "cleo", "text": "where is it?", "sent_at": "2026-03-01T09:02:00Z"},
        {"id": "4", "text": "from nobody"},
    ]
    path.write_text("\n".join([*map(json.dumps, records), "no \u202ejson\x07"]) + "\n")
    return path
