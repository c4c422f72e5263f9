"""Against somebody else's server: `mastodon-mock`, where it is installed.

    python3 -m venv var/mastodon-mock && var/mastodon-mock/bin/pip install mastodon-mock==0.6.0

It brings a web framework in versions of its own, so it is no dependency; `CEM_MASTODON_MOCK` names its
program where it lies elsewhere. Without it these tests are left out, and say so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from mastodon import Mastodon

from connectors.base import Attachment, Deleted, Edited, Identity, InboundMessage, Item, OutboundMessage
from connectors.mastodon.connector import MastodonConfig, MastodonConnector
from tests.servers import Process, free_port, wait_until

PROGRAM = Path(
    os.environ.get("CEM_MASTODON_MOCK") or Path(__file__).parents[3] / "var/mastodon-mock/bin/mastodon_mock"
)
SETTINGS = """
domain = "toot.example"
[server]
host = "127.0.0.1"
port = {port}
[ratelimit]
enabled = true
limit = 1000
[[seed.accounts]]
username = "acme"
access_token = "token-of-acme"
[[seed.accounts]]
username = "mara"
display_name = "Mara"
access_token = "token-of-mara"
"""
# One pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636060606000"
    "0000050001a5f645400000000049454e44ae426082"
)


@dataclass
class Mock:
    """The server, a customer on it, and a clock that can be ahead."""

    url: str
    mara: Mastodon
    ahead: timedelta = timedelta()

    def connector(self, **config: Any) -> MastodonConnector:
        settings = {"server": self.url, "access_token": "token-of-acme", "timeout_seconds": 10, **config}
        return MastodonConnector(
            MastodonConfig.model_validate(settings), clock=lambda: datetime.now(UTC) + self.ahead
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not PROGRAM.exists():
        pytest.skip(f"mastodon-mock is not installed ({PROGRAM}); the module says how")
    folder, port = tmp_path_factory.mktemp("mastodon-mock"), free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "settings.toml").write_text(SETTINGS.format(port=port))

    def answers(_: Process) -> bool:
        try:
            with urlopen(f"{url}/api/v2/instance", timeout=5):
                return True
        except OSError:
            return False

    process = Process(
        [PROGRAM, "serve", "--in-memory", "--config", folder / "settings.toml", "--log-level", "warning"],
        name="mastodon-mock",
        log=folder / "log",
        ready=answers,
        cwd=folder,
    )
    with process:
        yield url


@pytest.fixture
def mock(server: str) -> Mock:
    return Mock(server, Mastodon(access_token="token-of-mara", api_base_url=server))


def fetched(mock: Mock, cursor: Any = None, **config: Any) -> tuple[list[Item], Any]:
    batches = list(mock.connector(**config).fetch(cursor))
    return [item for batch in batches for item in batch.items], batches[-1].cursor


def answer(message: InboundMessage, key: str) -> OutboundMessage:
    assert message.author is not None
    return OutboundMessage(
        idempotency_key=key,
        text="It left this morning.",
        author_name="Ana",
        recipient=message.author.identities[0],
        thread_key=message.thread_key,
        in_reply_to=message.external_id,
        created_at=datetime.now(UTC),
        answered=message.meta,
    )


def test_a_conversation_both_ways(mock: Mock) -> None:
    _, cursor = fetched(mock)
    asked = mock.mara.status_post(
        "@acme Where is my parcel?", visibility="direct", spoiler_text="ranting", language="en"
    )
    items, cursor = fetched(mock, cursor)
    [message] = [item for item in items if isinstance(item, InboundMessage) and item.external_id == asked.id]
    assert message.text == "@acme Where is my parcel?"
    assert message.subject == "ranting"
    assert message.author is not None
    assert message.author.identities == (Identity("handle", "mara@toot.example", "mastodon"),)
    assert message.author.name == "Mara"

    picture = Attachment("lid.png", "image/png", len(PNG), PNG, description="A new lid")
    reply = replace(answer(message, "conversation-1"), attachments=(picture,))
    connector = mock.connector()
    sent = connector.send(reply)
    assert mock.connector().send(reply).external_id == sent.external_id
    found = mock.connector().find_sent(reply)
    assert found is not None
    assert found.external_id == sent.external_id
    assert mock.connector().find_sent(replace(reply, text="something else")) is None

    seen = mock.mara.status(sent.external_id)
    assert seen.visibility == "direct"
    assert seen.spoiler_text == "ranting"
    assert str(seen.in_reply_to_id) == asked.id
    assert seen.media_attachments[0].description == "A new lid"
    assert connector.budgets()

    thanks = mock.mara.status_post("@acme Thanks!", in_reply_to_id=sent.external_id, visibility="direct")
    items, _ = fetched(mock, cursor)
    [second] = [item for item in items if isinstance(item, InboundMessage) and item.external_id == thanks.id]
    assert second.thread_key == asked.id
    assert second.in_reply_to == (sent.external_id, asked.id)


def test_edits_and_deletions_are_found(mock: Mock) -> None:
    edited = mock.mara.status_post("@acme It is brokn")
    gone = mock.mara.status_post("@acme Never mind")
    _, cursor = fetched(mock)
    mock.mara.status_update(edited.id, "@acme It is broken")
    mock.mara.status_delete(gone.id)
    mock.ahead = timedelta(minutes=10)
    items, _ = fetched(mock, cursor)
    assert Deleted(gone.id) in items
    assert [item.text for item in items if isinstance(item, Edited)][-1] == "@acme It is broken"


def test_history_and_hashtags(mock: Mock) -> None:
    written = {mock.mara.status_post(f"number {number} #fridge").id for number in range(45)}
    brought = {
        item.external_id
        for batch in mock.connector(hashtags=["fridge"]).backfill(
            datetime.now(UTC) - timedelta(hours=1), None
        )
        for item in batch.items
        if isinstance(item, InboundMessage) and not item.addressed
    }
    assert brought == written


def test_what_is_written_arrives_at_once(mock: Mock) -> None:
    arrived: list[Item] = []
    open_, stop = threading.Event(), threading.Event()

    def listen() -> None:
        for batch in mock.connector(hashtags=["lid"]).stream(None, stop.is_set):
            arrived.extend(batch.items)
            open_.set()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        assert open_.wait(20)
        begun = time.monotonic()
        asked = mock.mara.status_post("@acme At once?")
        wait_until(lambda: arrived, deadline_seconds=10, what="the mention")
        assert time.monotonic() - begun < 5
        overheard = mock.mara.status_post("a #lid")
        wait_until(lambda: len(arrived) == 2, deadline_seconds=10, what="the hashtag")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert [item.external_id for item in arrived] == [asked.id, overheard.id]  # type: ignore[union-attr]
