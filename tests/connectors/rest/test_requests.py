"""Requests: paging in each of its kinds, the vendor's limits, errors by what to do, and secrets kept."""

from __future__ import annotations

import hashlib
import hmac
import logging
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import (
    AuthExpired,
    BadPayload,
    BadSignature,
    Connector,
    ConnectorError,
    Deleted,
    Delivery,
    InboundMessage,
    OutcomeUnknown,
    Refused,
    Rejected,
    RetryLater,
)
from connectors.rest.connector import RestConfig, RestConnector
from connectors.testing import reply
from tests.connectors.rest.standin import HOME_KEY, Asked, Homemade, Json, Told, Tracker, running
from tests.connectors.rest.test_contract import NOW, items_of, open_rest, without
from tests.servers import free_port

SECRET = "k3y-in-the-address"


@dataclass
class Plain(Tracker):
    """A list, paged as `paging` says; everything is on it always."""

    paging: str = "none"
    rows: list[Json] = field(default_factory=list)
    elsewhere: str = ""

    def answer(self, asked: Asked) -> Told:
        if self.paging == "page":
            number = int(asked.query["page"])
            return Told(200, {"rows": self.rows[2 * number - 2 : 2 * number]})
        start = int(asked.query.get("offset", 0))
        page, end = self.rows[start : start + 2], start + 2
        link = f"{self.elsewhere or self.url}/rows?offset={end}" if end < len(self.rows) else None
        if self.paging == "link_header":
            return Told(200, {"rows": page}, {"link": f'<{link}>; rel="next"'} if link else {})
        if self.paging == "link":
            return Told(200, {"rows": page, "next": link})
        return Told(200, {"rows": page if self.paging == "offset" else self.rows})


def plain(kind: str) -> dict[str, Any]:
    paging: dict[str, Any] = {"type": kind.removesuffix("_header")}
    if kind == "link":
        paging["next"] = "next"
    if kind in ("page", "offset"):
        paging["size"] = 2
    message = {"id": "id", "text": "text", "author": {"handle": "who"}}
    return {
        "name": "Plain",
        "base_url": "https://plain.example",
        "tickets": {
            "path": "/rows",
            "params": {kind: f"{{{kind}}}"} if kind in ("page", "offset") else {},
            "items": "rows",
            "paging": paging,
            "id": "id",
            "message": message,
        },
    }


def row(number: int) -> Json:
    return {"id": number, "text": f"words {number}", "who": "mara"}


@pytest.fixture
def home() -> Iterator[Homemade]:
    with running(Homemade()) as tracker:
        yield tracker


def open_home(tracker: Homemade, **more: Any) -> RestConnector:
    settings = {"base_url": tracker.url, "token": HOME_KEY, "webhook_secret": "hush", **more}
    return open_rest(settings.pop("source", "homemade"), **settings)


def ids(connector: Connector, cursor: Any = None) -> list[str]:
    return [item.external_id for item in items_of(connector, cursor) if isinstance(item, InboundMessage)]


@pytest.mark.parametrize("kind", ["none", "page", "offset", "link", "link_header"])
@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
def test_every_kind_of_paging_brings_everything_once(kind: str, count: int) -> None:
    with running(Plain(paging=kind, rows=[row(number) for number in range(count)])) as tracker:
        connector = open_rest(plain(kind), base_url=tracker.url)
        batches = list(connector.fetch(None))
        assert [
            item.text for batch in batches for item in batch.items if isinstance(item, InboundMessage)
        ] == [f"words {number}" for number in range(count)]
        # Without a time to ask from, the next round reads all of it again.
        assert batches[-1].cursor is not None
        assert len(ids(connector, batches[-1].cursor)) == count


def test_a_next_page_on_another_server_is_not_asked() -> None:
    with running(
        Plain(paging="link", rows=[row(1), row(2), row(3)], elsewhere="http://127.0.0.2")
    ) as tracker:
        with pytest.raises(BadPayload, match=r"127\.0\.0\.2, which is not asked"):
            items_of(open_rest(plain("link"), base_url=tracker.url))
        assert len(tracker.asked) == 1


