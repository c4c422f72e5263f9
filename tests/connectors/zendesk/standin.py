"""A Zendesk account on this machine, after developer.zendesk.com.

What it holds to, by page: "Security and authentication" (Basic with `/token`, Bearer; 401), "Using the
Incremental Exports API" and "Incremental Exports" (cursors, `end_of_stream`, the most recent minute left
out, an earlier start asked for, deleted tickets listed), "Pagination" (`page[size]` up to 100,
`page[after]`, `meta`), "Ticket Comments" (`include=users`), "Ticket Audits" (`sort`), "Tickets" (an update
makes an audit, a closed ticket takes none: 422), "Tags", "Attachments" (uploads by token, files behind
`content_url`), "Users" (`me`), "Rate limits" (`X-Rate-Limit`, `ratelimit-reset`, 429 with `Retry-After`).
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

EMAIL = "ana@acme.example"
API_TOKEN = "api-token-of-the-tests"
OAUTH_TOKEN = "oauth-token-of-the-tests"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ADMIN = {"id": 9, "name": "Ana Admin", "email": EMAIL, "role": "admin"}

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Standin:
    """An account and what was asked of it.

    `tickets` are what the export gives, `comments` and `audits` lie by ticket id; `raw_comments` replaces
    the answer that has comments. `answers` are given before anything else, one per request; `cut_after`
    closes the connection after a request of that method was carried out. `sorts` is off for an account that
    leaves audits in their own order, as archived tickets may.
    """

    url: str = ""
    now: datetime = NOW
    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[Any]] = field(default_factory=dict)
    audits: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    users: dict[int, dict[str, Any]] = field(default_factory=lambda: {9: ADMIN})
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    me: dict[str, Any] = field(default_factory=lambda: dict(ADMIN))
    raw_comments: bytes | None = None
    raw_export: bytes | None = None
    raw_ticket: bytes | None = None
    limit: int = 700
    used: int = 0
    answers: list[Answer] = field(default_factory=list)
    cut_after: str = ""
    sorts: bool = True
    requests: list[tuple[str, str]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    next_id: int = 90_000

    def add(self, ticket: dict[str, Any], comments: list[Any], users: list[dict[str, Any]]) -> None:
        """A ticket as one file of the fixtures has it."""
        self.tickets[ticket["id"]] = ticket
        self.comments[ticket["id"]] = comments
        self.audits.setdefault(ticket["id"], [])
        self.users.update({user["id"]: user for user in users if isinstance(user.get("id"), int)})

    def said(self, ticket_id: int, author_id: int, text: str, **more: Any) -> dict[str, Any]:
        """Somebody comments now; the ticket counts as changed."""
        self.next_id += 1
        comment = {
            "id": self.next_id,
            "type": "Comment",
            "author_id": author_id,
            "body": text,
            "html_body": f'<div class="zd-comment"><p>{text}</p></div>',
            "public": True,
            "attachments": [],
            "created_at": _text(self.now),
            "via": {"channel": "api"},
            "metadata": {"system": {}, "custom": {}},
            **more,
        }
        self.comments[ticket_id].append(comment)
        self.tickets[ticket_id]["updated_at"] = _text(self.now)
        return comment

    def marks(self) -> list[str]:
        """The keys in the audits' custom metadata."""
        return [
            audit["metadata"]["custom"]["cem_hub"]
            for audits in self.audits.values()
            for audit in audits
            if "cem_hub" in audit["metadata"]["custom"]
        ]

    def answer(
        self, method: str, path: str, query: dict[str, str], body: bytes, kind: str
    ) -> tuple[int, Any]:
        """Status and JSON of one request."""
        parts = path.removeprefix("/api/v2/").removesuffix(".json").split("/")
        match method, parts:
            case "GET", ["users", "me"]:
                return 200, {"user": self.me}
            case "GET", ["incremental", "tickets", "cursor"]:
                return self._export(query)
            case "POST", ["uploads"]:
                return self._upload(query, body, kind)
            case _, ["tickets", number, *rest] if number.isdecimal() and int(number) in self.tickets:
                ticket = self.tickets[int(number)]
                if ticket.get("status") != "deleted":
                    return self._of_ticket(method, ticket, rest, query, body)
        return 404, {"error": "RecordNotFound", "description": "Not found"}

    def _of_ticket(
        self, method: str, ticket: dict[str, Any], rest: list[str], query: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        match method, rest:
            case "GET", ["comments"]:
                found = self.comments[ticket["id"]]
                page = _page("comments", found, query)
                if query.get("include") == "users":
                    ids = {each.get("author_id") for each in found if isinstance(each, dict)}
                    page["users"] = [user for number, user in self.users.items() if number in ids]
                return 200, page
            case "GET", ["audits"]:
                audits = self.audits[ticket["id"]]
                newest_first = self.sorts and query.get("sort") == "-created_at"
                return 200, _page("audits", audits[::-1] if newest_first else audits, query)
            case "GET", []:
                return 200, {"ticket": ticket}
            case "PUT", []:
                return self._update(ticket, json.loads(body)["ticket"])
            case (("PUT" | "DELETE"), ["tags"]):
                given = json.loads(body)["tags"]
                kept = [tag for tag in ticket["tags"] if tag not in given]
                ticket["tags"] = kept + (given if method == "PUT" else [])
                ticket["updated_at"] = _text(self.now)
                return 200, {"tags": ticket["tags"]}
        return 404, {"error": "InvalidEndpoint", "description": "Not found"}

    def _export(self, query: dict[str, str]) -> tuple[int, Any]:
        newest = self.now - timedelta(minutes=1)
        if "cursor" in query:
            seconds, number = json.loads(base64.urlsafe_b64decode(query["cursor"]))
            beginning = (seconds, number)
        elif "start_time" in query and int(query["start_time"]) <= newest.timestamp():
            beginning = (int(query["start_time"]), -1)
        else:
            return 400, {"error": "StartTimeTooRecent", "description": "Too recent start_time."}
        changed = sorted(
            ((datetime.fromisoformat(each["updated_at"]).timestamp(), number), each)
            for number, each in self.tickets.items()
        )
        after = [each for each in changed if each[0] > beginning and each[0][0] <= newest.timestamp()]
        size = int(query.get("per_page", "1000"))
        assert 1 <= size <= 1000
        page = after[:size]
        cursor = base64.urlsafe_b64encode(json.dumps(page[-1][0] if page else beginning).encode()).decode()
        return 200, {
            "tickets": [each for _, each in page],
            "after_cursor": cursor,
            "after_url": f"{self.url}/api/v2/incremental/tickets/cursor.json?cursor={cursor}",
            "end_of_stream": len(after) <= size,
        }

    def _update(self, ticket: dict[str, Any], change: dict[str, Any]) -> tuple[int, Any]:
        if ticket["status"] == "closed":
            details = {"status": [{"description": "Status: closed prevents ticket update"}]}
            return 422, {"error": "RecordInvalid", "description": "Validation errors", "details": details}
        custom = change.get("metadata", {})
        events: list[dict[str, Any]] = []
        if "comment" in change:
            given = change["comment"]
            files = [self.uploads.pop(token) for token in given.get("uploads", [])]
            attachments = [
                {"file_name": name, "content_type": kind, "size": len(content)}
                for name, kind, content in files
            ]
            comment = self.said(
                ticket["id"],
                9,
                given["body"],
                public=given.get("public", True),
                attachments=attachments,
                metadata={"system": {}, "custom": custom},
            )
            events.append({"id": comment["id"], "type": "Comment", "body": given["body"], "public": True})
        if "status" in change:
            events.append({"id": self.next_id + 1, "type": "Change", "field_name": "status"})
            ticket["status"] = change["status"]
            ticket["updated_at"] = _text(self.now)
        self.next_id += 2
        audit = {
            "id": self.next_id,
            "ticket_id": ticket["id"],
            "created_at": _text(self.now),
            "author_id": 9,
            "events": events,
            "metadata": {"system": {}, "custom": custom},
        }
        self.audits[ticket["id"]].append(audit)
        return 200, {"ticket": ticket, "audit": audit}

    def _upload(self, query: dict[str, str], body: bytes, kind: str) -> tuple[int, Any]:
        token = f"upload-{len(self.uploads) + 1}"
        self.uploads[token] = (query["filename"], kind, body)
        return 201, {"upload": {"token": token, "attachment": {"file_name": query["filename"]}}}


def _page(name: str, found: list[Any], query: dict[str, str]) -> dict[str, Any]:
    size = int(query["page[size]"])
    assert 1 <= size <= 100
    first = int(query.get("page[after]", "0"))
    more = first + size < len(found)
    return {
        name: found[first : first + size],
        "meta": {"has_more": more, "after_cursor": str(first + size) if more else None},
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def running_standin() -> Iterator[Standin]:
    """The account, on a free port, where Zenpy is led by its environment variables; gone at the end."""
    standin = Standin()
    signed = {
        "Basic " + base64.b64encode(f"{EMAIL}/token:{API_TOKEN}".encode()).decode(),
        f"Bearer {OAUTH_TOKEN}",
    }

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            standin.requests.append((self.command, address.path))
            standin.authorizations.append(self.headers["authorization"])
            if standin.answers:
                self._give(*standin.answers.pop(0))
                return
            if self.headers["authorization"] not in signed:
                self._give(401, {}, b'{"error": "Couldn\'t authenticate you"}')
                return
            standin.used += 1
            limits = {
                "x-rate-limit": str(standin.limit),
                "x-rate-limit-remaining": str(max(0, standin.limit - standin.used)),
                "ratelimit-reset": "41",
            }
            if standin.used > standin.limit:
                self._give(429, {**limits, "retry-after": "41"}, b"Too many requests")
                return
            if address.path.startswith("/attachments/"):
                name = address.path.removeprefix("/attachments/")
                found = standin.files.get(name)
                self._give(200 if found is not None else 404, limits, found or b"")
                return
            kind = self.headers.get("content-type", "")
            status, answer = standin.answer(self.command, address.path, query, body, kind)
            if "incremental" in address.path:
                name = "zendesk-ratelimit-incremental-exports-cursor"
                limits[name] = "total=10; remaining=9; resets=60"
            if standin.cut_after == self.command:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = json.dumps(answer).encode()
            if standin.raw_comments is not None and address.path.endswith("/comments.json"):
                content = standin.raw_comments
            if standin.raw_export is not None and "incremental" in address.path:
                content = standin.raw_export
            if standin.raw_ticket is not None and self.command == "GET" and address.path.count("/") == 4:
                content = standin.raw_ticket
            self._give(status, limits, content)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

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
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ZENPY_FORCE_NETLOC", urlsplit(standin.url).netloc)
        environment.setenv("ZENPY_FORCE_SCHEME", "http")
        try:
            yield standin
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
