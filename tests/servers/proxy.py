"""A line between a client and a server that can be slow, hang, or be cut: at once, or after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_PIECE = 16_384


class Proxy:
    """What stands on `port` of 127.0.0.1 before a server.

    `cut_after` and `hang_after` count bytes that the server sends, over all connections from now on: when so
    many have passed, every connection is cut, or nothing passes any more. `cut_up_after` counts what the
    client sends. `bytes_a_second` slows the server's words down.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.cut_after: int | None = None
        self.hang_after: int | None = None
        self.bytes_a_second: int | None = None
        self.cut_up_after: int | None = None
        self.passed = 0
        self.passed_up = 0
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def cut(self) -> None:
        """Break every connection now."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def heal(self) -> None:
        """Let everything pass again, and count from zero."""
        self.cut_after = self.hang_after = self.bytes_a_second = self.cut_up_after = None
        self.passed = self.passed_up = 0

    def close(self) -> None:
        """End it; whoever is connected is cut off."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_after = None
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _run(self, what: object, *args: object) -> None:
        thread = threading.Thread(target=what, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            self._run(self._pump, client, server, False)
            self._run(self._pump, server, client, True)

    def _pump(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        may_pass = self._may_pass if down else self._may_pass_up
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if not may_pass(piece, sink):
                    break
                sink.sendall(piece)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}

    def _may_pass_up(self, piece: bytes, sink: socket.socket) -> bool:
        self.passed_up += len(piece)
        return self.cut_up_after is None or self.passed_up <= self.cut_up_after

    def _may_pass(self, piece: bytes, sink: socket.socket) -> bool:
        self.passed += len(piece)
        if self.cut_after is not None and self.passed > self.cut_after:
            with contextlib.suppress(OSError):
                sink.sendall(piece[: len(piece) // 2])
            self.cut()
            return False
        while self.hang_after is not None and self.passed > self.hang_after:
            if sink.fileno() < 0 or sink not in self._open:
                return False
            time.sleep(0.02)
        if self.bytes_a_second is not None:
            time.sleep(len(piece) / self.bytes_a_second)
        return True


@contextlib.contextmanager
def proxy_before(target: int) -> Iterator[Proxy]:
    """A line to a port of this machine, that goes with the block."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
