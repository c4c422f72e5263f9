"""People with accounts on the local network, who post as any app does."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

PASSWORD = "correct horse battery"
POSTS = "app.bsky.feed.post"


class Person:
    """An account made anew at the server at `url`; `name` becomes its handle, which ends in `.test`."""

    def __init__(self, url: str, name: str) -> None:
        self.handle = f"{name}.test"
        self._http = httpx.Client(
            base_url=f"{url}/xrpc/", timeout=120, limits=httpx.Limits(max_keepalive_connections=0)
        )
        made = self._ask(
            "com.atproto.server.createAccount",
            {"email": f"{name}@example.org", "handle": self.handle, "password": PASSWORD},
        )
        self.did: str = made["did"]
        self._http.headers["authorization"] = f"Bearer {made['accessJwt']}"

    def post(self, text: str, **record: Any) -> dict[str, str]:
        """Write a post; its `uri` and `cid`."""
        told = self._ask(
            "com.atproto.repo.createRecord", {**self._where(), "record": _record(text, **record)}
        )
        return {"uri": told["uri"], "cid": told["cid"]}

    def post_all(self, records: Sequence[dict[str, Any]]) -> list[str]:
        """Write up to 200 posts at once, as an app that brings an archive along does; their addresses."""
        writes = [
            {"$type": "com.atproto.repo.applyWrites#create", "collection": POSTS, "value": record}
            for record in records
        ]
        told = self._ask("com.atproto.repo.applyWrites", {"repo": self.did, "writes": writes})
        return [result["uri"] for result in told["results"]]

    def record(self, uri: str) -> dict[str, Any]:
        """A post of anybody's as the server has it: `uri`, `cid` and `value`."""
        _, _, did, collection, key = uri.split("/")
        params = {"repo": did, "collection": collection, "rkey": key}
        answer = self._http.get("com.atproto.repo.getRecord", params=params).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def sees(self, uri: str) -> bool:
        """Whether the AppView shows a post already."""
        answer = self._http.get("app.bsky.feed.getPosts", params={"uris": uri}).raise_for_status()
        return bool(answer.json()["posts"])

    def delete(self, uri: str) -> None:
        """Take a post back."""
        self._ask("com.atproto.repo.deleteRecord", {**self._where(), "rkey": uri.rpartition("/")[2]})

    def upload(self, content: bytes) -> Any:
        """Store an image, for a post to show."""
        answer = self._http.post(
            "com.atproto.repo.uploadBlob", content=content, headers={"content-type": "image/png"}
        )
        return answer.raise_for_status().json()["blob"]

    def _where(self) -> dict[str, str]:
        return {"repo": self.did, "collection": POSTS}

    def _ask(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(method, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = json.loads(answer.content or b"{}")
        return found


def _record(text: str, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    written = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"$type": POSTS, "text": text, "createdAt": written, **more}


def mentioning(person: Person, text: str, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    """A record whose text begins with the mention of a person."""
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": person.did}
    index = {"byteStart": 0, "byteEnd": len(f"@{person.handle}".encode())}
    return _record(f"@{person.handle} {text}", at, facets=[{"index": index, "features": [feature]}], **more)


def picture(red: int) -> bytes:
    """A PNG of two by two pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((red, 0, 0)) * 2) * 2
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