def test_a_redirect_is_not_followed() -> None:
    elsewhere = Told(302, headers={"location": "http://127.0.0.2/"})
    with running(Plain(instead=[elsewhere])) as tracker, pytest.raises(BadPayload, match="HTTP 302"):
        items_of(open_rest(plain("none"), base_url=tracker.url))


@pytest.mark.parametrize(
    ("told", "error", "after"),
    [
        (Told(429, headers={"retry-after": "17"}), RetryLater, 17.0),
        (Told(503, headers={"retry-after": "Mon, 02 Mar 2026 12:01:00 GMT"}), RetryLater, 60.0),
        (Told(500), RetryLater, None),
        (Told(408), RetryLater, None),
        (Told(401), AuthExpired, None),
        (Told(403), AuthExpired, None),
        (Told(404), BadPayload, None),
        (Told(200, raw=b"<html>"), BadPayload, None),
        (Told(200, {"tickets": None}), BadPayload, None),
        (Told(200, {"tickets": {}}), BadPayload, None),
    ],
)
def test_a_reading_error_says_what_to_do(
    home: Homemade, told: Told, error: type[ConnectorError], after: float | None
) -> None:
    home.instead = [told]
    with pytest.raises(error) as raised:
        items_of(open_home(home))
    assert getattr(raised.value, "after_seconds", None) == after


@pytest.mark.parametrize(
    ("status", "with_key", "without_key"),
    [
        (400, Refused, Refused),
        (401, AuthExpired, AuthExpired),
        (409, Refused, Refused),
        (429, RetryLater, RetryLater),
        (500, RetryLater, OutcomeUnknown),
        (503, RetryLater, RetryLater),
        (504, RetryLater, OutcomeUnknown),
    ],
)
def test_a_sending_error_says_what_to_do(
    home: Homemade, status: int, with_key: type[ConnectorError], without_key: type[ConnectorError]
) -> None:
    keyless = without("find")
    keyless["reply"] = {name: each for name, each in keyless["reply"].items() if name != "idempotency_header"}
    for source, error in (("homemade", with_key), (keyless, without_key)):
        home.instead = [Told(status)]
        with pytest.raises(error):
            open_home(home, source=source).send(reply())


def test_after_a_cut_the_reply_is_looked_for(home: Homemade) -> None:
    connector = open_home(home)
    home.cut = True
    with pytest.raises(OutcomeUnknown, match="broke after"):
        connector.send(reply())
    with pytest.raises(OutcomeUnknown, match="cannot be looked for"):
        connector.find_sent(reply())
    home.cut = False
    found = connector.find_sent(reply())
    assert found is not None
    assert found.external_id == "r-1"
    assert connector.find_sent(reply("another")) is None


def test_what_cannot_be_sent_is_refused_before_anybody_is_asked(home: Homemade) -> None:
    connector = open_home(home)
    message = reply()
    for wrong in (
        {"text": "x" * 10_001},
        {"thread_key": None},
        {"thread_key": ".."},
        {"idempotency_key": "two\nlines"},
    ):
        with pytest.raises(Refused):
            connector.send(type(message)(**{**_fields(message), **wrong}))
    assert home.asked == []


def _fields(message: Any) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__slots__}


