"""The same with a real Bluesky, where `make network` has put its directory, server and AppView."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.base import Attachment, AuthExpired, Deleted, InboundMessage, Item, OutboundMessage
from connectors.bluesky.connector import BlueskyConfig, BlueskyConnector
from tests.connectors.bluesky.people import PASSWORD, Person, mentioning, picture
from tests.servers import wait_until
from tests.servers.bluesky import BlueskyNetwork, bluesky_network, installed

# Not `Unavailable`, which fails in CI: see the README of the connector for why CI goes without.
pytestmark = pytest.mark.skipif(not installed(), reason="no Bluesky network here: make network installs it")

TERM = "acmetea"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def network() -> Iterator[BlueskyNetwork]:
    with bluesky_network() as found:
        yield found


@pytest.fixture(scope="module")
def brand(network: BlueskyNetwork) -> Person:
    return Person(network.url, "brand")


@pytest.fixture(scope="module")
def mara(network: BlueskyNetwork) -> Person:
    return Person(network.url, "mara")


Connect = Callable[..., BlueskyConnector]


@pytest.fixture
def connect(network: BlueskyNetwork, brand: Person) -> Iterator[Connect]:
    """Connectors of the brand's account."""
    made: list[BlueskyConnector] = []

    def one(**settings: Any) -> BlueskyConnector:
        config = {
            "handle": brand.handle,
            "app_password": PASSWORD,
            "service_url": network.url,
            "terms": [TERM],
            "stream_format": "firehose",
            "stream_url": network.firehose_url,
            "media_url": network.pictures_url,
            **settings,
        }
        made.append(BlueskyConnector(BlueskyConfig.model_validate(config)))
        return made[-1]

    yield one
    for each in made:
        each.close()


def fetched(connector: BlueskyConnector) -> dict[str, InboundMessage]:
    """What a first fetch brings, by address."""
    items = [item for batch in connector.fetch(None) for item in batch.items]
    return {item.external_id: item for item in items if isinstance(item, InboundMessage)}


def listed(connector: BlueskyConnector, *uris: str) -> list[InboundMessage]:
    """These posts, once the AppView lists them."""
    found: dict[str, InboundMessage] = {}

    def there() -> bool:
        found.update(fetched(connector))
        return found.keys() >= set(uris)

    wait_until(there, deadline_seconds=PATIENCE_SECONDS, what=f"listing {uris}")
    return [found[uri] for uri in uris]


def test_what_is_written_to_and_about_the_brand_comes_in(
    connect: Connect, brand: Person, mara: Person
) -> None:
    root = brand.post("Our tea is here.")
    image = {"alt": "A crushed box", "image": mara.upload(picture(200))}
    embed = {"$type": "app.bsky.embed.images", "images": [image]}
    [mention] = mara.post_all([mentioning(brand, "it came like this", embed=embed)])
    reply = mara.post("Is it?", reply={"root": root, "parent": root})
    quote = mara.post("Well.", embed={"$type": "app.bsky.embed.record", "record": root})
    about = mara.post(f"I like {TERM} a lot")
    found = listed(connect(), mention, reply["uri"], quote["uri"], about["uri"])
    assert [item.addressed for item in found] == [True, True, True, False]
    assert [item.thread_key for item in found] == [mention, root["uri"], quote["uri"], about["uri"]]
    assert found[1].in_reply_to == (root["uri"],)
    assert found[1].meta["root"] == root
    [attachment] = found[0].attachments
    assert (attachment.description, attachment.content_type) == ("A crushed box", "image/png")
    assert attachment.url is not None
    kept = connect().download(attachment.url, 1_000_000)
    assert kept.content_type.startswith("image/")
    assert kept.content
    author = found[0].author
    assert author is not None
    assert [identity.value for identity in author.identities] == [mara.did, mara.handle]
    assert author.followers == 0
    history = connect().backfill(datetime.now(UTC) - timedelta(days=1), None)
    again = {getattr(item, "external_id", None) for batch in history for item in batch.items}
    assert {mention, reply["uri"], quote["uri"], about["uri"]} <= again
    assert connect().check().startswith(f"reads what is written to @{brand.handle} (0 followers)")


