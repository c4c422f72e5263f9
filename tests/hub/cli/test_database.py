from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from hub.database import Database
from tests.hub.cli.conftest import Cli


def test_tables_are_made_once(alone: Cli, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", empty_database_url)
    assert alone.json("db", "check", status=1)["current"] is None
    made = alone.json("db", "upgrade")
    assert made["from"] is None
    assert alone.json("db", "upgrade") == {"from": made["to"], "to": made["to"]}
    assert alone.json("db", "check") == {
        "current": made["to"],
        "newest": made["to"],
        "ok": True,
        "detail": "",
    }
    assert "up to date" in alone("db", "upgrade").stderr


def test_tables_that_somebody_changed_are_found(cli: Cli, database_url: str) -> None:
    database = Database(database_url)
    with database.session() as session:
        session.execute(text("ALTER TABLE users ADD COLUMN shoe_size INTEGER"))
    database.close()
    assert "shoe_size" in cli("db", "check", status=1).stderr


def test_a_database_that_is_none_is_one_line(
    alone: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.db").write_text("this is no database, it is a letter" * 40)
    monkeypatch.setenv("HUB_DATABASE_URL", f"sqlite:///{tmp_path / 'letter.db'}")
    assert alone.problem("queue") == "the database: file is not a database"
    monkeypatch.setenv("HUB_DATABASE_URL", "nonsense")
    assert "HUB_DATABASE_URL cannot be read" in alone.problem("queue")