def test_what_is_left_is_shown_and_kept_for_replies(home: Homemade) -> None:
    home.tickets = [{"number": n, "changed_at": f"2026-03-02T10:0{n}:00Z", "messages": []} for n in range(5)]
    source = without("none")
    source["limits"]["reserve"] = 3
    connector = open_home(home, source=source)
    ends = int((NOW + timedelta(seconds=40)).timestamp())
    home.headers = {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "9", "x-ratelimit-reset": str(ends)}
    connector.check()
    [budget] = connector.budgets()
    assert (budget.limit, budget.remaining) == (50, 9)
    assert budget.resets_at == NOW + timedelta(seconds=40)
    home.headers["x-ratelimit-remaining"] = "3"
    connector.check()
    before = len(home.asked)
    with pytest.raises(RetryLater) as told:
        items_of(connector)
    assert told.value.after_seconds == 40.0
    assert len(home.asked) == before
    assert connector.send(reply()).external_id == "r-1"


def test_a_place_that_the_vendor_forgot_is_begun_anew(home: Homemade) -> None:
    message = {"id": "m", "text": "words", "from": {"kind": "customer", "nick": "mara"}}
    home.tickets = [
        {"number": n, "changed_at": f"2026-03-02T10:0{n}:00Z", "messages": [{**message, "id": f"m-{n}"}]}
        for n in range(5)
    ]
    connector = open_home(home)
    batches = list(connector.fetch(None))
    assert ids(connector, batches[2].cursor) == ["m-3", "m-4"]
    home.instead = [Told(410)]
    assert ids(connector, batches[2].cursor) == [f"m-{n}" for n in range(5)]
    with pytest.raises(BadPayload, match="not one of this connector"):
        items_of(connector, {"other": 1})


def test_what_was_taken_back_is_told(home: Homemade) -> None:
    gone = {"id": "m-1", "text": "words", "from": {}, "removed": True}
    home.tickets = [{"number": 1, "changed_at": "2026-03-02T10:00:00Z", "messages": [gone]}]
    assert items_of(open_home(home)) == [Deleted("m-1")]


def test_what_no_person_wrote_is_marked_both_ways(home: Homemade) -> None:
    said = [
        {
            "id": kind,
            "text": "words",
            "from": {"kind": kind, "nick": "mara"},
            "written_at": "2026-03-02T09:00:00Z",
        }
        for kind in ("customer", "machine")
    ]
    home.tickets = [{"number": 1, "changed_at": "2026-03-02T10:00:00Z", "messages": said}]
    connector = open_home(home)
    found = [item for item in items_of(connector) if isinstance(item, InboundMessage)]
    assert [(each.incoming, each.automatic) for each in found] == [(True, False), (False, True)]
    for key, automatic in (("by-a-person", False), ("by-itself", True)):
        connector.send(replace(reply(key), automatic=automatic))
        assert home.taken[key]["automatic"] is automatic


def test_an_expression_that_fails_on_one_record_rejects_that_one(home: Homemade) -> None:
    source = without("none")
    source["tickets"]["comments"]["message"]["where"] = "starts_with(text, 'w')"
    message = {"from": {"kind": "customer", "nick": "mara"}}
    home.tickets = [
        {
            "number": 1,
            "changed_at": "2026-03-02T10:00:00Z",
            "messages": [{**message, "id": "a", "text": 7}, {**message, "id": "b", "text": "words"}],
        }
    ]
    bad, good = items_of(open_home(home, source=source))
    assert isinstance(bad, Rejected)
    assert bad.reason == "bad_expression"
    assert isinstance(good, InboundMessage)


