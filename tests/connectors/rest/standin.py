"""Trackers on this machine, in the shapes that the vendors document; they check what they are asked.

Freshdesk after https://developers.freshdesk.com/api/, Intercom after
https://developers.intercom.com/docs/references/2.11/rest-api/api.intercom.io, and one made at home.
"""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

Json = Any
API_KEY = "fd-key-3f1e"
TOKEN = "ic-token-77aa"
HOME_KEY = "home-key-90bd"


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Json
    files: list[tuple[str, str, str, bytes]] = field(default_factory=list)

    @property
    def steps(self) -> list[str]:
        return [unquote(step) for step in self.path.split("/") if step]


@dataclass
class Told:
    """An answer; `raw` goes out as it is."""

    status: int
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass
class Tracker:
    """A vendor. `instead` are answers given once each before its own; `cut` breaks the line after it took."""

    url: str = ""
    base: str = ""
    instead: list[Told] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    tickets: list[Json] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Told:
        raise NotImplementedError


@dataclass
class Freshdesk(Tracker):
    """Tickets by `updated_at`, their conversations in pages of 100, replies as HTML."""

    base: str = "/api/v2"
    conversations: dict[int, list[Json]] = field(default_factory=dict)
    most: int = 100

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Basic {b64encode(f'{API_KEY}:X'.encode()).decode()}":
            return Told(401, {"code": "invalid_credentials", "message": "You have to be logged in."})
        match asked.method, *asked.steps[2:]:
            case "GET", "agents", "me":
                return Told(200, {"id": 1, "contact": {"email": "ana@brand.example", "name": "Ana"}})
            case "GET", "tickets":
                assert asked.query["order_by"] == "updated_at"
                assert asked.query["order_type"] == "asc"
                assert set(asked.query["include"].split(",")) <= {
                    "stats",
                    "requester",
                    "description",
                    "company",
                }
                since = asked.query["updated_since"]
                datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
                found = sorted(self.tickets, key=lambda each: str(each["updated_at"]))
                listed = [
                    {name: value for name, value in each.items() if name != "attachments"}
                    for each in found
                    if each["updated_at"] >= since
                ]
                return self._page(asked, listed)
            case "GET", "tickets", number:
                assert asked.query == {"include": "requester"}
                whole = [each for each in self.tickets if str(each["id"]) == number]
                return Told(200, whole[0]) if whole else Told(404)
            case "GET", "tickets", number, "conversations":
                if not any(str(each["id"]) == number for each in self.tickets):
                    return Told(404)
                return self._page(asked, self.conversations.get(int(number), []))
            case "POST", "tickets", number, "reply":
                assert set(asked.body) == {"body"}
                assert {name for name, *_ in asked.files} <= {"attachments[]"}
                posted = {
                    "id": 9000 + sum(map(len, self.conversations.values())),
                    "ticket_id": int(number),
                    "user_id": 1,
                    "body": f"<div>{asked.body['body']}</div>",
                    "body_text": asked.body["body"].replace("<br>", "").replace("&amp;", "&"),
                    "incoming": False,
                    "private": False,
                    "created_at": "2026-03-02T12:00:05Z",
                }
                self.conversations.setdefault(int(number), []).append(posted)
                return Told(201, posted)
            case _:
                return Told(404)

    def _page(self, asked: Asked, found: list[Json]) -> Told:
        size, page = min(int(asked.query["per_page"]), self.most), int(asked.query["page"])
        assert size <= 100
        assert 1 <= page <= 300
        return Told(200, found[(page - 1) * size : page * size])


