"""Files go through the whole flow; a preview says what would happen, and stores nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.errors import Invalid
from hub.inbox.ingest import (
    analyse_all,
    ingest,
    ingest_channel,
    newest_message_id,
    preview,
    unanalysed,
)
from hub.inbox.service import Received
from hub.runtime import Hub
from tests.factories import NOW, channel


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """Three posts that can be read, one of them twice, and one that cannot."""
    path = tmp_path / "posts.jsonl"
    lines = [json.dumps({"id": n, "author": "ann", "text": f"text {n}"}) for n in (1, 2, 3, 2)]
    path.write_text("\n".join([*lines, "{"]) + "\n")
    return path


def count(hub: Hub, table: type) -> int:
    with hub.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_file_is_taken_in_once(hub: Hub, posts: Path) -> None:
    channel_id = ingest_channel(hub, "posts", "social")
    seen: list[int] = []
    first = ingest(hub, [posts], channel_id, {}, seen.append)
    again = ingest(hub, [posts], channel_id, {})
    assert first == Received(5, 3, 1, 1)
    assert again == Received(5, 0, 4, 1)
    assert sum(seen) == 5
    with hub.database.reading() as session:
        assert session.get_one(Channel, channel_id).cursor is None
        assert unanalysed(session) == 3
        assert unanalysed(session, up_to=newest_message_id(session) - 1) == 2
    done: list[int] = []
    analyse_all(hub, done.append)
    assert sum(done) == 3
    with hub.database.reading() as session:
        assert unanalysed(session) == 0


def test_a_preview_says_the_same_and_stores_nothing(hub: Hub, posts: Path) -> None:
    shown = preview(hub, [posts], "posts", {}, lambda records: None)
    assert shown.result == Received(5, 3, 1, 1)
    assert [message.text for message in shown.messages] == ["text 1", "text 2", "text 3"]
    assert len(shown.rejects) == 1
    assert (count(hub, Channel), count(hub, Message)) == (0, 0)
    ingest(hub, [posts], ingest_channel(hub, "posts", None), {})
    assert preview(hub, [posts], "posts", {}, lambda records: None).result == Received(5, 0, 4, 1)


def test_a_channel_of_files_is_made_or_found(hub: Hub) -> None:
    first = ingest_channel(hub, "posts", "social")
    assert ingest_channel(hub, "posts", None) == ingest_channel(hub, "posts", "social") == first
    with hub.database.reading() as session:
        assert session.get_one(Channel, first).config["outbox"].endswith("outbox/posts")
    with pytest.raises(Invalid, match="is of kind social"):
        ingest_channel(hub, "posts", "mail")
    with hub.database.session() as session:
        channel(session, "shop", connector="webhook", kind="ticket", at=NOW)
    with pytest.raises(Invalid, match="not one for files"):
        ingest_channel(hub, "shop", None)


@pytest.mark.parametrize(
    ("name", "content", "mapping", "field"),
    [
        ("nothing.jsonl", None, {}, "path"),
        ("picture.png", "\x89PNG", {}, "path"),
        ("posts.csv", "id,words\n1,hello\n", {"nonsense": "words"}, "map"),
    ],
)
def test_what_cannot_be_read_at_all_is_said(
    hub: Hub, tmp_path: Path, name: str, content: str | None, mapping: dict[str, str], field: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(Invalid) as raised:
        preview(hub, [path], "posts", mapping, lambda records: None)
    assert raised.value.extra["field"] == field
