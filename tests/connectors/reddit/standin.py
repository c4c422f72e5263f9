"""A Reddit on this machine, after reddit.com/dev/api and the pages of github.com/reddit-archive/reddit/wiki.

What it holds to, by page: "OAuth2" and "OAuth2 Quick Start" (tokens by password or refresh token with the
app's id and secret; a wrong password is a 200 with `invalid_grant`; 401 with `www-authenticate`), "API" (a
telling User-Agent, `X-Ratelimit-Used`, `-Remaining`, `-Reset`), "JSON" (things and listings), dev/api
"listings" (newest first, at most 100 a page and 1,000 in all, `after` is a full name and gives nothing once
that is unknown), `/message/inbox`, `/message/sent`, `/user/{username}/comments`, `/user/{username}/about`,
`/r/{subreddit}/search`, `/new`, `/comments`, `/api/info`, `/api/comment` (errors are a 200).
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ME = "acme_care"
PASSWORD = "password-of-the-tests"
CLIENT_ID = "app-of-the-tests"
CLIENT_SECRET = "secret-of-the-tests"
REFRESH_TOKEN = "refresh-token-of-the-tests"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MAX_LISTED = 1000

Answer = tuple[int, dict[str, str], bytes]
Thing = dict[str, Any]


@dataclass
class Standin:
    """Listings by path without slashes around, and what was asked.

    `answers` are given before anything else but tokens, one per request; `cut_after_comment` closes the
    connection once a comment was taken; `refusal` is what `/api/comment` says instead of taking one.
    """

    url: str = ""
    now: datetime = NOW
    listings: dict[str, list[Thing]] = field(default_factory=dict)
    info: dict[str, Thing] = field(default_factory=dict)
    abouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    limit: int = 1000
    used: int = 0
    answers: list[Answer] = field(default_factory=list)
    refusal: dict[str, Any] = field(default_factory=dict)
    cut_after_comment: bool = False
    said: list[tuple[str, str]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def put(self, where: str, thing: Thing) -> Thing:
        """A thing appears in a listing, and can be asked for by name."""
        self.listings.setdefault(where, []).append(thing)
        self.info[str(thing["data"].get("name"))] = thing
        return thing

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        good = {
            "password": form.get("username") == ME and form.get("password") == PASSWORD,
            "refresh_token": form.get("refresh_token") == REFRESH_TOKEN,
        }
        if not good.get(form.get("grant_type", "")):
            return {"error": "invalid_grant"}
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        return {"access_token": self.tokens[-1], "token_type": "bearer", "expires_in": 3600, "scope": "*"}

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        match method, path.split("/"):
            case "GET", ["api", "v1", "me"]:
                return 200, {"name": ME, "id": "me"}
            case "GET", ["user", name, "about"]:
                found = self.abouts.get(name)
                return (200, {"kind": "t2", "data": found}) if found else (404, {"error": 404})
            case "GET", ["api", "info"]:
                names = query["id"].split(",")
                assert len(names) <= 100
                return 200, _listing([self.info[name] for name in names if name in self.info], {})
            case "POST", ["api", "comment"]:
                return self._comment(query)
            case "GET", ["r", "private", *_]:
                return 403, {"reason": "private", "message": "Forbidden", "error": 403}
            case "GET", _ if path in self.listings or path in ("message/inbox", "message/sent"):
                things = sorted(
                    self.listings.get(path, []), key=lambda thing: -float(thing["data"].get("created_utc", 0))
                )
                return 200, _listing(things, query)
            case "GET", ["user", name, "comments"] if name == ME:
                return 200, _listing([], query)
        return 404, {"message": "Not Found", "error": 404}

    def _comment(self, form: dict[str, str]) -> tuple[int, Any]:
        assert form["api_type"] == "json"
        if self.refusal:
            return 200, {"json": self.refusal}
        parent, text = form["thing_id"], form["text"]
        if len(text) > 10_000:
            return 200, {"json": {"errors": [["TOO_LONG", "this is too long (max: 10000)", "text"]]}}
        if parent not in self.info:
            return 200, {"json": {"errors": [["DELETED_COMMENT", "that comment was deleted", "parent"]]}}
        self.said.append((parent, text))
        kind = "t4" if parent.startswith("t4_") else "t1"
        data = {
            "name": f"{kind}_our{len(self.said)}",
            "author": ME,
            "body": text.strip(),
            "parent_id": parent,
            "created_utc": self.now.timestamp(),
            "permalink": f"/r/parcels/comments/s1/title/our{len(self.said)}/",
        }
        if kind == "t4":
            data |= {"subject": "re: Parcel", "first_message_name": "t4_m1"}
        thing = self.put(
            "message/sent" if kind == "t4" else f"user/{ME}/comments", {"kind": kind, "data": data}
        )
        return 200, {"json": {"errors": [], "data": {"things": [thing]}}}


def _listing(things: list[Thing], query: dict[str, str]) -> dict[str, Any]:
    things = things[:MAX_LISTED]
    first = 0
    if "after" in query:
        names = [thing["data"].get("name") for thing in things]
        first = names.index(query["after"]) + 1 if query["after"] in names else len(things)
    size = min(int(query.get("limit", "25")), 100)
    page = things[first : first + size]
    more = bool(page) and first + size < len(things)
    return {
        "kind": "Listing",
        "data": {"children": page, "after": page[-1]["data"].get("name") if more else None, "before": None},
    }


@contextmanager
def running_standin() -> Iterator[Standin]:
    """The Reddit, on a free port; gone at the end."""
    standin = Standin()
    app = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            address = urlsplit(self.path)
            path = address.path.strip("/")
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            query = {
                name: values[0]
                for name, values in parse_qs(address.query or body, keep_blank_values=True).items()
            }
            if self.command == "POST":
                query |= {name: values[0] for name, values in parse_qs(body).items()}
            standin.requests.append((self.command, path, query))
            if self.headers.get("user-agent", "").startswith("python-requests"):
                self._give(429, {}, b"")
                return
            if path == "api/v1/access_token":
                if self.headers["authorization"] != app:
                    self._give(401, {}, b'{"message": "Unauthorized", "error": 401}')
                else:
                    self._give(200, {}, json.dumps(standin.token(query)).encode())
                return
            if standin.answers:
                self._give(*standin.answers.pop(0))
                return
            if self.headers["authorization"] not in {f"bearer {token}" for token in standin.tokens}:
                told = {"www-authenticate": 'Bearer realm="reddit", error="invalid_token"'}
                self._give(401, told, b'{"message": "Unauthorized", "error": 401}')
                return
            standin.used += 1
            limits = {
                "x-ratelimit-used": str(standin.used),
                "x-ratelimit-remaining": f"{max(0, standin.limit - standin.used)}.0",
                "x-ratelimit-reset": "300",
            }
            if standin.used > standin.limit:
                self._give(429, {**limits, "retry-after": "300"}, b"")
                return
            assert query["raw_json"] == "1"
            status, answer = standin.answer(self.command, path, query)
            if standin.cut_after_comment and path == "api/comment":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._give(status, limits, standin.raw.get(path) or json.dumps(answer).encode())

        do_GET = do_POST = handle_any  # noqa: N815

        def _give(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    standin.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
