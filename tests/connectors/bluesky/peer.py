"""A Bluesky of one account on this machine: its server and AppView over HTTP, and a Jetstream.

What it answers is what the local network of `tests/servers/bluesky` answers; `test_network.py` asks that one
the same. It fails as told, which the network does not.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

ME, HANDLE, PASSWORD = "did:plc:brand", "brand.example", "abcd-efgh-ijkl-mnop"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Answer = tuple[int, dict[str, str], Any]
MISSING_RECORD = {"error": "RecordNotFound", "message": "Could not locate record"}


@dataclass
class Peer:
    """`notifications` and `posts` are newest first, as they are listed; `records` are what was written, by
    key. `failures` are answers that come before any other, by method; `headers` go with every answer.

    `asked` are the methods with their parameters. `frames` go out on the stream, which ends with None;
    `subscribed` are the addresses that it was opened with.
    """

    url: str = ""
    stream_url: str = ""
    password: str = PASSWORD
    notifications: list[Any] = field(default_factory=list)
    posts: list[Any] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    blobs: list[tuple[str, bytes]] = field(default_factory=list)
    failures: dict[str, list[Answer | None]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    token_seconds: int = 7200
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    frames: Queue[str | bytes | None] = field(default_factory=Queue)
    subscribed: list[str] = field(default_factory=list)

    def methods(self) -> list[str]:
        """What was asked, in short."""
        return [method.rpartition(".")[2] for method, _ in self.asked]

    def query(self, method: str, params: dict[str, list[str]]) -> Answer:
        """The answer to a GET."""
        match method.rpartition(".")[2]:
            case "listNotifications":
                return self._page("notifications", self.notifications, params)
            case "searchPosts":
                word = params["q"][0].strip('"')
                found = [post for post in self.posts if word in post["record"]["text"]]
                return self._page("posts", found, params)
            case "getPosts":
                posts = [{"uri": uri, "cid": f"cid-of-{uri[-4:]}"} for uri in params["uris"]]
                return 200, {}, {"posts": [post for post in posts if post["uri"] not in self.gone]}
            case "getProfiles":
                found = [self.profiles[did] for did in params["actors"] if did in self.profiles]
                return 200, {}, {"profiles": found}
            case "resolveHandle":
                did = self.handles.get(params["handle"][0])
                unknown = {"error": "InvalidRequest", "message": "Unable to resolve handle"}
                return (200, {}, {"did": did}) if did else (400, {}, unknown)
            case "getRecord":
                key = params["rkey"][0]
                if key not in self.records:
                    return 400, {}, MISSING_RECORD
                uri = f"at://{ME}/app.bsky.feed.post/{key}"
                return 200, {}, {"uri": uri, "cid": "cid", "value": self.records[key]}
        return 501, {}, {"error": "MethodNotImplemented", "message": method}

    def procedure(self, method: str, headers: Any, raw: bytes) -> Answer:
        """The answer to a POST."""
        match method.rpartition(".")[2]:
            case "createSession":
                told = json.loads(raw)
                if told["identifier"] != HANDLE or told["password"] != self.password:
                    return 401, {}, {"error": "AuthenticationRequired", "message": "Invalid password"}
                return 200, {}, self._session()
            case "refreshSession":
                return 200, {}, self._session()
            case "uploadBlob":
                self.blobs.append((headers["content-type"], raw))
                ref = {"$type": "blob", "ref": {"$link": f"bafkrei{len(self.blobs)}"}}
                return 200, {}, {"blob": {**ref, "mimeType": headers["content-type"], "size": len(raw)}}
            case "putRecord":
                told = json.loads(raw)
                assert told["swapRecord"] is None
                if told["rkey"] in self.records:
                    return 400, {}, {"error": "InvalidSwap", "message": "Record was at another cid"}
                self.records[told["rkey"]] = told["record"]
                return 200, {}, {"uri": f"at://{ME}/app.bsky.feed.post/{told['rkey']}", "cid": "cid"}
        return 501, {}, {"error": "MethodNotImplemented", "message": method}

    def _page(self, name: str, found: list[Any], params: dict[str, list[str]]) -> Answer:
        start, size = int(params.get("cursor", ["0"])[0]), int(params["limit"][0])
        answer: dict[str, Any] = {name: found[start : start + size]}
        if start + size < len(found):
            answer["cursor"] = str(start + size)
        return 200, {}, answer

    def _session(self) -> dict[str, str]:
        ends = datetime.now(UTC) + timedelta(seconds=self.token_seconds)
        return {
            "did": ME,
            "handle": HANDLE,
            "accessJwt": token(ends),
            "refreshJwt": token(ends + timedelta(days=60)),
        }


def token(ends_at: datetime) -> str:
    """A JSON Web Token with nothing but its end in it."""
    parts = [{"alg": "none"}, {"exp": int(ends_at.timestamp()), "sub": ME}]
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "eA"]
    )


def post(
    key: str, text: str, *, at: datetime = NOW, did: str = "did:plc:mara", **record: Any
) -> dict[str, Any]:
    """A post as it is listed."""
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "uri": f"at://{did}/app.bsky.feed.post/{key}",
        "cid": f"cid-of-{key}",
        "author": {"did": did, "handle": "mara.example", "displayName": "Mara"},
        "record": {"$type": "app.bsky.feed.post", "text": text, "createdAt": stamp, **record},
        "indexedAt": stamp,
    }


def mention(did: str = ME) -> dict[str, Any]:
    """The facets of a text that begins with the mention of somebody."""
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": did}
    return {"facets": [{"index": {"byteStart": 0, "byteEnd": 6}, "features": [feature]}]}


@contextmanager
def running_peer() -> Iterator[Peer]:
    """The peer on free ports; gone at the end."""
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            method, params = split.path.removeprefix("/xrpc/"), parse_qs(split.query)
            peer.asked.append((method, params))
            self._answer(self._failure(method) or peer.query(method, params))

        def do_POST(self) -> None:
            method = self.path.removeprefix("/xrpc/")
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            peer.asked.append((method, {}))
            self._answer(self._failure(method) or peer.procedure(method, self.headers, raw))

        def _failure(self, method: str) -> Answer | None:
            waiting = peer.failures.get(method.rpartition(".")[2])
            return waiting.pop(0) if waiting else None

        def _answer(self, answer: Answer) -> None:
            status, headers, body = answer
            if status == 0:  # cut
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            told = {"content-type": "application/json", "content-length": str(len(content))}
            for name, value in {**told, **peer.headers, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{http.server_port}"
    with serve(
        lambda connection: _speak(peer, connection),
        "127.0.0.1",
        0,
        select_subprotocol=_first_subprotocol,
        process_request=lambda connection, request: _asked(peer, connection, request),
    ) as stream:
        peer.stream_url = f"ws://127.0.0.1:{_port(stream)}/subscribe"
        threads = [
            threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}),
            threading.Thread(target=stream.serve_forever),
        ]
        for thread in threads:
            thread.start()
        try:
            yield peer
        finally:
            peer.frames.put(None)
            http.shutdown()
            stream.shutdown()
            for thread in threads:
                thread.join()
            http.server_close()


def _first_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return offered[0] if offered else None


def _asked(peer: Peer, connection: ServerConnection, request: Request) -> Response | None:
    """An address that ends in `/refused/STATUS` is answered so; any other opens the stream."""
    peer.subscribed.append(request.path)
    status = request.path.partition("/refused/")[2].partition("?")[0]
    return connection.respond(HTTPStatus(int(status)), "") if status else None


def _speak(peer: Peer, connection: ServerConnection) -> None:
    try:
        while (frame := peer.frames.get()) is not None:
            connection.send(frame)
    except ConnectionClosed:
        pass


def _port(server: Server) -> int:
    port: int = server.socket.getsockname()[1]
    return port