def test_a_reply_is_written_once(connect: Connect, brand: Person, mara: Person) -> None:
    [mention] = mara.post_all([mentioning(brand, "where is my parcel?")])
    [asked] = listed(connect(), mention)
    reply = OutboundMessage(
        "reply-1",
        f"Grüße @{mara.handle}: https://acme.example/é #parcel",
        "Ana",
        None,
        in_reply_to=mention,
        answered=asked.meta,
        created_at=datetime.now(UTC),
        attachments=(Attachment("box.png", "image/png", 80, picture(9), description="A box"),),
    )
    assert connect().find_sent(reply) is None
    sent = connect().send(reply)
    assert connect().send(replace(reply, text="other words")) == sent
    assert connect().find_sent(reply) == sent
    assert sent.external_id is not None
    told = mara.record(sent.external_id)
    record = told["value"]
    text = record["text"].encode()
    parts = [
        text[each["index"]["byteStart"] : each["index"]["byteEnd"]].decode() for each in record["facets"]
    ]
    assert parts == [f"@{mara.handle}", "https://acme.example/é", "#parcel"]
    assert record["facets"][0]["features"][0]["did"] == mara.did
    assert record["reply"]["parent"]["uri"] == record["reply"]["root"]["uri"] == mention
    assert record["embed"]["images"][0]["alt"] == "A box"
    # The other side sees it and answers into the thread.
    uri = sent.external_id
    wait_until(lambda: mara.sees(uri), deadline_seconds=PATIENCE_SECONDS, what="showing the reply")
    ours = {"uri": sent.external_id, "cid": told["cid"]}
    theirs = mara.post("Thank you", reply={"root": record["reply"]["root"], "parent": ours})
    [answer] = listed(connect(), theirs["uri"])
    assert (answer.thread_key, answer.in_reply_to[0]) == (mention, sent.external_id)


def test_the_stream_tells_posts_and_deletions(connect: Connect, brand: Person, mara: Person) -> None:
    told: list[Item] = []
    opened, stopped = threading.Event(), threading.Event()

    def listen() -> None:
        for batch in connect().stream(None, stopped.is_set):
            opened.set()
            told.extend(batch.items)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        assert opened.wait(PATIENCE_SECONDS)
        mara.post("nothing of it")
        about = mara.post(f"My {TERM.upper()} is cold")["uri"]
        [mention] = mara.post_all([mentioning(brand, "help")])
        wait_until(lambda: len(told) == 2, deadline_seconds=PATIENCE_SECONDS, what="telling of two posts")
        mara.delete(about)
        wait_until(lambda: len(told) == 3, deadline_seconds=PATIENCE_SECONDS, what="telling of a deletion")
    finally:
        stopped.set()
        thread.join()
    first, second, third = told
    assert isinstance(first, InboundMessage)
    assert isinstance(second, InboundMessage)
    assert (first.external_id, first.addressed) == (about, False)
    assert (second.external_id, second.addressed) == (mention, True)
    assert isinstance(third, Deleted)
    assert third.external_id == about


def test_a_deletion_while_nobody_listened_is_found(connect: Connect, brand: Person, mara: Person) -> None:
    [mention] = mara.post_all([mentioning(brand, "never mind")])
    listed(connect(), mention)
    cursor = dict(list(connect().fetch(None))[-1].cursor or {})
    cursor["rechecked_at"] = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    mara.delete(mention)

    def gone() -> list[Item]:
        return [item for item in next(connect().fetch(cursor)).items if isinstance(item, Deleted)]

    wait_until(gone, deadline_seconds=PATIENCE_SECONDS, what="finding a deletion")
    assert [item.external_id for item in gone() if isinstance(item, Deleted)] == [mention]


def test_a_wrong_password_is_told(connect: Connect) -> None:
    with pytest.raises(AuthExpired, match="App passwords"):
        connect(app_password="wrong").check()