@dataclass
class Intercom(Tracker):
    """A search that leaves out the parts, whole conversations one by one, replies that answer with all."""

    most: int = 2

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            error = {"code": "unauthorized", "message": "Access Token Invalid"}
            return Told(401, {"type": "error.list", "request_id": "r", "errors": [error]})
        assert asked.headers["intercom-version"] == "2.11"
        match asked.method, *asked.steps:
            case "GET", "me":
                return Told(200, {"type": "admin", "id": "814860", "email": "ana@brand.example"})
            case "POST", "conversations", "search":
                return self._search(asked.body)
            case "GET", "conversations", number:
                found = [each for each in self.tickets if each["id"] == number]
                return Told(200, found[0]) if found else Told(404, {"type": "error.list", "errors": []})
            case "POST", "conversations", number, "reply":
                assert asked.body["message_type"] == "comment"
                assert asked.body["type"] == "admin"
                assert asked.body["admin_id"] == "814860"
                for each in asked.body.get("attachment_files", []):
                    assert set(each) == {"name", "content_type", "data"}
                [found] = [each for each in self.tickets if each["id"] == number]
                parts = found["conversation_parts"]["conversation_parts"]
                parts.append(
                    {
                        "type": "conversation_part",
                        "id": f"p-{number}-{len(parts) + 1}",
                        "part_type": "comment",
                        "body": f"<p>{asked.body['body']}</p>",
                        "created_at": 1772452805,
                        "author": {
                            "type": "admin",
                            "id": "814860",
                            "name": "Ana",
                            "email": "ana@brand.example",
                        },
                        "attachments": [],
                        "redacted": False,
                    }
                )
                return Told(200, found)
            case _:
                return Told(404, {"type": "error.list", "errors": []})

    def _search(self, body: Json) -> Told:
        [rule] = body["query"]["value"]
        assert (body["query"]["operator"], rule["field"], rule["operator"]) == ("AND", "updated_at", ">")
        assert isinstance(rule["value"], int)
        found = [each for each in self.tickets if each["updated_at"] > rule["value"]]
        after = body["pagination"].get("starting_after")
        start = int(after) if after is not None else 0
        page = [
            {name: value for name, value in each.items() if name != "conversation_parts"}
            for each in found[start : start + self.most]
        ]
        end = start + self.most
        following = {"page": 2, "starting_after": str(end)} if end < len(found) else None
        return Told(
            200,
            {
                "type": "conversation.list",
                "total_count": len(found),
                "pages": {"type": "pages", "page": 1, "next": following, "per_page": self.most},
                "conversations": page,
            },
        )


@dataclass
class Homemade(Tracker):
    """The tracker of `examples/homemade.yaml`; it knows a reply again by its Idempotency-Key."""

    base: str = "/api"
    taken: dict[str, Json] = field(default_factory=dict)
    most: int = 2

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("x-api-key") != HOME_KEY:
            return Told(401, {"error": "who are you"})
        match asked.method, *asked.steps[1:]:
            case "GET", "me":
                return Told(200, {"name": "the hub"})
            case "GET", "tickets":
                since = asked.query.get("changed_since", "")
                found = [each for each in self.tickets if str(each.get("changed_at", "~")) >= since]
                start = int(asked.query.get("after", 0))
                end = start + self.most
                page = {"tickets": found[start:end], "next": str(end) if end < len(found) else None}
                return Told(200, page)
            case "GET", "replies":
                key = asked.query["client_key"]
                return Told(200, [self.taken[key]] if key in self.taken else [])
            case "POST", "tickets", number, "replies":
                key = asked.headers["idempotency-key"]
                posted = {"id": f"r-{len(self.taken) + 1}", "client_key": key, "ticket": number, **asked.body}
                return Told(201, {"reply": self.taken.setdefault(key, posted)})
            case _:
                return Told(404)


def _read(kind: str, content: bytes) -> tuple[Json, list[tuple[str, str, str, bytes]]]:
    """JSON, or a form with files (RFC 7578)."""
    if not kind.startswith("multipart/form-data"):
        return (json.loads(content) if content else None), []
    form = message_from_bytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + content, policy=HTTP)
    fields: dict[str, str] = {}
    files: list[tuple[str, str, str, bytes]] = []
    for part in form.iter_parts():
        name = str(part["content-disposition"].params["name"])
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        if part.get_filename() is None:
            fields[name] = value.decode()
        else:
            files.append((name, str(part.get_filename()), part.get_content_type(), value))
    return fields, files


_T = TypeVar("_T", bound=Tracker)


@contextmanager
def running(tracker: _T) -> Iterator[_T]:
    """The tracker, on a free port; gone at the end."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            content = self.rfile.read(length)
            parts = urlsplit(self.path)
            asked = Asked(
                self.command,
                parts.path,
                {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()},
                {name.lower(): value for name, value in self.headers.items()},
                *_read(self.headers.get("content-type") or "", content),
            )
            tracker.asked.append(asked)
            told = Told(200, raw=tracker.kept[parts.path]) if parts.path in tracker.kept else None
            if told is None or tracker.instead:
                told = tracker.instead.pop(0) if tracker.instead else tracker.answer(asked)
            if tracker.cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = told.raw if told.raw is not None else json.dumps(told.body).encode()
            self.send_response(told.status)
            headers = {"content-type": "application/json", "content-length": str(len(body))}
            for name, value in {**headers, **tracker.headers, **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    tracker.url = f"http://127.0.0.1:{server.server_port}{tracker.base}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield tracker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
