from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.cli import checks
from hub.runtime import Hub
from hub.worker.jobs import JOBS
from tests.hub.cli.conftest import Cli
from tests.servers import free_port


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The pages' assets, also where this checkout has none."""
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "app-1.css").touch()
    monkeypatch.setattr("hub.web.render.STATIC", tmp_path)
    monkeypatch.setattr("hub.web.render.load_manifest", lambda: {"app.css": "app-1.css"})


def found(cli: Cli, *, status: int = 0) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in cli.json("doctor", status=status)["checks"]}


@pytest.mark.usefixtures("built")
def test_a_set_up_that_is_well(cli: Cli, hub: Hub) -> None:
    JOBS["plan"].run(hub)
    assert {each["state"] for each in found(cli).values()} == {"ok"}
    told = cli("doctor")
    assert "All is well." in told.stderr
    assert "loaded in" in told.stdout
    assert "loaded in" not in cli("doctor", "--no-model").stdout


@pytest.mark.usefixtures("built")
def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(alone: Cli, tmp_path: Path) -> None:
    assert {each["state"] for each in found(alone).values()} == {"ok"}
    assert not (tmp_path / "var").exists()


@pytest.mark.usefixtures("built")
def test_where_nobody_works_it_warns(cli: Cli, posts: Path) -> None:
    cli("ingest", posts, "--no-analyse")
    idle = found(cli)["background work"]
    assert (idle["state"], idle["detail"]) == ("warn", "nobody is at it; 3 to analyse")


def key_open_to_all(home: Path, patch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "secret.key").write_text("x" * 64)
    (home / "secret.key").chmod(0o644)


def key_too_short(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HUB_SECRET_KEY", "short")


def old_tables(home: Path, patch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    sqlite3.connect(home / "hub.db").execute("CREATE TABLE t (id)").connection.close()


def cuda(home: Path, patch: pytest.MonkeyPatch) -> None:
    class Package:
        name = "nvidia-cublas-cu12"

    patch.setattr(checks, "distributions", lambda: [Package])


def little_room(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks, "LOW_BYTES", 10**18)


def no_room(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks, "VERY_LOW_BYTES", 10**18)


def home_is_a_file(home: Path, patch: pytest.MonkeyPatch) -> None:
    home.touch()


def no_policy(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HUB_POLICY_FILE", "nowhere.yaml")


def broken_policy(home: Path, patch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "policy.yaml").write_text("currency: EUR\n")


def no_database(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HUB_DATABASE_URL", f"postgresql+psycopg://hub:hunter2@127.0.0.1:{free_port()}/hub")


def no_url(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HUB_DATABASE_URL", "postgres")


def no_database_file(home: Path, patch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "hub.db").write_text("this is no database, it is a letter to somebody else" * 40)


def no_broker(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HUB_BROKER_URL", f"redis://:hunter2@127.0.0.1:{free_port()}/0")


def no_model(home: Path, patch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise ValueError("wrong SHA-256")

    patch.setattr("sentiment.load", load)


def not_built(home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("hub.web.render.load_manifest", lambda: {"app.css": "app-2.css"})


@pytest.mark.parametrize(
    ("spoil", "name", "state"),
    [
        (key_open_to_all, "secret key", "warn"),
        (key_too_short, "secret key", "warn"),
        (old_tables, "database", "warn"),
        (cuda, "packages", "warn"),
        (little_room, "home folder", "warn"),
        (no_room, "home folder", "fail"),
        (home_is_a_file, "home folder", "fail"),
        (no_policy, "policy", "fail"),
        (broken_policy, "policy", "fail"),
        (no_database, "database", "fail"),
        (no_url, "database", "fail"),
        (no_database_file, "database", "fail"),
        (no_broker, "broker", "fail"),
        (no_model, "model", "fail"),
        (not_built, "pages", "fail"),
    ],
)
@pytest.mark.usefixtures("built")
def test_what_is_wrong_is_named_with_its_remedy(
    alone: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    name: str,
    state: str,
) -> None:
    spoil(tmp_path / "var", monkeypatch)
    told = found(alone, status=1 if state == "fail" else 0)
    assert told[name]["state"] == state
    assert told[name]["remedy"]
    assert {each["name"] for each in told.values() if each["state"] == "fail"} <= {name}
    assert "hunter2" not in str(told)


@pytest.mark.usefixtures("built")
def test_secrets_stored_with_another_key_are_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("channels", "add", "shop", "--connector", "webhook")
    monkeypatch.setenv("HUB_SECRET_KEY", "another key, which is long enough to be one")
    assert found(cli, status=1)["channels"]["state"] == "fail"


@pytest.mark.usefixtures("built")
def test_a_broker_without_workers_is_found(cli: Cli, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_BROKER_URL", redis_url)
    monkeypatch.setattr("hub.cli.service_checks.WORKERS_SECONDS", 0.2)
    told = found(cli, status=1)
    assert (told["broker"]["state"], told["workers"]["state"]) == ("ok", "fail")


@pytest.mark.usefixtures("built")
def test_a_check_that_itself_fails_leaves_the_others(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> str:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("hub.policies.service.policy_text", broken)
    told = found(alone, status=1)
    assert "nobody foresaw this" in told["policy"]["detail"]
    assert told["model"]["state"] == "ok"
