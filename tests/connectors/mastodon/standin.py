"""A Mastodon server on this machine: one account, its notifications, timelines, streams and replies.

After https://docs.joinmastodon.org/methods/. What it is asked and what it answers is checked by the published
description where that is at hand (`agreement`).
"""

from __future__ import annotations

import html
import json
import queue
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.connectors.mastodon import entities
from tests.connectors.mastodon.agreement import Agreement, specification
from tests.connectors.mastodon.entities import DOMAIN, account, mention, notification, stamp, status

TOKEN = "invented-token-of-the-tests"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass
class Misbehaviour:
    """What is answered instead, to requests whose `METHOD /path` begins so; `cut` after doing the work."""

    prefix: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "Something is wrong"}'
    cut: bool = False
    silent: bool = False
    times: int = 1_000


class StandIn:
    """What the server has, has seen, and does wrong. `now` is its clock."""

    def __init__(self) -> None:
        self.url = ""
        self.now = NOW
        self.lock = threading.RLock()
        self.agreement = Agreement(path) if (path := specification()) else None
        self.own = account("1", "acme", followers=9_000)
        self.mara = account("2", "Mara@garden.example", followers=1_234)
        self.statuses: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, str] = {}
        self.notifications: list[dict[str, Any]] = []
        self.page: bytes | None = None
        self.keys: dict[str, str] = {}
        self.posted: list[dict[str, Any]] = []
        self.media: dict[str, dict[str, Any]] = {}
        self.media_looks = 1
        self.limits: dict[str, Any] = {}
        self.rate: tuple[int, int] | None = (300, 299)
        self.wrong: list[Misbehaviour] = []
        self.requests: list[str] = []
        self.streams: list[tuple[str, queue.Queue[bytes | None]]] = []
        self.released = threading.Event()
        self._number = 0

    def next_id(self, at: datetime | None = None) -> str:
        """A snowflake: milliseconds, and a number that makes it unlike every other."""
        self._number += 1
        return str((int((at or self.now).timestamp() * 1000) << 16) + self._number)

    def write(
        self,
        content: str,
        *,
        author: dict[str, Any] | None = None,
        at: datetime | None = None,
        answers: str | None = None,
        tags: tuple[str, ...] = (),
        status_id: str | None = None,
        names_us: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """Somebody writes a status."""
        at = at or self.now
        parent = self.statuses.get(answers or "")
        made = status(
            status_id or self.next_id(at),
            author or self.mara,
            content,
            at,
            in_reply_to_id=answers,
            in_reply_to_account_id=parent["account"]["id"] if parent else None,
            tags=[{"name": tag, "url": f"https://{DOMAIN}/tags/{tag}"} for tag in tags],
            mentions=[mention(self.own)] if names_us else [],
            **more,
        )
        with self.lock:
            self.statuses[made["id"]] = made
        for tag in tags:
            self.push(f"hashtag:{tag}", "update", made)
        return made

    def address(self, content: str, **more: Any) -> dict[str, Any]:
        """Somebody writes a status that mentions the account."""
        made = self.write(content, names_us=True, **more)
        with self.lock:
            told = notification(str(1_000 + len(self.notifications)), made)
            self.notifications.append(told)
        self.push("user", "notification", told)
        return made

    def change(self, status_id: str, content: str) -> None:
        """Its author edits a status."""
        with self.lock:
            self.statuses[status_id] |= {"content": content, "edited_at": stamp(self.now)}
        for stream in self._concerned(status_id):
            self.push(stream, "status.update", self.statuses[status_id])

    def delete(self, status_id: str) -> None:
        """Its author deletes a status; the notification of it goes too."""
        concerned = self._concerned(status_id)
        with self.lock:
            del self.statuses[status_id]
            self.notifications = [each for each in self.notifications if each["status"]["id"] != status_id]
        for stream in concerned:
            self.push(stream, "delete", status_id)

    def push(self, stream: str, event: str, payload: Any) -> None:
        """Say something on the open streams of that name."""
        if self.agreement and event != "delete":
            self.agreement.entity("Notification" if event == "notification" else "Status", payload)
        data = payload if isinstance(payload, str) else json.dumps(payload)
        self.push_raw(stream, f"event: {event}\ndata: {data}\n\n".encode())

    def push_raw(self, stream: str, raw: bytes | None) -> None:
        """Bytes as they are; None ends the stream."""
        with self.lock:
            for name, waiting in self.streams:
                if name == stream:
                    waiting.put(raw)

    def _concerned(self, status_id: str) -> list[str]:
        return ["user", *(f"hashtag:{tag['name']}" for tag in self.statuses[status_id]["tags"])]


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """The server, on a free port; gone at the end. Fails where something was said against the description."""
    there = StandIn()

    class Handler(_Handler):
        vendor = there

    server = _Server(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield there
    finally:
        there.released.set()
        for name, _ in list(there.streams):
            there.push_raw(name, None)
        server.shutdown()
        thread.join()
        server.server_close()
    assert there.agreement is None or not there.agreement.broken, there.agreement.broken[:5]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vendor: StandIn

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_POST(self) -> None:
        self._serve("POST", self.rfile.read(int(self.headers["content-length"])))

    def _serve(self, method: str, raw: bytes) -> None:
        there = self.vendor
        place = urlsplit(self.path)
        query = parse_qs(place.query, keep_blank_values=True)
        there.requests.append(f"{method} {self.path}")
        wrong = next(
            (w for w in there.wrong if f"{method} {self.path}".startswith(w.prefix) and w.times > 0), None
        )
        if wrong is not None:
            wrong.times -= 1
        body = self._form(raw)
        # Not what is only a resting place for the tests: an invalid page has nothing to agree with.
        agreement = there.agreement
        if agreement:
            agreement.request(method, place.path, query, body or None)
        if wrong is not None and not wrong.cut:
            if wrong.silent:
                there.released.wait(10)
                return
            self._answer(wrong.status, wrong.body, wrong.headers)
            return
        if self.headers.get("authorization") not in (f"Bearer {TOKEN}", None):
            self._said(method, place.path, 401, {"error": "The access token is invalid"})
            return
        if place.path.startswith("/api/v1/streaming/"):
            self._stream(place.path.rpartition("/")[2], query)
            return
        if there.page is not None and place.path == "/api/v1/notifications":
            self._answer(200, there.page, {})
            return
        with there.lock:
            code, found = self._find(method, place.path.rstrip("/"), query, body)
        if wrong is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._said(method, place.path, code, found)

    def _find(
        self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]
    ) -> tuple[int, Any]:
        there = self.vendor
        if path == "/api/v2/instance":
            return 200, entities.instance(there.url.replace("http", "ws"), **there.limits)
        if path == "/api/v1/accounts/verify_credentials":
            return 200, entities.credentials(there.own)
        if path == "/api/v1/notifications":
            wanted = [each for each in there.notifications if each["type"] in query["types[]"]]
            return 200, _page(wanted, query, 40)
        if match := re.fullmatch(r"/api/v1/timelines/tag/(\w+)", path):
            tagged = [s for s in there.statuses.values() if any(t["name"] == match[1] for t in s["tags"])]
            return 200, _page(tagged, query, 20)
        if path == "/api/v1/statuses" and method == "GET":
            return 200, [there.statuses[i] for i in query["id[]"] if i in there.statuses]
        if path == "/api/v1/statuses":
            return self._post(body)
        if match := re.fullmatch(r"/api/v1/accounts/(\w+)/statuses", path):
            theirs = [each for each in there.statuses.values() if each["account"]["id"] == match[1]]
            return 200, _page(theirs, query, 20)
        if match := re.fullmatch(r"/api/v1/statuses/([\w\-]+)(/\w+)?", path):
            return self._status(match[1], match[2])
        if path == "/api/v2/media":
            return self._upload(body)
        if match := re.fullmatch(r"/api/v1/media/(\w+)", path):
            return self._media(match[1])
        return 404, {"error": "Not Found"}

    def _status(self, status_id: str, what: str | None) -> tuple[int, Any]:
        there = self.vendor
        found = there.statuses.get(status_id)
        if found is None:
            return 404, {"error": "Record not found"}
        if what == "/context":
            above: list[dict[str, Any]] = []
            parent = there.statuses.get(found["in_reply_to_id"] or "")
            while parent is not None:
                above.insert(0, parent)
                parent = there.statuses.get(parent["in_reply_to_id"] or "")
            return 200, {"ancestors": above, "descendants": []}
        if what == "/source":
            return 200, {"id": status_id, "text": there.sources.get(status_id, ""), "spoiler_text": ""}
        return 200, found

    def _post(self, body: dict[str, Any]) -> tuple[int, Any]:
        there = self.vendor
        key = self.headers.get("idempotency-key")
        if key is not None and key in there.keys:
            return 200, there.statuses[there.keys[key]]
        answers = body.get("in_reply_to_id")
        if answers is not None and answers not in there.statuses:
            return 404, {"error": "The post you are trying to reply to does not appear to exist."}
        if any(there.media[each]["looks"] > 0 for each in body.get("media_ids", [])):
            return 422, {
                "error": "Cannot attach files that have not finished processing. Try again in a moment!"
            }
        made = there.write(
            f"<p>{html.escape(body['status'])}</p>",
            author=there.own,
            answers=answers,
            visibility=body.get("visibility", "public"),
            spoiler_text=body.get("spoiler_text", ""),
            language=body.get("language"),
        )
        there.sources[made["id"]] = body["status"]
        there.posted.append({**body, "id": made["id"], "key": key})
        if key is not None:
            there.keys[key] = made["id"]
        return 200, made

    def _upload(self, body: dict[str, Any]) -> tuple[int, Any]:
        there = self.vendor
        made: dict[str, Any] = {
            "id": there.next_id(),
            "type": "image",
            "url": None,
            "preview_url": None,
            "remote_url": None,
            "description": body.get("description"),
            "blurhash": None,
        }
        there.media[made["id"]] = {"entity": made, "looks": there.media_looks, "content": body["file"]}
        return 202, made

    def _media(self, media_id: str) -> tuple[int, Any]:
        found = self.vendor.media.get(media_id)
        if found is None:
            return 404, {"error": "Record not found"}
        found["looks"] -= 1
        if found["looks"] > 0:
            return 206, found["entity"]
        return 200, {**found["entity"], "url": f"https://files.{DOMAIN}/{media_id}.png"}

    def _stream(self, kind: str, query: dict[str, list[str]]) -> None:
        there = self.vendor
        if self.headers.get("authorization") is None:
            self._said("GET", f"/api/v1/streaming/{kind}", 401, {"error": "Missing access token"})
            return
        name = kind if kind == "user" else f"hashtag:{query['tag'][0]}"
        waiting: queue.Queue[bytes | None] = queue.Queue()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(b":)\n")
        with there.lock:
            there.streams.append((name, waiting))
        try:
            while (piece := waiting.get()) is not None and not there.released.is_set():
                self._chunk(piece)
        finally:
            with there.lock:
                there.streams.remove((name, waiting))
            self.close_connection = True

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.flush()

    def _form(self, raw: bytes) -> dict[str, Any]:
        """A form as an object; numbers for true and false as those."""
        kind = self.headers.get("content-type") or ""
        if kind.startswith("multipart/"):
            parts = message_from_bytes(f"content-type: {kind}\r\n\r\n".encode() + raw)
            found: dict[str, Any] = {}
            for part in parts.get_payload():
                assert not isinstance(part, str)
                name = part.get_param("name", header="content-disposition")
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                found[str(name)] = content.decode("latin-1") if part.get_filename() else content.decode()
            return found
        form = parse_qs(raw.decode(), keep_blank_values=True)
        told: dict[str, Any] = {
            name.removesuffix("[]"): values if name.endswith("[]") else values[-1]
            for name, values in form.items()
        }
        if "sensitive" in told:
            told["sensitive"] = told["sensitive"] == "1"
        return told

    def _said(self, method: str, path: str, code: int, found: Any) -> None:
        if self.vendor.agreement:
            self.vendor.agreement.answer(method, path, code, found)
        self._answer(code, json.dumps(found).encode(), {})

    def _answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        there = self.vendor
        told = {"content-type": "application/json", "content-length": str(len(body))}
        if there.rate is not None:
            told |= {
                "X-RateLimit-Limit": str(there.rate[0]),
                "X-RateLimit-Remaining": str(there.rate[1]),
                "X-RateLimit-Reset": stamp(there.now + timedelta(seconds=90)),
            }
        self.send_response(code)
        for name, value in {**told, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


def _page(records: list[dict[str, Any]], query: dict[str, list[str]], usual: int) -> list[dict[str, Any]]:
    """As Mastodon pages: newest first, those next after `min_id` or the newest before `max_id`."""
    limit = int(query.get("limit", [str(usual)])[0])
    records = sorted(records, key=lambda each: _order(each["id"]))
    if "max_id" in query:
        records = [each for each in records if _order(each["id"]) < _order(query["max_id"][0])]
    if "min_id" in query:
        records = [each for each in records if _order(each["id"]) > _order(query["min_id"][0])]
        return records[:limit][::-1]
    return records[::-1][:limit]


def _order(record_id: str) -> tuple[int, str]:
    return len(record_id), record_id
