"""The filtered stream: rules that follow the settings, posts as they come, and every way to lose the line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.base import AuthExpired, BadPayload, Batch, Deleted, InboundMessage, Rejected, RetryLater
from connectors.x.connector import XConnector
from connectors.x.settings import XConfig
from tests.connectors.x.answers import Answer, error
from tests.connectors.x.standin import BEARER, KEYS, StandIn
from tests.connectors.x.world import connector
from tests.servers import wait_until

FIXTURES = Path(__file__).parent / "fixtures"


def line(name: str, **changed: Any) -> bytes:
    """A fixture on one line."""
    found = json.loads((FIXTURES / f"{name}.json").read_text())
    found["data"] |= changed
    return json.dumps(found).encode()


def opened(x: StandIn, **config: Any) -> Iterator[Batch]:
    """The stream, after its first batch, which says that the line is open."""
    batches = connector(x, **config).stream(None, lambda: False)
    first = next(batches)
    assert first == Batch(())
    return batches


def until_items(batches: Iterator[Batch]) -> Batch:
    """The next batch with something in it."""
    return next(batch for batch in batches if batch.items)


def test_posts_come_as_they_are_made(x: StandIn) -> None:
    batches = opened(x, searches=["acme parcels"])
    x.lines.put(line("post_mention"))
    batch = until_items(batches)
    [message] = batch.items
    assert isinstance(message, InboundMessage)
    assert message.addressed
    assert batch.cursor is None
    x.lines.put(line("post_overheard"))
    [overheard] = until_items(batches).items
    assert isinstance(overheard, InboundMessage)
    assert not overheard.addressed
    batches.close()  # type: ignore[attr-defined]


def test_what_cannot_be_read_is_rejected_and_the_rest_goes_on(x: StandIn) -> None:
    x.check = False
    batches = opened(x)
    x.lines.put(b"half a li")
    x.lines.put(line("post_mention", lang=7))
    x.lines.put(line("post_withheld_elsewhere", withheld={"copyright": True, "country_codes": ["XX"]}))
    x.lines.put(line("post_mention"))
    found = [until_items(batches).items[0] for _ in range(4)]
    assert [type(item) for item in found] == [Rejected, Rejected, Deleted, InboundMessage]
    batches.close()  # type: ignore[attr-defined]


def test_silence_is_told_and_ends_at_a_word(x: StandIn) -> None:
    stopped: list[bool] = []
    batches = connector(x).stream(None, lambda: bool(stopped))
    assert [next(batches).items for _ in range(3)] == [(), (), ()]
    stopped.append(True)
    begin = time.monotonic()
    assert list(batches) == []
    assert time.monotonic() - begin < 5


def test_a_line_that_is_silent_is_left_at_once(x: StandIn) -> None:
    x.keep_alive_seconds = 600
    batches = opened(x)
    begin = time.monotonic()
    batches.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < 5


def test_the_rules_follow_the_settings(x: StandIn) -> None:
    x.rules = [
        {"id": "1", "value": "cats", "tag": "somebody else"},
        {"id": "2", "value": "no tag at all"},
        {"id": "3", "value": "gone", "tag": "cem-hub:gone"},
        {"id": "4", "value": "@old_handle -is:retweet", "tag": "cem-hub:mentions"},
        {"id": "5", "value": "another channel", "tag": "cem-hub-2:mentions"},
    ]
    opened(x, searches=["vans", "trucks"]).close()  # type: ignore[attr-defined]
    kept = {rule["id"] for rule in x.rules}
    assert {"1", "2", "5"} < kept
    assert not {"3", "4"} & kept
    ours = [rule for rule in x.rules if rule.get("tag", "").startswith("cem-hub:")]
    assert sorted(rule["value"] for rule in ours) == [
        "(trucks) -is:retweet",
        "(vans) -is:retweet",
        "@acmeparcels -is:retweet",
    ]
    assert all(rule["tag"] for rule in ours)
    changes = len(x.asked("POST /2/tweets/search/stream/rules"))
    opened(x, searches=["trucks", "vans"]).close()  # type: ignore[attr-defined]
    assert len(x.asked("POST /2/tweets/search/stream/rules")) == changes
    opened(x, searches=["trucks"], mentions=False).close()  # type: ignore[attr-defined]
    left = [rule["value"] for rule in x.rules if rule.get("tag", "").startswith("cem-hub:")]
    assert left == ["(trucks) -is:retweet"]


def test_a_rule_that_x_does_not_take_is_told(x: StandIn) -> None:
    with pytest.raises(BadPayload, match="Missing '\\)'"):
        next(connector(x, searches=["vans ("]).stream(None, lambda: False))


def test_the_line_is_lost_when_x_ends_it(x: StandIn) -> None:
    batches = opened(x)
    x.lines.put(None)
    with pytest.raises(RetryLater):
        list(batches)
    assert x.streams == 1


def test_x_says_why_it_ends_the_line(x: StandIn) -> None:
    batches = opened(x)
    problem = {
        "title": "operational-disconnect",
        "disconnect_type": "UpstreamOperationalDisconnect",
        "detail": "This stream has been disconnected upstream for operational reasons.",
        "type": "https://api.twitter.com/2/problems/operational-disconnect",
    }
    x.lines.put(json.dumps({"errors": [problem]}).encode())
    with pytest.raises(RetryLater, match="operational reasons"):
        list(batches)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            error(
                429,
                "https://api.twitter.com/2/problems/streaming-connection",
                "ConnectionException",
                "This stream is at the maximum allowed connection limit.",
                connection_issue="TooManyConnections",
            ),
            RetryLater,
        ),
        (error(401, "about:blank", "Unauthorized", "Unauthorized"), AuthExpired),
        (
            error(
                403,
                "https://api.twitter.com/2/problems/client-forbidden",
                "No",
                "Not enrolled.",
                reason="client-not-enrolled",
            ),
            AuthExpired,
        ),
        (error(403, "about:blank", "Forbidden", "Not on this plan."), BadPayload),
        (error(503, "about:blank", "Over capacity", "Over capacity."), RetryLater),
        (Answer(cut="before"), RetryLater),
    ],
)
def test_a_line_that_does_not_open_says_what_to_do(
    x: StandIn, answer: Answer, expected: type[Exception]
) -> None:
    reader = connector(x)
    for rules_kept in (False, True):
        if rules_kept:
            x.rules = [{"id": "4", "value": "@acmeparcels -is:retweet", "tag": "cem-hub:mentions"}]
        # The first request whose path ends so is that of the line itself.
        x.next_answer("GET /2/tweets/search/stream", Answer(body={"meta": {"sent": "2026-03-02"}}))
        x.next_answer("GET /2/tweets/search/stream", answer)
        with pytest.raises(expected):
            list(reader.stream(None, lambda: False))
        x.now = x.now.replace(hour=x.now.hour + 1)
        x.answers.clear()


def test_what_is_needed_to_listen() -> None:
    def listens(**config: Any) -> bool:
        return XConnector(XConfig.model_validate(config)).streams

    assert listens(**KEYS, bearer_token=BEARER)
    assert listens(bearer_token=BEARER, searches=["vans"])
    assert not listens(bearer_token=BEARER)
    assert not listens(**KEYS)
    assert not listens(**KEYS, bearer_token=BEARER, stream=False)
    assert not listens(**KEYS, bearer_token=BEARER, mentions=False)


def test_posts_come_within_two_seconds(x: StandIn) -> None:
    batches = opened(x)
    waited = []
    for number in range(40):
        begin = time.monotonic()
        x.lines.put(line("post_mention", id=str(2028400000000001000 + number)))
        until_items(batches)
        waited.append(time.monotonic() - begin)
    batches.close()  # type: ignore[attr-defined]
    assert sorted(waited)[37] < 2


def test_the_stream_is_left_when_nobody_listens(x: StandIn) -> None:
    x.keep_alive_seconds = 0.01
    opened(x).close()  # type: ignore[attr-defined]
    wait_until(lambda: not x.listening, deadline_seconds=10, what="hanging up")
