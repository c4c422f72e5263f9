"""A brand's system on this machine: takes signed replies, or misbehaves as told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + "cGVlciBzZWNyZXQgb2YgdGhlIHRlc3RzIQ=="
OTHER_SECRET = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzIQ=="


@dataclass
class Peer:
    """What the server does and has seen.

    `status`, `headers` and `body` are the answer to a POST; `cut` closes the connection instead of answering,
    and `silent` never answers. `taken` are the replies by their `webhook-id`, `requests` all that came,
    `bodies` what was posted.
    """

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: bool = False
    silent: bool = False
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running_peer() -> Iterator[Peer]:
    """The peer, on a free port; gone at the end."""
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            peer.requests.append(("POST", self.path))
            peer.bodies.append(body)
            Webhook(SECRET).verify(body, dict(self.headers))
            if peer.silent:
                peer.released.wait(10)
            if peer.silent or peer.cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            key = self.headers["webhook-id"]
            if 200 <= peer.status < 300:
                peer.taken.setdefault(key, json.loads(body))
            self._answer(
                peer.status, peer.body if peer.body is not None else json.dumps({"id": f"at-peer-{key}"})
            )

        def do_GET(self) -> None:
            peer.requests.append(("GET", self.path))
            Webhook(SECRET).verify(b"", dict(self.headers), json_parse=False)
            key = self.headers["webhook-id"]
            known = key in peer.taken
            status = peer.status if peer.status != 200 else 200 if known else 404
            self._answer(status, json.dumps({"id": f"at-peer-{key}"} if known else {}))

        def _answer(self, status: int, body: str | bytes) -> None:
            content = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **peer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield peer
    finally:
        peer.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
