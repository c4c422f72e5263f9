"""The web process as a whole: webhooks, health, headers, the stream, and many who ask at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from standardwebhooks import Webhook

from hub import server
from hub.accounts.models import User
from hub.accounts.service import create_token, set_disabled
from hub.channels.models import Channel
from hub.channels.service import find_channel, set_paused
from hub.clock import utcnow
from hub.conversations.models import Conversation, Message
from hub.inbox.models import Receipt, Reject
from hub.inbox.pushed import receive_pushed
from hub.runtime import Hub
from hub.server import create_app
from tests import factories
from tests.connectors.webhook.peer import OTHER_SECRET, SECRET
from tests.factories import NOW, PASSWORD, channel, inbound, receive_one
from tests.servers import wait_until


@pytest.fixture
def shop(hub: Hub) -> Channel:
    """A channel that takes signed pushes."""
    with hub.database.session() as session:
        return channel(session, "shop", connector="webhook", kind="ticket", secrets=[SECRET])


def signed(body: bytes, *, key: str = "d-1", secret: str = SECRET) -> dict[str, str]:
    now = utcnow()
    return {
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(key, now, body.decode()),
        "content-type": "application/json",
    }


def pushed(number: int = 1) -> bytes:
    author = {"email": f"writer{number}@x.example"}
    return json.dumps({"id": f"m-{number}", "text": "Where is it?", "author": author}).encode()


def count(hub: Hub, table: type) -> int:
    with hub.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_push_is_stored_before_it_is_answered_and_read_afterwards(
    hub: Hub, app_client: TestClient, shop: Channel
) -> None:
    told: list[str] = []
    hub.database.nudge = told.append
    body = pushed()
    answer = app_client.post("/webhooks/shop", content=body, headers=signed(body))
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
    assert told == ["receive"]
    with hub.database.reading() as session:
        receipt = session.scalars(select(Receipt)).one()
        assert (receipt.body, receipt.delivery_id, receipt.processed_at) == (body, "d-1", None)
    assert count(hub, Message) == 0
    while receive_pushed(hub):
        pass
    assert count(hub, Message) == 1
    again = app_client.post("/webhooks/shop", content=body, headers=signed(body))
    assert again.json() == {"status": "known"}
    assert (count(hub, Receipt), count(hub, Reject)) == (1, 0)


def test_a_push_that_is_not_what_it_says_leaves_nothing(
    hub: Hub, app_client: TestClient, shop: Channel, subtests: pytest.Subtests
) -> None:
    with hub.database.session() as session:
        channel(session, "papers")
    body = pushed()
    for what, path, headers, content, status in (
        ("no signature", "shop", {}, body, 401),
        ("another secret", "shop", signed(body, secret=OTHER_SECRET), body, 401),
        ("another body", "shop", signed(body), body + b" ", 401),
        ("another id", "shop", {**signed(body), "webhook-id": "d-2"}, body, 401),
        ("a channel of files", "papers", signed(body), body, 401),
        ("no such channel", "nobody", signed(body), body, 404),
        ("too large", "shop", signed(body), b" " * (hub.settings.webhook_max_bytes + 1), 413),
        ("an id too long", "shop", signed(body, key="x" * 301), body, 401),
    ):
        with subtests.test(what):
            answer = app_client.post(f"/webhooks/{path}", content=content, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
    assert count(hub, Receipt) == 0


def test_what_was_pushed_in_vain_is_kept_and_stops_nobody(
    hub: Hub, app_client: TestClient, shop: Channel
) -> None:
    for number, body in enumerate((b"{", b'{"id": "x"}', pushed(7), b"null", pushed(8))):
        app_client.post("/webhooks/shop", content=body, headers=signed(body, key=f"d-{number}"))
    while receive_pushed(hub):
        pass
    assert (count(hub, Message), count(hub, Reject)) == (2, 3)


def test_a_paused_channel_keeps_what_it_is_sent(hub: Hub, app_client: TestClient, shop: Channel) -> None:
    with hub.database.session() as session:
        set_paused(session, find_channel(session, "shop"), True, NOW)
    body = pushed()
    assert app_client.post("/webhooks/shop", content=body, headers=signed(body)).status_code == 200
    assert receive_pushed(hub) == 0
    with hub.database.session() as session:
        set_paused(session, find_channel(session, "shop"), False, NOW)
    while receive_pushed(hub):
        pass
    assert count(hub, Message) == 1


def test_one_delivery_many_times_at_once_is_kept_once(
    hub: Hub, app_client: TestClient, shop: Channel
) -> None:
    body = pushed()
    headers = signed(body)
    barrier = Barrier(6)

    def push(_: int) -> str:
        barrier.wait()
        answer = app_client.post("/webhooks/shop", content=body, headers=headers)
        return str(answer.json()["status"])

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(push, range(6)))
    assert sorted(told) == ["accepted"] + ["known"] * 5
    assert count(hub, Receipt) == 1


def test_many_readers_of_receipts_read_each_once(hub: Hub, app_client: TestClient) -> None:
    with hub.database.session() as session:
        for name in ("one", "two"):
            channel(session, name, connector="webhook", kind="ticket", secrets=[SECRET])
    for number in range(30):
        body = pushed(number % 20)
        path = "/webhooks/one" if number % 2 else "/webhooks/two"
        app_client.post(path, content=body, headers=signed(body, key=f"d-{number}"))
    barrier = Barrier(4)

    def read(_: int) -> None:
        barrier.wait()
        while receive_pushed(hub):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    with hub.database.reading() as session:
        assert session.scalar(select(func.count()).where(Receipt.processed_at.is_(None))) == 0
    # Twenty people, of whom ten wrote twice under the same id, each on one channel.
    assert count(hub, Message) == 20
    assert count(hub, Reject) == 0


def test_health_says_what_is_so(hub: Hub, app_client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert app_client.get("/healthz").json() == {"status": "ok"}
    assert app_client.get("/readyz").json() == {"status": "ok"}

    def away() -> Any:
        raise OperationalError("SELECT", {}, Exception("a secret address"))

    monkeypatch.setattr(hub.database, "reading", away)
    assert app_client.get("/healthz").status_code == 200
    answer = app_client.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "secret" not in answer.text


def test_every_answer_carries_the_headers(agent: TestClient, subtests: pytest.Subtests) -> None:
    for path in (
        "/queue",
        "/sign-in",
        "/nothing",
        "/api/v1/queue",
        "/api/v1/nothing",
        "/healthz",
        "/static/x",
    ):
        with subtests.test(path):
            headers = agent.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "same-origin"
    for path in ("/queue", "/sign-in", "/nothing"):
        with subtests.test(path):
            policy = agent.get(path).headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy


def test_the_api_describes_itself(app_client: TestClient) -> None:
    described = app_client.get("/api/v1/openapi.json").json()
    assert {"/api/v1/queue", "/api/v1/conversations/{conversation_id}/replies"} <= set(described["paths"])
    assert not any(path.startswith("/queue") for path in described["paths"])


def test_a_stream_is_for_those_who_are_signed_in(app_client: TestClient) -> None:
    assert app_client.get("/live").status_code == 303


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """The hub behind a real server; its address."""
    config = uvicorn.Config(create_app(hub), port=0, log_config=None, timeout_graceful_shutdown=0)
    real = uvicorn.Server(config)
    thread = Thread(target=real.run)
    thread.start()
    try:
        wait_until(lambda: real.started, what="the server's start")
        yield f"http://127.0.0.1:{real.servers[0].sockets[0].getsockname()[1]}"
    finally:
        real.should_exit = True
        thread.join(20)


def lines_until(stream: Iterator[str], wanted: str) -> list[str]:
    told = []
    for line in stream:
        told.append(line)
        if line == wanted:
            return told
    raise AssertionError(f"the stream ended without {wanted!r}: {told}")


def test_the_stream_names_what_changed_and_its_reader_counts_as_here(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a line that is never silent, too; until the reader is locked out."""
    with hub.database.session() as session:
        user = factories.user(session)
        conversation_id = receive_one(session, channel(session)).conversation_id

    def touch() -> None:
        with hub.database.session() as session:
            session.execute(update(Conversation).values(updated_at=utcnow()))

    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.0)
    with serving(hub) as url, httpx2.Client(base_url=url, timeout=10) as client:
        client.post("/sign-in", data={"email": user.email, "password": PASSWORD})
        with hub.database.session() as session:
            session.execute(update(User).values(seen_at=NOW))
        with client.stream("GET", "/live") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            stream = answer.iter_lines()
            lines_until(stream, ": open")
            touch()
            told = lines_until(stream, f"event: conversation-{conversation_id}")
            assert "event: queue" in told
            with hub.database.session() as session:
                found = session.get_one(User, user.id)
                assert found.seen_at is not None
                assert found.seen_at > NOW
                set_disabled(found, True, NOW)
            touch()
            assert "event: queue" not in list(stream)


def test_many_who_ask_at_once_all_get_their_answer(hub: Hub) -> None:
    """More of them than there are threads and connections, reading and writing."""
    with hub.database.session() as session:
        chirp = channel(session)
        for number in range(40):
            receive_one(session, chirp, inbound(author=f"writer {number}"))
        token = create_token(session, factories.user(session), "test", NOW)
    headers = {"Authorization": f"Bearer {token}"}

    def ask(number: int) -> int | None:
        if number % 2:
            client.get("/api/v1/queue?limit=1").raise_for_status()
            return None
        answer = client.post("/api/v1/queue/next")
        return int(answer.raise_for_status().json()["conversation_id"])

    with (
        serving(hub) as url,
        httpx2.Client(base_url=url, headers=headers, timeout=60, limits=httpx2.Limits()) as client,
        ThreadPoolExecutor(80) as pool,
    ):
        claimed = [each for each in pool.map(ask, range(80)) if each is not None]
    assert len(set(claimed)) == len(claimed) == 40
