"""Attachments both ways: kept, shown, handed out and sent."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Attachment, Batch, Deleted
from connectors.files.connector import FilesConnector
from hub.conversations import models
from hub.conversations.attachments import MOST_FILES, clean_files, clean_name
from hub.conversations.delivery import deliver
from hub.conversations.models import Message
from hub.conversations.service import get_conversation, reply
from hub.errors import Invalid
from hub.files import FileStore
from hub.inbox.service import receive
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.conftest import Clock

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def with_files(hub: Hub, *files: Attachment, **fields: object) -> tuple[int, list[int]]:
    """The conversation of a mail with these files, and their ids."""
    with hub.database.session() as session:
        post = channel(session, "post", kind="mail")
        message = receive_one(session, post, inbound("See below", attachments=files, **fields))
        return message.conversation_id, [each.id for each in message.attachments]


def a_file(name: str = "note.txt", content: bytes = b"hello", kind: str = "text/plain") -> Attachment:
    return Attachment(name, kind, len(content), content)


def test_the_same_content_is_kept_once(hub: Hub) -> None:
    with_files(hub, a_file("a.txt"), a_file("b.txt"), a_file("c.txt", b"other"))
    with hub.database.reading() as session:
        rows = session.scalars(select(models.Attachment).order_by(models.Attachment.id)).all()
        assert [each.name for each in rows] == ["a.txt", "b.txt", "c.txt"]
        assert rows[0].sha256 == rows[1].sha256 != rows[2].sha256
        assert hub.files.read(rows[0].sha256 or "") == b"hello"


def test_what_is_too_large_is_described_and_not_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.files, "max_bytes", 4)
    with_files(hub, a_file(content=b"1234"), a_file(content=b"12345"))
    with hub.database.reading() as session:
        rows = session.scalars(select(models.Attachment).order_by(models.Attachment.id)).all()
        assert [(each.size_bytes, each.sha256 is not None) for each in rows] == [(4, True), (5, False)]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\\b\r\nSet-Cookie: x", "a_b__Set-Cookie: x"),
        ("cod\u202egpj.exe", "cod_gpj.exe"),
        ("", "attachment"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_a_name_misleads_nobody(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize(
    ("kind", "content", "inline", "told"),
    [
        pytest.param("image/png", PNG, True, ("image/png", "inline"), id="a picture, to look at"),
        pytest.param("image/png", PNG, False, ("image/png", "attachment"), id="a picture, to keep"),
        pytest.param(
            "image/svg+xml", b"<svg/>", True, ("application/octet-stream", "attachment"), id="a drawing"
        ),
        pytest.param("text/html", b"<b>", True, ("application/octet-stream", "attachment"), id="a page"),
    ],
)
def test_a_download_is_a_file_and_no_page_of_ours(
    hub: Hub, agent: TestClient, kind: str, content: bytes, inline: bool, told: tuple[str, str]
) -> None:
    _, (file_id,) = with_files(hub, a_file('we"ird\N{SNOWMAN}.x', content, kind))
    answer = agent.get(f"/attachments/{file_id}", params={"inline": "1"} if inline else {})
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == told[0]
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith(told[1])
    assert "filename*=utf-8''we%22ird%E2%98%83.x" in disposition
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_only_who_is_signed_in_gets_a_file(hub: Hub, app_client: TestClient) -> None:
    _, (file_id,) = with_files(hub, a_file())
    assert app_client.get(f"/attachments/{file_id}").status_code == 303
    assert app_client.get(f"/api/v1/attachments/{file_id}").status_code == 401


def test_programs_see_and_get_files(hub: Hub, api: TestClient) -> None:
    left = Attachment("big.mov", "video/quicktime", 99_000_000, url="https://chirp.example/big.mov")
    conversation_id, ids = with_files(hub, a_file(), left)
    (message,) = api.get(f"conversations/{conversation_id}").json()["messages"]
    shown = [(each["id"], each["name"], each["kept"], each["url"]) for each in message["attachments"]]
    assert shown == [
        (ids[0], "note.txt", True, None),
        (ids[1], "big.mov", False, "https://chirp.example/big.mov"),
    ]
    assert api.get(f"attachments/{ids[0]}").content == b"hello"
    assert api.get(f"attachments/{ids[1]}").status_code == 404


def test_a_mail_is_shown_in_a_frame_of_its_own(hub: Hub, agent: TestClient) -> None:
    logo = Attachment("logo.png", "image/png", len(PNG), PNG, content_id="logo@shop")
    html = '<p onclick=x>Hi</p><img src="cid:logo@shop"><img src="https://t.example/1.gif">'
    conversation_id, (file_id,) = with_files(hub, logo, html=html)
    page = agent.get(f"/conversations/{conversation_id}").text
    assert "Show remote images" in page
    assert "t.example" not in page
    with hub.database.reading() as session:
        message_id = session.scalars(select(Message.id)).one()
    shown = agent.get(f"/messages/{message_id}/html")
    assert f'<img src="/attachments/{file_id}?inline=1">' in shown.text
    assert "t.example" not in shown.text
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert shown.headers["x-frame-options"] == "SAMEORIGIN"
    asked = agent.get(f"/messages/{message_id}/html?remote=1")
    assert "https://t.example/1.gif" in asked.text


def test_a_reply_takes_its_files_along(hub: Hub, api: TestClient, clock: Clock, tmp_path: Path) -> None:
    with hub.database.session() as session:
        chirp = channel(session, outbox=str(tmp_path / "out"))
        conversation_id = receive_one(session, chirp, inbound(meta={"visibility": "private"})).conversation_id
    file = {"name": "map.png", "content_type": "image/png", "description": "The way to us"}
    answer = api.post(
        f"conversations/{conversation_id}/replies",
        json={
            "text": "Here",
            "attachments": [{**file, "content": base64.b64encode(PNG).decode()}],
        },
    )
    assert answer.status_code == 201, answer.text
    (told,) = answer.json()["attachments"]
    assert {name: told[name] for name in file} == file
    assert deliver(hub) == 1
    (sent,) = (tmp_path / "out").iterdir()
    written = json.loads(sent.read_text())
    (went,) = written["attachments"]
    assert {name: went[name] for name in file} == file
    assert went["size_bytes"] == len(PNG)
    assert written["answered"] == {"visibility": "private"}


def test_a_page_sends_files_with_a_reply(hub: Hub, agent: TestClient) -> None:
    with hub.database.session() as session:
        conversation_id = receive_one(session, channel(session)).conversation_id
    answer = agent.post(
        f"/conversations/{conversation_id}/reply",
        data={"text": "Here", "idempotency_key": "k"},
        files=[("files", ("a.txt", b"one", "text/plain")), ("files", ("b.txt", b"two", "text/plain"))],
    )
    assert answer.status_code == 303
    with hub.database.reading() as session:
        sent = session.scalars(select(Message).where(Message.direction == "outgoing")).one()
        assert [each.name for each in sent.attachments] == ["a.txt", "b.txt"]


def test_a_reply_whose_file_is_gone_has_failed(hub: Hub, clock: Clock, tmp_path: Path) -> None:
    with hub.database.session() as session:
        message = receive_one(session, channel(session, outbox=str(tmp_path / "out")))
        conversation = get_conversation(session, message.conversation_id)
        sent = reply(session, conversation, user=user(session), text="Here", now=NOW, attachments=[a_file()])
        hub.files.path(sent.attachments[0].sha256 or "").unlink()
    deliver(hub)
    with hub.database.reading() as session:
        after = session.get_one(Message, sent.id)
        assert (after.delivery, after.attempts[-1].detail) == (
            "failed",
            "a file that goes with it is no longer there",
        )


@pytest.mark.parametrize(
    ("files", "takes", "why"),
    [
        pytest.param([a_file()] * (MOST_FILES + 1), True, "20 files at most", id="too many"),
        pytest.param([a_file(content=b"x" * 60)] * 2, True, "MB together", id="too large together"),
        pytest.param([a_file()], False, "carry no files", id="a channel without files"),
    ],
)
def test_files_that_cannot_be_sent_are_refused_before_anything_is_stored(
    session: Session,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    files: list[Attachment],
    takes: bool,
    why: str,
) -> None:
    monkeypatch.setattr(session.info["files"], "max_bytes", 100)
    if not takes:
        monkeypatch.setattr(FilesConnector, "scorecard", {"media": "exempt: no"})
    conversation = get_conversation(session, receive_one(session, channel(session)).conversation_id)
    with pytest.raises(Invalid, match=why):
        reply(session, conversation, user=user(session), text="Here", now=NOW, attachments=files)
    assert session.scalars(select(Message).where(Message.direction == "outgoing")).all() == []


def test_a_file_goes_when_the_last_message_with_it_is_taken_back(hub: Hub) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        for name in ("1", "2"):
            receive_one(session, chirp, inbound(external_id=name, attachments=(a_file(),)))

    def take_back(name: str) -> bool:
        with hub.database.session() as session:
            receive(session, chirp.id, Batch((Deleted(name),)), NOW)
        for path in files:
            os.utime(path, (time.time() - 7200,) * 2)
        clean_files(hub)
        return all(path.exists() for path in files)

    files = [path for path in (hub.settings.home / "attachments").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert take_back("1") is True
    assert take_back("2") is False


def test_sessions_know_where_files_are(hub: Hub) -> None:
    with hub.database.session() as session:
        assert isinstance(session.info["files"], FileStore)
