"""Fixtures for all tests: two databases, real servers, a real browser; no network beyond this machine."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine

import hub.database
from hub import migrations
from hub.database import Database
from hub.settings import Settings
from tests.servers import PostgresServer, RedisServer, launch_browser, postgres_server, redis_server
from tests.servers.process import memory_folder
from tests.servers.recycling import Recycled
from tests.servers.reporting import *  # noqa: F403

# The outcome must not depend on who runs the tests. Nothing has imported torch yet, nor read a setting.
for _name in [name for name in os.environ if name.startswith("HUB_")]:
    del os.environ[_name]
Settings.model_config["env_file"] = None
# Nor how long they take: what is started here would compile all our modules each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# The folders of `tmp_path` too, so that SQLite need not wait for the disk.
if memory_folder() is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory_folder()))
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

# What the tests import stays: to look through it for garbage again and again takes a tenth of their time.
gc.disable()

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

LOOPBACK = ("127.", "::1", "localhost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts whole hubs takes longest, and goes first: else one process is left alone with it."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Nothing here speaks to another machine."""

    def connect(this: socket.socket, address: Any) -> None:
        if this.family in {socket.AF_INET, socket.AF_INET6} and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        return original(this, address)

    original = socket.socket.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """SQLAlchemy compiles each statement once an engine, and nearly every test has an engine of its own: that
    would be half of the tests' time. All engines on one kind of database share what was compiled."""
    known: dict[str, Engine] = {}
    original = hub.database._engine

    def engine(url: str) -> Engine:
        made = original(url)
        first = known.get(made.dialect.name)
        # A dialect learns what its database can do when it first connects.
        if first is None or first.dialect.server_version_info is None:
            known[made.dialect.name] = made
        else:
            made.dialect = made.pool._dialect = first.dialect
            made._compiled_cache = first._compiled_cache
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub.database, "_engine", engine)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL that tests share. Who kills it takes one of its own: `with postgres_server()`."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """The Redis that tests share. Who kills it takes one of its own: `with redis_server(durable=True)`."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_url(redis: RedisServer) -> str:
    """An empty Redis."""
    redis.flush()
    return redis.url()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "hub.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> Iterator[Recycled]:
    """Copies of a database with all tables and no rows."""
    name = "migrated"
    _migrate(postgres.create_database(name))
    with Recycled(postgres, name) as recycled:
        yield recycled


def _migrate(url: str) -> None:
    database = Database(url)
    try:
        migrations.upgrade(database)
    finally:
        database.close()


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """An SQLite database with all tables and no rows."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'hub.db')}"


@pytest.fixture
def postgres_url(migrated_postgres: Recycled) -> Iterator[str]:
    """A PostgreSQL database with all tables and no rows."""
    with migrated_postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database with all tables and no rows, on SQLite and again on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, on SQLite and again on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database() as url:
            yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; for a module, since no other test can call `asyncio.run` while its loop runs."""
    with launch_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a browser context of its own; a JavaScript error on it fails the test."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors
