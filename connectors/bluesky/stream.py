"""The network's posts as they are written, over a websocket: Jetstream in both its forms, or a firehose.

- `jetstream`: network.bsky.jetstream.subscribeEvents, in JSON (https://github.com/bluesky-social/jetstream)
- `jetstream-v1`: its older `/subscribe`, in JSON too
- `firehose`: com.atproto.sync.subscribeRepos, in DAG-CBOR and CAR (https://atproto.com/specs/sync), as every
  relay and every personal data server speaks it
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from atproto_core.car import CAR
from atproto_core.cid import CID
from atproto_core.exceptions import AtProtocolError
from atproto_subscription.frames import ErrorFrame, Frame
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from connectors.base import BadPayload, RetryLater
from connectors.bluesky.parse import POSTS

StreamFormat = Literal["jetstream", "jetstream-v1", "firehose"]
URLS: Mapping[StreamFormat, str] = {
    "jetstream": "wss://jetstream.us-east.bsky.network/xrpc/network.bsky.jetstream.subscribeEvents",
    "jetstream-v1": "wss://jetstream2.us-east.bsky.network/subscribe",
    "firehose": "wss://bsky.network/xrpc/com.atproto.sync.subscribeRepos",
}
_MAX_FRAME_BYTES = 16 << 20
_MOST_AT_ONCE = 200
# Who only deactivated an account may come back, with all posts.
_GONE = {"deleted", "takendown", "suspended"}


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody `created` a post or `deleted` one, or is `gone` with all of theirs (`key` is then empty)."""

    kind: Literal["created", "deleted", "gone"]
    did: str
    key: str
    at: datetime | None
    cid: str = ""
    record: Mapping[str, Any] | None = None

    @property
    def uri(self) -> str:
        return f"at://{self.did}/{POSTS}/{self.key}"


class Line:
    """An open stream."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def read(self, timeout_seconds: float) -> list[Event]:
        """What comes next and what came with it; nothing where nothing comes in time. Raises: RetryLater."""
        found: list[Event] = []
        try:
            found += events(self._connection.recv(timeout=timeout_seconds))
            for _ in range(_MOST_AT_ONCE):
                found += events(self._connection.recv(timeout=0))
        except TimeoutError:
            pass
        except (WebSocketException, OSError) as error:
            if not found:
                raise RetryLater(f"The stream broke: {error}") from error
        return found


@contextmanager
def opened(
    url: str, stream_format: StreamFormat, since: datetime | None, timeout_seconds: float
) -> Iterator[Line]:
    """The stream from now on; Jetstream, which knows times, begins at `since`.

    Raises: RetryLater, BadPayload.
    """
    since_us = None if since is None else int(since.timestamp() * 1_000_000)
    params: dict[str, Any] = {}
    if stream_format == "jetstream":
        params = {"collections": POSTS, "kinds": ["commit", "account"], "cursor": since_us}
    elif stream_format == "jetstream-v1":
        params = {"wantedCollections": POSTS, "cursor": since_us}
    query = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
    try:
        connection = connect(
            f"{url}?{query}" if query else url,
            open_timeout=timeout_seconds,
            close_timeout=1,
            max_size=_MAX_FRAME_BYTES,
            subprotocols=[Subprotocol("xrpc.v1.json")] if stream_format == "jetstream" else None,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if 400 <= status < 500 and status != 429:
            raise BadPayload(
                f"The stream answered HTTP {status}; see stream_url and stream_format."
            ) from error
        raise RetryLater(f"The stream answered HTTP {status}.", status=status) from error
    except (WebSocketException, OSError) as error:
        raise RetryLater(f"The stream cannot be opened: {error}") from error
    with connection:
        yield Line(connection)


def events(frame: str | bytes) -> list[Event]:
    """The posts of one frame of any of the three. What cannot be read is left aside: the stream goes on, and
    fetching brings what concerns us. Raises: RetryLater where the frame says that the stream ends."""
    try:
        found = _of_firehose(frame) if isinstance(frame, bytes) else _of_jetstream(json.loads(frame))
        return [event for event in found if event.did]
    except (AtProtocolError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []


def _of_jetstream(frame: Mapping[str, Any]) -> Iterator[Event]:
    if frame.get("$type") == "error":
        raise RetryLater(f"The stream ends: {str(frame.get('error'))[:100]}")
    told = frame.get("payload")
    if isinstance(told, Mapping):  # subscribeEvents: everything side by side
        kind = str(told.get("$type")).rpartition("#")[2]
        commit, at = told, _time(told.get("time"))
    else:  # /subscribe: what was done in a part of its own
        told, kind = frame, str(frame.get("kind"))
        commit, at = frame.get("commit") or {}, _microseconds(frame.get("time_us"))
    did = str(told.get("did") or "")
    if kind == "account":
        yield from _account(did, told.get("account") or {}, at)
    elif kind == "commit" and commit.get("collection") == POSTS:
        key, record = str(commit["rkey"]), commit.get("record")
        if commit.get("operation") == "delete":
            yield Event("deleted", did, key, at)
        elif commit.get("operation") == "create" and isinstance(record, Mapping):
            yield Event("created", did, key, at, str(commit["cid"]), record)


def _of_firehose(frame: bytes) -> Iterator[Event]:
    read = Frame.from_bytes(frame)
    if isinstance(read, ErrorFrame):
        raise RetryLater(f"The stream ends: {read.body.error[:100]}")
    body, at = read.body, _time(read.body.get("time"))
    if read.type == "#account":
        yield from _account(str(body["did"]), body, at)
    if read.type != "#commit":
        return
    posts = [each for each in body["ops"] if each["path"].startswith(f"{POSTS}/")]
    blocks: Mapping[CID, Any] | None = None
    for each in posts:
        did, key = str(body["repo"]), each["path"].partition("/")[2]
        if each["action"] == "delete":
            yield Event("deleted", did, key, at)
        elif each["action"] == "create":
            blocks = CAR.from_bytes(bytes(body["blocks"])).blocks if blocks is None else blocks
            cid = CID.decode(each["cid"])
            record = blocks.get(cid)
            if isinstance(record, Mapping):
                yield Event("created", did, key, at, str(cid), _as_json(record))


def _account(did: str, told: Mapping[str, Any], at: datetime | None) -> Iterator[Event]:
    if told.get("active") is False and told.get("status") in _GONE:
        yield Event("gone", did, "", at)


def _as_json(value: Any) -> Any:
    """A record as JSON has it: a link to another block is `{"$link": cid}`."""
    if isinstance(value, Mapping):
        return {name: _as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if not isinstance(value, bytes):
        return value
    try:
        return {"$link": str(CID.decode(value))}
    except ValueError:
        return None  # bytes that are no link; nothing of a post that is read here has any


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _microseconds(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(value / 1_000_000, UTC) if isinstance(value, int) else None
    except (ValueError, OverflowError, OSError):
        return None
