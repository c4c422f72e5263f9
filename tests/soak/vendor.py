"""A vendor that takes replies over HTTP, as vendors do: mostly well, sometimes not, sometimes silently."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Literal

from standardwebhooks import Webhook

Answer = Literal["take", "take slowly", "take and cut", "500", "503", "422"]
TAKEN = ("take", "take slowly", "take and cut")


class Vendor:
    """Listens on `url`. `plan(key)` says how the tries at a reply are answered; the last answer stays."""

    def __init__(self, plan: Callable[[str], Sequence[Answer]]) -> None:
        self.secrets: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self._plan = plan
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def next_answer(self, key: str) -> Answer:
        """What becomes of this try; counted before it is answered, as a vendor commits first."""
        with self._lock:
            answers = self._plan(key)
            answer = answers[min(self.asked[key], len(answers) - 1)]
            self.asked[key] += 1
            if answer in TAKEN:
                self.taken[key] += 1
            return answer

    def _handler(vendor) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the request
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                channel = self.path.strip("/")
                Webhook(vendor.secrets[channel]).verify(body, dict(self.headers.items()))
                key = self.headers["webhook-id"]
                assert json.loads(body)["data"]["id"] == key
                answer = vendor.next_answer(key)
                if answer == "take and cut":
                    # A reset, not an orderly end.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    return
                if answer == "take slowly":
                    time.sleep(0.3)
                status = 200 if answer in TAKEN else int(answer)
                self._answer(status, {"Retry-After": "1"} if status >= 500 else {})

            def do_GET(self) -> None:
                key = self.path.rpartition("/")[2]
                self._answer(200 if vendor.taken[key] else 404, {})

            def _answer(self, status: int, headers: Mapping[str, str]) -> None:
                # Whoever asked may have been killed meanwhile.
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    @contextlib.contextmanager
    def listening(self) -> Iterator[Vendor]:
        """Answer in the background for the time of the block."""
        thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
