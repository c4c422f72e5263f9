"""What comes at once, and lines that break."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import (
    AuthExpired,
    Batch,
    ConnectorError,
    Deleted,
    Edited,
    InboundMessage,
    Item,
    Rejected,
    RetryLater,
)
from connectors.mastodon import connector as module
from connectors.mastodon.connector import MastodonConnector
from connectors.mastodon.streaming import events
from tests.connectors.mastodon.conftest import open_mastodon
from tests.connectors.mastodon.standin import Misbehaviour, StandIn
from tests.servers import wait_until


class Listening:
    """A connector's stream, taken by a thread of its own."""

    def __init__(self, connector: MastodonConnector) -> None:
        self.batches: list[Batch] = []
        self.error: ConnectorError | None = None
        self._stop = threading.Event()
        self._connector = connector
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            for batch in self._connector.stream(None, self._stop.is_set):
                self.batches.append(batch)
        except ConnectorError as error:
            self.error = error

    @property
    def items(self) -> list[Item]:
        return [item for batch in list(self.batches) for item in batch.items]

    def stop(self) -> None:
        self._stop.set()
        self.thread.join(10)


@contextmanager
def listening(there: StandIn, lines: int, **config: Any) -> Iterator[Listening]:
    """A stream that is open on so many lines."""
    heard = Listening(open_mastodon(there, **config))
    try:
        wait_until(lambda: heard.batches or heard.error, what="the stream's opening")
        wait_until(lambda: len(there.streams) == lines or heard.error, what="all lines")
        yield heard
    finally:
        heard.stop()
        assert not heard.thread.is_alive()


def test_what_happens_is_told_at_once(there: StandIn) -> None:
    with listening(there, 2, hashtags=["acme"]) as heard:
        assert heard.items == []
        asked = there.address("<p>Where is it?</p>")
        wait_until(lambda: len(heard.items) == 1)
        there.write("<p>overheard</p>", tags=("acme",))
        wait_until(lambda: len(heard.items) == 2)
        there.change(asked["id"], "<p>Where is it, please?</p>")
        wait_until(lambda: len(heard.items) == 3)
        there.delete(asked["id"])
        wait_until(lambda: len(heard.items) == 4)
    first, second, third, fourth = heard.items
    assert isinstance(first, InboundMessage)
    assert (first.text, first.addressed) == ("Where is it?", True)
    assert isinstance(second, InboundMessage)
    assert (second.text, second.addressed) == ("overheard", False)
    assert third == Edited(asked["id"], "Where is it, please?", edited_at=there.now)
    assert fourth == Deleted(asked["id"])
    assert all(batch.cursor is None for batch in heard.batches)


def test_what_is_none_of_ours_is_left_aside(there: StandIn) -> None:
    with listening(there, 1) as heard:
        followed = there.write("<p>somebody we follow</p>")
        there.push("user", "update", followed)
        ours = there.write("<p>ours</p>", author=there.own)
        there.change(ours["id"], "<p>ours, edited</p>")
        there.push_raw("user", b"event: filters_changed\n\n:thump\n")
        there.push_raw("user", b"event: announcement\ndata: {}\n\n")
        there.push_raw("user", b"event: delete\ndata: ../../etc\n\n")
        there.push_raw("user", b'event: notification\ndata: {"id": "1", "type": "favourite"}\n\n')
        there.address("<p>at last</p>")
        wait_until(lambda: heard.items)
    assert [item.text for item in heard.items if isinstance(item, InboundMessage)] == ["at last"]
    assert len(heard.items) == 1


def test_what_cannot_be_read_is_kept_and_the_line_stays(there: StandIn) -> None:
    with listening(there, 1) as heard:
        there.push_raw("user", b"event: notification\ndata: {no json\n\n")
        there.push_raw("user", b'event: status.update\ndata: {"id": 7}\n\n')
        there.push_raw("user", b'event: notification\ndata: {"id": "1", "type": "mention", "status": {}}\n\n')
        there.address("<p>words</p>")
        wait_until(lambda: len(heard.items) == 4)
    assert [item.reason for item in heard.items if isinstance(item, Rejected)] == [
        "not_json",
        "missing_id",
        "missing_id",
    ]


def test_a_quiet_line_says_that_it_is_there(there: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEARTBEAT_SECONDS", 0.1)
    with listening(there, 1) as heard:
        wait_until(lambda: len(heard.batches) >= 3)
    assert heard.items == []


def test_a_line_that_ends_is_told(there: StandIn) -> None:
    with listening(there, 2, hashtags=["acme"]) as heard:
        there.push_raw("hashtag:acme", None)
        wait_until(lambda: heard.error)
    assert isinstance(heard.error, RetryLater)


def test_an_endless_event_ends_the_line(there: StandIn) -> None:
    with listening(there, 1) as heard:
        for _ in range(3):
            there.push_raw("user", b"data: " + b"x" * 1_000_000)
        wait_until(lambda: heard.error)
    assert isinstance(heard.error, RetryLater)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b'{"error": "The access token is invalid"}', AuthExpired),
        (403, b'{"error": "Access token does not cover required scopes"}', AuthExpired),
        (429, b"", RetryLater),
        (503, b"", RetryLater),
    ],
)
def test_a_line_that_does_not_open_says_why(
    there: StandIn, status: int, body: bytes, error: type[ConnectorError]
) -> None:
    there.wrong = [Misbehaviour("GET /api/v1/streaming", status, body=body)]
    with pytest.raises(error):
        list(open_mastodon(there).stream(None, lambda: False))


def test_streams_only_where_there_is_something_to_hear(there: StandIn) -> None:
    assert open_mastodon(there).streams
    assert not open_mastodon(there, streaming=False).streams
    assert not open_mastodon(there, mentions=False).streams
    assert open_mastodon(there, mentions=False, hashtags=["acme"]).streams


def test_events_are_the_same_however_they_are_cut() -> None:
    stream = 'event: a\ndata: {"grüße": "🙂"}\n\n:thump\r\nevent:b\r\ndata:1\r\ndata: 2\r\n\r\n'
    stream += "event: c\n\ndata: d\n\n"
    whole = [("a", '{"grüße": "🙂"}'), ("b", "1\n2")]
    raw = stream.encode()
    assert list(events([raw])) == whole
    assert list(events([bytes([byte]) for byte in raw])) == whole

    @given(st.lists(st.integers(0, len(raw)), max_size=5))
    def cut(places: list[int]) -> None:
        ends = [0, *sorted(places), len(raw)]
        assert list(events([raw[a:b] for a, b in pairwise(ends)])) == whole

    cut()


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_give_events_or_none(chunks: list[bytes]) -> None:
    for kind, data in events(chunks):
        assert kind
        json.dumps(data)
