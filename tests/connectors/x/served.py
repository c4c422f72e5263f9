"""The stand-in behind HTTP: keys checked, limits told, lines streamed, and all of it held to the contract."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from oauthlib.oauth1.rfc5849 import signature

from tests.connectors.x.answers import Answer, error
from tests.connectors.x.published import published
from tests.connectors.x.standin import BEARER, KEYS, Request, StandIn


@dataclass
class _Secrets:
    client_secret: str
    resource_owner_secret: str


def _limits(x: StandIn, request: Request) -> tuple[dict[str, str], bool]:
    """The headers that tell of a limit, and whether it is used up. `remaining` counts down where set."""
    name = re.sub(r"\d{3,}", "N", f"{request.method} {request.path}")
    reset = str(int(x.now.timestamp()) + 600)
    left = x.remaining.get(name, 300)
    if name in x.remaining:
        x.remaining[name] = max(0, left - 1)
    shown = str(max(0, left - 1))
    headers = {"x-rate-limit-limit": "300", "x-rate-limit-remaining": shown, "x-rate-limit-reset": reset}
    return headers, left <= 0


def _signed(x: StandIn, method: str, target: str, authorization: str) -> bool | None:
    """True by the account's keys or token, False by the app's bearer token, None where none fits."""
    if authorization.removeprefix("Bearer ") in x.user_tokens:
        return True
    if authorization == f"Bearer {BEARER}":
        return False
    if not authorization.startswith("OAuth "):
        return None
    given = dict(
        signature.collect_parameters(headers={"Authorization": authorization}, exclude_oauth_signature=False)
    )
    if (given.get("oauth_consumer_key"), given.get("oauth_token")) != (
        KEYS["consumer_key"],
        KEYS["access_token"],
    ):
        return None
    parts = urlsplit(target)
    params = signature.collect_parameters(parts.query, headers={"Authorization": authorization})
    base = signature.signature_base_string(
        method,
        # What is signed is the address at X, wherever the request is led to.
        signature.base_string_uri(f"https://api.twitter.com{parts.path}"),
        signature.normalize_parameters(params),
    )
    keys = KEYS["consumer_secret"], KEYS["access_token_secret"]
    expected = signature.sign_hmac_sha1_with_client(base, _Secrets(*keys))
    return True if expected == given.get("oauth_signature") else None


def _compare(x: StandIn, method: str, target: str, body: bytes, answer: Answer, content: bytes) -> None:
    """Keep what is not as X publishes it."""
    contract = published()
    if contract is None or not x.check:
        return
    x.exchanges += 1
    breaches = contract.wrong(method, target, body, answer.status, content, answer.content_type)
    x.breaches += [f"{method} {target}: {each}" for each in breaches]


def _public(value: Any) -> Any:
    """Without what the stand-in keeps for itself."""
    if isinstance(value, dict):
        return {k: _public(v) for k, v in value.items() if k not in ("written", "media_ids")}
    if isinstance(value, list):
        return [_public(each) for each in value]
    return value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    x: StandIn

    def do_GET(self) -> None:
        self._guarded("GET")

    def do_POST(self) -> None:
        self._guarded("POST")

    def _guarded(self, method: str) -> None:
        try:
            self._serve(method)
        except OSError:
            raise
        except Exception as error:
            # The test must not take a fault of the stand-in for X's.
            self.x.breaches.append(f"{method} {self.path}: the stand-in failed: {error!r}")
            raise

    def _serve(self, method: str) -> None:
        x = self.x
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/2/oauth2/token":
            form = dict(parse_qsl(body.decode()))
            status, told = x.grant(form, self.headers.get("authorization", ""))
            self._answer(method, body, Answer(status, json.dumps(told).encode()), {})
            return
        by_user = _signed(x, method, self.path, self.headers.get("authorization", ""))
        if by_user is None:
            self._answer(method, body, error(401, "about:blank", "Unauthorized", "Unauthorized"), {})
            return
        parts = urlsplit(self.path)
        content = json.loads(body) if body else None
        request = Request(method, parts.path, dict(parse_qsl(parts.query)), content, by_user)
        headers, used_up = _limits(x, request)
        if used_up:
            x.requests.append(request)
            answer = error(429, "about:blank", "Too Many Requests", "Too Many Requests")
        elif parts.path == "/2/tweets/search/stream" and not any(
            part in "GET /2/tweets/search/stream" for part, _ in x.answers
        ):
            x.requests.append(request)
            self._stream()
            return
        else:
            answer = x.handle(request)
        if answer.cut:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._answer(method, body, answer, headers)

    def _answer(self, method: str, body: bytes, answer: Answer, headers: dict[str, str]) -> None:
        raw = answer.body if isinstance(answer.body, bytes) else json.dumps(_public(answer.body)).encode()
        if not isinstance(answer.body, bytes):
            # The document gives one status of success; X answers 201 to what it made.
            shown = Answer(
                200 if answer.status == 201 and method == "POST" and "rules" in self.path else answer.status,
                None,
                {},
                answer.content_type,
            )
            _compare(self.x, method, self.path, body, shown, raw)
        self.send_response(answer.status)
        sent = {"content-type": answer.content_type, "content-length": str(len(raw)), **headers}
        for name, value in {**sent, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self) -> None:
        x = self.x
        x.streams += 1
        x.listening += 1
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while True:
            try:
                line = x.lines.get(timeout=x.keep_alive_seconds)
            except Empty:
                line = b""
            if line is None:
                break
            if line:
                target = "/2/tweets/search/stream"
                _compare(x, "GET", target, b"", Answer(), line)
            try:
                chunk = line + b"\r\n"
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.flush()
            except OSError:
                break
        x.listening -= 1
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@contextmanager
def running() -> Iterator[StandIn]:
    """The stand-in on a free port of this machine; gone at the end. Raises where it broke the contract."""
    x = StandIn()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is part of the tests."""

    server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"x": x}))
    x.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield x
    finally:
        x.lines.put(None)
        server.shutdown()
        thread.join()
        server.server_close()
    assert not x.breaches, x.breaches
