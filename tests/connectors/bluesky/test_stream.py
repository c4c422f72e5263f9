"""Streams: what their frames say, what of it concerns the brand, and what happens when a line is lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import libipld
import pytest
from atproto_core.cid import CID
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import BadPayload, Batch, Deleted, InboundMessage, Item, RetryLater
from connectors.bluesky.stream import Event, events
from tests.connectors.bluesky.conftest import connected
from tests.connectors.bluesky.peer import ME, NOW, Peer, mention
from tests.servers import free_port

RECORD = {"$type": "app.bsky.feed.post", "text": "I like Acme  Tea!", "createdAt": "2026-03-02T11:59:59Z"}
MARA, COLLECTION = "did:plc:mara", "app.bsky.feed.post"
AT = datetime(2026, 3, 2, 11, 59, 59, 500_000, tzinfo=UTC)
CREATED = Event("created", MARA, "k1", AT, "bafycid", RECORD)
DELETED, GONE = Event("deleted", MARA, "k1", AT), Event("gone", MARA, "", AT)


def v1(did: str = MARA, **commit: Any) -> str:
    """A frame of Jetstream's `/subscribe`."""
    stamp = int(AT.timestamp() * 1_000_000)
    return json.dumps({"did": did, "time_us": stamp, "kind": "commit", "commit": {**_commit(), **commit}})


def v2(kind: str = "commit", **payload: Any) -> str:
    """A frame of Jetstream's subscribeEvents."""
    told = {"did": MARA, "seq": 7, "time": "2026-03-02T11:59:59.500000Z", **payload}
    kind = f"network.bsky.jetstream.subscribeEvents#{kind}"
    return json.dumps({"$type": "message", "payload": {"$type": kind, **told}})


def firehose(kind: str, body: Mapping[str, Any], op: int = 1) -> bytes:
    """A frame of com.atproto.sync.subscribeRepos."""
    header = {"op": op, "t": kind} if op == 1 else {"op": op}
    encoded: bytes = libipld.encode_dag_cbor(header) + libipld.encode_dag_cbor(dict(body))
    return encoded


def _commit() -> dict[str, Any]:
    return {"operation": "create", "collection": COLLECTION, "rkey": "k1", "cid": "bafycid", "record": RECORD}


def _firehose_commit(action: str) -> bytes:
    block = libipld.encode_dag_cbor(RECORD)
    cid = _cid(block)
    # {"roots": [cid], "version": 1}, with the link as DAG-CBOR has it: tag 42 and a zero before it.
    header = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00" + cid + b"\x67version\x01"
    car = _varint(len(header)) + header + _varint(len(cid) + len(block)) + cid + block
    ops = [
        {"action": action, "path": f"{COLLECTION}/k1", "cid": str(CID.decode(cid))},
        {"action": "create", "path": "app.bsky.feed.like/l1", "cid": str(CID.decode(cid))},
    ]
    stamp = "2026-03-02T11:59:59.500Z"
    return firehose("#commit", {"seq": 3, "repo": MARA, "ops": ops, "blocks": car, "time": stamp})


def _cid(block: bytes) -> bytes:
    return b"\x01\x71\x12\x20" + hashlib.sha256(block).digest()


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _varint(number >> 7)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (v1(), [CREATED]),
        (v2(**_commit()), [CREATED]),
        (v1(operation="delete"), [DELETED]),
        (v2(**{**_commit(), "operation": "delete", "record": None}), [DELETED]),
        (v1(operation="update"), []),
        (v1(collection="app.bsky.feed.like"), []),
        (v1(rkey=None, record="x"), []),
        (v2("account", account={"active": False, "status": "takendown"}), [GONE]),
        (v2("account", account={"active": False, "status": "deactivated"}), []),
        (v2("account", account={"active": True}), []),
        (v2("identity", identity={"handle": "new.example"}), []),
        (json.dumps({"$type": "message", "payload": {"$type": "x#info", "name": "OutdatedCursor"}}), []),
        ("[]", []),
        ("{", []),
        (b"\xff\xff", []),
        (_firehose_commit("delete"), [DELETED]),
        (
            firehose("#account", {"did": MARA, "active": False, "status": "deleted"}),
            [Event("gone", MARA, "", None)],
        ),
        (firehose("#identity", {"did": MARA}), []),
    ],
)
def test_what_a_frame_says(frame: str | bytes, found: list[Event]) -> None:
    assert events(frame) == found


def test_a_firehose_carries_its_records_in_blocks() -> None:
    [event] = events(_firehose_commit("create"))
    assert (event.kind, event.uri, event.at, event.record) == ("created", CREATED.uri, AT, RECORD)
    assert event.cid.startswith("bafyrei")


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps({"$type": "error", "error": "ConsumerTooSlow", "message": "fell behind"}),
        firehose("", {"error": "ConsumerTooSlow"}, op=-1),
    ],
)
def test_a_stream_that_says_it_ends_is_opened_again(frame: str | bytes) -> None:
    with pytest.raises(RetryLater, match="ConsumerTooSlow"):
        events(frame)


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_no_frame_is_too_strange(frame: str | bytes) -> None:
    assert isinstance(events(frame), list)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda each: (
            st.lists(each, max_size=3)
            | st.dictionaries(
                st.sampled_from(["did", "kind", "commit", "payload", "$type", "account", "time", "time_us"]),
                each,
            )
        ),
    )
)
def test_no_json_is_too_strange(told: Any) -> None:
    assert isinstance(events(json.dumps(told)), list)


