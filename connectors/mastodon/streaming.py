"""Mastodon's streams: what happens, as it happens.

Server-sent events over HTTP (https://docs.joinmastodon.org/methods/streaming/,
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation). One thread reads
each stream; whoever wants the events takes them from one queue.
"""

from __future__ import annotations

import codecs
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mastodon import StreamListener

from connectors.base import ConnectorError, RetryLater
from connectors.mastodon.client import Client

_MAX_EVENT = 2_000_000
_WAITING = 1_000
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream of a hashtag, or (`tag` None) of our own; `data` is JSON as it came."""

    tag: str | None
    kind: str
    data: str


def events(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """The kind and data of each event, however it was cut into chunks. Comments say only that all is well.

    Raises: RetryLater for an event that never ends.
    """
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    data: list[str] = []
    rest, kind, size = "", "", 0
    for chunk in chunks:
        rest += decode(chunk)
        *lines, rest = rest.split("\n")
        for line in lines:
            name, _, value = line.removesuffix("\r").partition(":")
            value = value.removeprefix(" ")
            if not line.removesuffix("\r"):
                if kind and data:
                    yield kind, "\n".join(data)
                kind, data, size = "", [], 0
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
                size += len(value)
        if len(rest) + size > _MAX_EVENT:
            raise RetryLater("The stream sent an event too long to be one.")


class Lines:
    """Open streams, one for our own events (`tags` holds None) and one for each hashtag.

    Used in a `with`; all are closed at its end, at once.
    """

    def __init__(self, connect: Callable[[], Client], tags: Sequence[str | None]) -> None:
        self._queue: queue.Queue[Event | ConnectorError | None] = queue.Queue(_WAITING)
        self._closed = threading.Event()
        self._listeners = [_Listener(tag, self._put) for tag in tags]
        self._threads = [
            threading.Thread(target=self._listen, args=(connect, listener), daemon=True)
            for listener in self._listeners
        ]

    @property
    def open(self) -> bool:
        """Whether the server has answered on every line."""
        return all(listener.response is not None for listener in self._listeners)

    def next(self, timeout_seconds: float) -> Event | None:
        """What came next; None after a while without anything. Raises: RetryLater, AuthExpired, BadPayload
        once a line is lost."""
        try:
            found = self._queue.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        if isinstance(found, ConnectorError):
            raise found
        return found

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for listener in self._listeners:
            listener.hang_up()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)

    def _listen(self, connect: Callable[[], Client], listener: _Listener) -> None:
        try:
            connect().listen(listener.tag, listener)
        except ConnectorError as error:
            self._put(error)

    def _put(self, what: Event | ConnectorError | None) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(what, timeout=0.25)
                return


class _Listener(StreamListener):
    """Reads a stream itself: the library takes it byte by byte, and casts what it holds."""

    def __init__(self, tag: str | None, put: Callable[[Event | None], None]) -> None:
        self.tag = tag
        self.response: Any = None
        self._put = put

    def handle_stream(self, response: Any) -> None:
        self.response = response
        self._put(None)  # wakes whoever waits for the line to be open
        # Without chunks there is no telling where a piece ends, so that it would be waited for.
        size = None if getattr(response.raw, "chunked", False) else 1
        for kind, data in events(response.iter_content(size)):
            self._put(Event(self.tag, kind, data))

    def hang_up(self) -> None:
        if self.response is not None:
            # Closing alone leaves a thread that reads where it is; only a shutdown wakes it.
            with contextlib.suppress(Exception):
                self.response.raw.shutdown()
