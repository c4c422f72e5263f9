"""Posts to messages."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.base import BadPayload, Identity, InboundMessage, Rejected
from connectors.bluesky import parse
from connectors.bluesky.parse import Profile
from tests.connectors.bluesky.peer import ME, NOW, mention, post

MARA = "at://did:plc:mara/app.bsky.feed.post/"
OURS = f"at://{ME}/app.bsky.feed.post/"


def read(row: Any, **people: Profile) -> InboundMessage:
    [item] = parse.messages(
        [row], me=ME, people={each.did: each for each in people.values()}, now=NOW, where="x"
    )
    assert isinstance(item, InboundMessage), item
    return item


def fixture(name: str) -> Any:
    return json.loads((Path(__file__).parent / "fixtures" / f"{name}.json").read_bytes())


def ref(uri: str) -> dict[str, str]:
    return {"uri": uri, "cid": f"cid-of-{uri[-2:]}"}


@pytest.mark.parametrize(
    ("record", "addressed"),
    [
        ({}, False),
        (mention(), True),
        (mention("did:plc:other"), False),
        ({"reply": {"root": ref(f"{OURS}r1"), "parent": ref(f"{OURS}p1")}}, True),
        ({"reply": {"root": ref(f"{OURS}r1"), "parent": ref(f"{MARA}p1")}}, True),
        ({"reply": {"root": ref(f"{MARA}r1"), "parent": ref(f"{MARA}p1")}}, False),
        ({"embed": {"record": ref(f"{OURS}q1")}}, True),
        ({"embed": {"record": {"record": ref(f"{OURS}q1")}, "media": {}}}, True),
        ({"embed": {"record": ref(f"{MARA}q1")}}, False),
        ({"reply": "r", "embed": [], "facets": [{"features": [1]}, 2]}, False),
    ],
)
def test_who_is_addressed(record: dict[str, Any], addressed: bool) -> None:
    assert read(post("k1", "Hello", **record)).addressed is addressed


def test_a_reply_belongs_to_its_thread() -> None:
    reply = {"root": ref(f"{OURS}r1"), "parent": ref(f"{MARA}p1")}
    found = read(post("k1", "Still waiting", reply=reply))
    assert found.thread_key == f"{OURS}r1"
    assert found.in_reply_to == (f"{MARA}p1", f"{OURS}r1")
    assert found.meta["root"] == ref(f"{OURS}r1")
    assert (found.meta["uri"], found.meta["cid"]) == (f"{MARA}k1", "cid-of-k1")


def test_a_first_post_is_its_own_thread() -> None:
    found = read(post("k1", "Hello"))
    assert (found.thread_key, found.in_reply_to) == (f"{MARA}k1", ())
    assert found.meta["root"] == ref(f"{MARA}k1")
    assert found.url == "https://bsky.app/profile/mara.example/post/k1"


def test_the_profile_tells_name_and_reach() -> None:
    author = read(post("k1", "Hello"), mara=Profile("did:plc:mara", "new.example", "Mara Lind", 1200)).author
    assert author is not None
    assert (author.name, author.followers) == ("Mara Lind", 1200)
    assert author.identities == (
        Identity("external", "did:plc:mara", "bluesky"),
        Identity("handle", "new.example", "bluesky"),
    )


def test_without_a_handle_that_holds_the_did_alone_names_the_author() -> None:
    found = read(fixture("found_by_search"))
    assert found.author is not None
    assert found.author.identities == (Identity("external", "did:plc:jon", "bluesky"),)
    assert found.url == "https://bsky.app/profile/did:plc:jon/post/3ma2aaaaaag2a"
    assert found.meta["links"] == ["https://acme.example/tea?from=post"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (NOW - timedelta(minutes=5), NOW - timedelta(minutes=5)),
        (NOW - timedelta(days=900), NOW),  # brought along from another network
        (NOW + timedelta(minutes=5), NOW),  # a fast clock
        (None, NOW),
    ],
)
def test_an_author_s_clock_is_believed_within_a_day(written: datetime | None, sent: datetime) -> None:
    row = post("k1", "Hello", at=NOW)
    row["record"]["createdAt"] = written.isoformat() if written else "soon"
    assert read(row).sent_at == sent


def test_images_come_with_their_descriptions() -> None:
    first, second = read(fixture("mention_with_images")).attachments
    assert first.url == "https://cdn.bsky.app/img/feed_fullsize/plain/did:plc:mara/bafkreicrushedbox"
    assert (first.content_type, first.size_bytes, first.content) == ("image/jpeg", 512000, None)
    assert (first.description, second.description) == ("A crushed box", None)
    assert first.fetchable


def test_what_is_shown_stands_for_missing_words() -> None:
    quote, video = read(fixture("quote_without_words")), read(fixture("video_without_words"))
    assert quote.text == f"https://bsky.app/profile/{ME}/post/3ma2quoted022"
    assert (video.text, video.attachments[0].content_type) == ("", "video/mp4")
    assert not video.attachments[0].fetchable, "it is shown in pieces"
    link = read(post("k1", " ", embed={"external": {"uri": "https://acme.example/tea"}}))
    assert link.text == "https://acme.example/tea"


def test_our_own_posts_are_left_out() -> None:
    assert parse.messages([post("k1", "We are open", did=ME)], me=ME, people={}, now=NOW, where="x") == ()


def test_a_rejected_post_says_where_it_was() -> None:
    [bad] = parse.messages([post("k1", "")], me=ME, people={}, now=NOW, where="search tea")
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.where) == ("missing_text", f"search tea, {MARA}k1")
    assert json.loads(bad.raw)["cid"] == "cid-of-k1"


def test_profiles_that_cannot_be_read_are_left_out() -> None:
    good = {"did": "did:plc:a", "handle": "a.example", "displayName": " ", "followersCount": 3}
    rows = [good, {"did": "did:plc:b"}, "c", {**good, "did": "did:plc:d", "followersCount": -1}]
    assert list(parse.profiles({"profiles": rows})) == [
        Profile("did:plc:a", "a.example", None, 3),
        Profile("did:plc:d", "a.example", None, None),
    ]
    with pytest.raises(BadPayload, match="profiles"):
        list(parse.profiles({}))