def listen(peer: Peer, cursor: Any = None, **settings: Any) -> Iterator[Batch]:
    return connected(peer, terms=["acme tea"], **settings).stream(cursor, lambda: False)


def some(batches: Iterator[Batch], count: int) -> list[Item]:
    """The first `count` items."""
    return list(islice((item for batch in batches for item in batch.items), count))


def test_what_concerns_the_brand_is_told(peer: Peer) -> None:
    theirs = {"uri": f"at://{MARA}/{COLLECTION}/k0", "cid": "c"}
    ours = {"uri": f"at://{ME}/{COLLECTION}/k0", "cid": "c"}
    posts: list[tuple[str, str, dict[str, Any]]] = [
        ("k1", MARA, {"text": "I like Acme  Tea!"}),
        ("k2", MARA, {"text": "acme teas and acmetea"}),
        ("k3", MARA, {"text": "no", "reply": {"root": theirs, "parent": theirs}}),
        ("k4", MARA, {"text": "yes", "reply": {"root": ours, "parent": ours}}),
        ("k5", ME, {"text": "we sell acme tea"}),
        ("k6", MARA, {"text": "@brand", **mention()}),
    ]
    for key, did, record in posts:
        peer.frames.put(v1(did, rkey=key, record={**RECORD, **record}))
    batches = listen(peer)
    assert next(batches) == Batch(())
    found = [item for item in some(batches, 3) if isinstance(item, InboundMessage)]
    assert [item.external_id[-2:] for item in found] == ["k1", "k4", "k6"]
    assert [item.addressed for item in found] == [False, True, True]


def test_what_was_told_and_is_deleted_is_told_too(peer: Peer) -> None:
    known = f"at://did:plc:jon/{COLLECTION}/k9"
    batches = listen(peer, {"recent": [known]})
    next(batches)
    peer.frames.put(v1())
    [message] = some(batches, 1)
    peer.frames.put(v1("did:plc:other", operation="delete"))
    peer.frames.put(v1(operation="delete"))
    peer.frames.put(v1("did:plc:jon", rkey="k9", operation="delete"))
    assert some(batches, 2) == [Deleted(f"at://{MARA}/{COLLECTION}/k1", AT), Deleted(known, AT)]
    assert isinstance(message, InboundMessage)


def test_with_an_account_its_posts_are_gone(peer: Peer) -> None:
    known = [f"at://{MARA}/{COLLECTION}/k{number}" for number in range(2)]
    batches = listen(
        peer, {"recent": [*known, f"at://did:plc:jon/{COLLECTION}/k9"]}, stream_format="jetstream-v1"
    )
    next(batches)
    peer.frames.put(v2("account", account={"active": False, "status": "deleted"}))
    assert some(batches, 2) == [Deleted(uri, AT) for uri in known]


@pytest.mark.parametrize(
    ("cursor", "since"),
    [
        (None, None),
        ({"at": (NOW - timedelta(minutes=2)).isoformat()}, NOW - timedelta(minutes=2, seconds=10)),
        ({"at": (NOW - timedelta(days=2)).isoformat()}, NOW - timedelta(hours=1)),
    ],
)
def test_jetstream_repeats_what_came_since_the_last_fetch(
    peer: Peer, cursor: Any, since: datetime | None
) -> None:
    batches = listen(peer, cursor)
    next(batches)
    [asked] = peer.subscribed
    expected = f"&cursor={int(since.timestamp() * 1_000_000)}" if since else ""
    assert asked == f"/subscribe?wantedCollections={COLLECTION}{expected}"


def test_the_newer_jetstream_is_asked_in_its_own_words(peer: Peer) -> None:
    next(listen(peer, stream_format="jetstream"))
    assert peer.subscribed == [f"/subscribe?collections={COLLECTION}&kinds=commit&kinds=account"]


def test_an_empty_batch_says_that_the_line_is_open(peer: Peer) -> None:
    now = [NOW]

    def later() -> datetime:
        now[0] += timedelta(seconds=3)
        return now[0]

    found = connected(peer, clock=later)
    assert [batch.items for batch in islice(found.stream(None, lambda: False), 3)] == [(), (), ()]


def test_it_ends_when_asked_to(peer: Peer) -> None:
    assert list(connected(peer).stream(None, lambda: True)) == [Batch(())]
    off = connected(peer, stream_format="off")
    assert not off.streams
    assert list(off.stream(None, lambda: False)) == []


def _cut(peer: Peer) -> str:
    peer.frames.put(None)
    return peer.stream_url


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (_cut, RetryLater),
        (lambda peer: f"ws://127.0.0.1:{free_port()}/subscribe", RetryLater),
        (lambda peer: peer.url.replace("http", "ws") + "/xrpc/nothing.here", RetryLater),
        (lambda peer: peer.stream_url + "/refused/404", BadPayload),
        (lambda peer: peer.stream_url + "/refused/429", RetryLater),
    ],
)
def test_a_lost_line_is_told(peer: Peer, url: Callable[[Peer], str], error: type[Exception]) -> None:
    with pytest.raises(error):
        list(listen(peer, stream_url=url(peer)))