@pytest.mark.parametrize("kind", ["bearer", "basic", "header", "query"])
def test_credentials_reach_the_vendor_and_nobody_else(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = {**plain("none"), "auth": {"type": kind, "name": "X-Key", "prefix": "Token "}}
    sent = {
        "bearer": ("authorization", f"Bearer {SECRET}"),
        "basic": ("authorization", f"Basic {b64encode(f'{SECRET}:{SECRET}'.encode()).decode()}"),
        "header": ("x-key", f"Token {SECRET}"),
    }
    secrets = {"token": SECRET, "username": SECRET, "password": SECRET}
    with running(Plain(rows=[row(1)])) as tracker:
        connector = open_rest(source, base_url=tracker.url, **secrets)
        items_of(connector)
        if kind == "query":
            assert tracker.asked[-1].query == {"X-Key": SECRET}
        else:
            name, value = sent[kind]
            assert tracker.asked[-1].headers[name] == value
        tracker.instead = [Told(404)]
        with pytest.raises(BadPayload) as refused:
            items_of(connector)
    with pytest.raises(RetryLater) as away:
        items_of(open_rest(source, base_url=f"http://127.0.0.1:{free_port()}", **secrets))
    assert SECRET not in f"{caplog.text}{refused.value!r}{away.value!r}{connector!r}"


def signed(
    body: bytes, *, at: int | None = None, secret: str = "hush", more: dict[str, str] | None = None
) -> Delivery:
    stamp = str(int(NOW.timestamp()) if at is None else at)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Signature": f"v1={digest}", "X-Timestamp": stamp, "X-Delivery": "d-7", **(more or {})}
    return Delivery(headers, body, NOW)


def test_a_signed_push_is_taken_and_known_by_its_id(home: Homemade) -> None:
    connector = open_home(home)
    message = {"id": "m-1", "text": "words", "from": {"kind": "customer", "nick": "mara"}}
    delivery = signed(
        b'{"tickets": [{"number": 7, "messages": [%s]}]}' % str(message).replace("'", '"').encode()
    )
    assert connector.verify(delivery) == "d-7"
    [item] = connector.receive(delivery).items
    assert isinstance(item, InboundMessage)
    assert (item.external_id, item.thread_key) == ("m-1", "7")
    unnamed = signed(b"{}", more={"X-Delivery": ""})
    assert connector.verify(unnamed).startswith("sha256:")
    with pytest.raises(BadPayload, match="not JSON"):
        connector.receive(signed(b"{"))


@pytest.mark.parametrize(
    "delivery",
    [
        signed(b"{}", secret="another"),
        signed(b"{}", at=int(NOW.timestamp()) - 301),
        signed(b"{}", at=int(NOW.timestamp()) + 301),
        signed(b"{}", more={"X-Timestamp": "soon"}),
        signed(b"{}", more={"X-Timestamp": "²"}),
        signed(b"{}", more={"X-Signature": ""}),
        signed(b"{}", more={"X-Signature": "v1=ü"}),
        Delivery({}, b"{}", NOW),
        Delivery(signed(b"{}").headers, b"{} ", NOW),
    ],
)
def test_a_push_that_is_not_signed_right_is_refused(home: Homemade, delivery: Delivery) -> None:
    with pytest.raises(BadSignature):
        open_home(home).verify(delivery)


def test_without_a_secret_or_a_rule_nothing_pushed_is_taken(home: Homemade) -> None:
    with pytest.raises(BadSignature, match="no webhook_secret"):
        open_home(home, webhook_secret=None).verify(signed(b"{}"))
    with pytest.raises(BadSignature, match="says nothing"):
        open_home(home, source=without("push")).verify(signed(b"{}"))


def test_a_description_without_tickets_does_not_fetch(home: Homemade) -> None:
    source = without("tickets")
    source["push"] = {
        **{name: each for name, each in source["push"].items() if name != "tickets"},
        "items": "notes",
        "message": {"id": "id", "text": "text", "author": {"handle": "who"}, "thread": "case"},
    }
    source["reply"]["body"].pop("language")
    connector = open_home(home, source=source)
    assert not connector.fetches
    assert not connector.backfills
    assert list(connector.fetch(None)) == []
    delivery = signed(b'{"notes": [{"id": 1, "text": "words", "who": "mara", "case": 9}, 3]}')
    good, bad = connector.receive(delivery).items
    assert isinstance(good, InboundMessage)
    assert (good.external_id, good.thread_key) == ("1", "9")
    assert isinstance(bad, Rejected)
    assert bad.reason == "not_an_object"


def test_settings_say_what_they_mean() -> None:
    assert all(each.description for each in RestConfig.model_fields.values())
