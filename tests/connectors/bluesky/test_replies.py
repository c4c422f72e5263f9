"""Replies as they are written, and what becomes of those that are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import (
    Attachment,
    AuthExpired,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
)
from connectors.bluesky.outgoing import record_key
from tests.connectors.bluesky.conftest import connected
from tests.connectors.bluesky.peer import ME, MISSING_RECORD, Peer

PARENT = {"uri": "at://did:plc:mara/app.bsky.feed.post/p1", "cid": "cid-of-p1"}
ROOT = {"uri": f"at://{ME}/app.bsky.feed.post/r1", "cid": "cid-of-r1"}
REPLY = OutboundMessage(
    idempotency_key="reply-1",
    text="Hello @mara.example.com, it left. #parcel",
    author_name="Ana",
    recipient=None,
    in_reply_to=PARENT["uri"],
    answered={**PARENT, "root": ROOT, "languages": ["en"]},
    created_at=datetime(2026, 3, 1, 9, 30, 0, 250_000, tzinfo=UTC),
)


def image(size: int = 100, **more: Any) -> Attachment:
    return Attachment("box.png", "image/png", size, b"x" * size, description="A box", **more)


def test_a_reply_names_parent_root_and_whom_it_mentions(peer: Peer) -> None:
    peer.handles["mara.example.com"] = "did:plc:mara"
    sent = connected(peer).send(REPLY)
    [(key, record)] = peer.records.items()
    assert sent == Sent(f"at://{ME}/app.bsky.feed.post/{key}")
    assert record["reply"] == {"root": ROOT, "parent": PARENT}
    assert record["createdAt"] == "2026-03-01T09:30:00.250Z"
    features = [facet["features"][0] for facet in record["facets"]]
    assert [each.get("did") or each.get("tag") for each in features] == ["did:plc:mara", "parcel"]
    assert "embed" not in record


def test_the_root_of_a_first_post_is_the_post_itself(peer: Peer) -> None:
    connected(peer).send(replace(REPLY, answered=PARENT))
    [record] = peer.records.values()
    assert record["reply"] == {"root": PARENT, "parent": PARENT}


def test_a_post_that_is_only_known_by_name_is_looked_up(peer: Peer) -> None:
    connected(peer).send(replace(REPLY, answered={}))
    [record] = peer.records.values()
    assert record["reply"]["parent"]["uri"] == PARENT["uri"]
    peer.gone.add(PARENT["uri"])
    with pytest.raises(Refused, match="gone"):
        connected(peer).send(replace(REPLY, answered={}, idempotency_key="reply-2"))
    with pytest.raises(Refused, match="not known which"):
        connected(peer).send(replace(REPLY, answered={}, in_reply_to=None))


def test_images_go_along_with_their_descriptions(peer: Peer) -> None:
    connected(peer).send(replace(REPLY, attachments=(image(), image(90))))
    [record] = peer.records.values()
    assert [each["alt"] for each in record["embed"]["images"]] == ["A box", "A box"]
    assert [len(content) for _, content in peer.blobs] == [100, 90]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"attachments": (image(),) * 5}, "at most 4 images"),
        ({"attachments": (image(1_000_001),)}, "1,000,000 bytes"),
        ({"attachments": (Attachment("a.pdf", "application/pdf", 9, b"x"),)}, "a.pdf"),
        ({"attachments": (Attachment("a.png", "image/png", 9, None),)}, "not at hand"),
        ({"text": "🙂" * 301}, "300"),
    ],
)
def test_what_bluesky_does_not_take_is_refused_before_anything_is_sent(
    peer: Peer, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        connected(peer).send(replace(REPLY, **change))
    assert not peer.blobs
    assert not peer.records


def test_sending_again_leaves_what_is_there(peer: Peer) -> None:
    first = connected(peer).send(REPLY)
    assert connected(peer).send(replace(REPLY, text="Something else")) == first
    [record] = peer.records.values()
    assert record["text"] == REPLY.text


def test_after_a_cut_the_server_is_asked(peer: Peer) -> None:
    peer.failures["putRecord"] = [(0, {}, None)]
    with pytest.raises(OutcomeUnknown):
        connected(peer).send(REPLY)
    assert connected(peer).find_sent(REPLY) is None
    sent = connected(peer).send(REPLY)
    assert connected(peer).find_sent(REPLY) == sent


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {}, {"error": "InvalidRequest", "message": "Record/text too long"}), Refused),
        ((413, {}, {"error": "PayloadTooLarge"}), Refused),
        ((403, {}, {"error": "Forbidden"}), AuthExpired),
        ((429, {"retry-after": "30"}, {"error": "RateLimitExceeded"}), RetryLater),
        ((503, {}, {"error": "ServiceUnavailable"}), RetryLater),
        ((500, {}, {"error": "InternalServerError"}), OutcomeUnknown),
        ((502, {}, {"error": "UpstreamFailure"}), OutcomeUnknown),
        ((200, {}, b"{"), OutcomeUnknown),
    ],
)
def test_what_sending_raises(peer: Peer, answer: Any, error: type[Exception]) -> None:
    peer.failures["putRecord"] = [answer]
    with pytest.raises(error) as told:
        connected(peer).send(REPLY)
    assert getattr(told.value, "after_seconds", None) == (30 if answer[0] == 429 else None)


def test_a_broken_upload_is_simply_tried_again(peer: Peer) -> None:
    peer.failures["uploadBlob"] = [(0, {}, None)]
    with pytest.raises(RetryLater):
        connected(peer).send(replace(REPLY, attachments=(image(),)))


@pytest.mark.parametrize(
    "answer", [(500, {}, {"error": "InternalServerError"}), (400, {}, {"error": "InvalidRequest"})]
)
def test_a_server_that_does_not_say_is_no_no(peer: Peer, answer: Any) -> None:
    peer.failures["getRecord"] = [answer]
    with pytest.raises(OutcomeUnknown):
        connected(peer).find_sent(REPLY)
    peer.failures["getRecord"] = [(400, {}, MISSING_RECORD)]
    assert connected(peer).find_sent(REPLY) is None


MOMENTS = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(st.text(max_size=60), st.none() | MOMENTS)
def test_keys_are_tids(key: str, at: datetime | None) -> None:
    found = record_key(replace(REPLY, idempotency_key=key, created_at=at))
    assert len(found) == 13
    assert found[0] in "234567abcdefghij"
    assert set(found) <= set("234567abcdefghijklmnopqrstuvwxyz")
    assert found == record_key(replace(REPLY, idempotency_key=key, created_at=at, text="other words"))


def test_other_replies_of_the_same_moment_have_other_keys() -> None:
    keys = {record_key(replace(REPLY, idempotency_key=f"reply-{number}")) for number in range(2_000)}
    assert len(keys) == 2_000
