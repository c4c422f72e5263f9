"""The way of a message: from a file to its place, and from a webhook to the queue."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import httpx2
from standardwebhooks import Webhook

from hub.accounts.service import add_user, create_token
from hub.bench.figures import Figure, at_most, quantile
from hub.channels.service import add_channel
from hub.clock import utcnow
from hub.demo.story import live
from hub.inbox.ingest import analyse_all, ingest, ingest_channel
from hub.runtime import Hub
from hub.settings import Settings

WEBHOOKS = 150
EVERY_SECONDS = 0.1
READY_SECONDS = 120


def sample_texts(count: int) -> list[str]:
    """Customers' messages as the demo brand gets them: posts, mails and tickets."""
    return [message.inbound.text for _, message in islice(live(utcnow()), count)]


def bench_ingest(hub: Hub, messages: int, progress: Callable[[str], None]) -> Iterator[Figure]:
    """`hub ingest` of a file into an empty hub: received, analysed, prioritised."""
    area = f"ingest, {'SQLite' if hub.database.is_sqlite else 'PostgreSQL'}"
    path = hub.settings.home / "bench.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(sample_texts(messages)):
            record = {"text": text, "author": f"user{number % 997}", "external_id": str(number)}
            file.write(json.dumps(record) + "\n")
    channel_id = ingest_channel(hub, "bench-ingest", "social")
    _ = hub.scorer
    progress(f"{area}: {messages:,} messages")
    began = time.perf_counter()
    result = ingest(hub, [path], channel_id, {})
    received = time.perf_counter()
    analyse_all(hub)
    placed = time.perf_counter()
    if result.stored != messages:
        raise AssertionError(f"{messages} messages, {result.stored} stored")
    yield Figure(area, "received and in the queue", messages / (received - began), "messages/s")
    yield Figure(area, "received, analysed and placed", messages / (placed - began), "messages/s")


def bench_webhook(settings: Settings, hub: Hub, progress: Callable[[str], None]) -> Iterator[Figure]:
    """Seconds from a webhook's request to its conversation in the API's queue, against a real `hub serve`."""
    area = f"webhook, {'SQLite' if hub.database.is_sqlite else 'PostgreSQL'}"
    progress(f"{area}: {WEBHOOKS} requests")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    name = f"bench-{secrets.token_hex(4)}"
    with hub.database.session() as session:
        now = utcnow()
        user = add_user(
            session,
            email=f"{name}@hub.example",
            name="Bench",
            role="agent",
            password=secrets.token_urlsafe(),
            now=now,
        )
        token = create_token(session, user, "bench", now)
        add_channel(
            session, name=name, connector="webhook", kind="social", config={"secrets": [secret]}, now=now
        )
    with _served(settings) as url, httpx2.Client(base_url=url, timeout=30) as client:
        visible, analysed = [], []
        for number, text in enumerate(sample_texts(WEBHOOKS + 1)):
            seconds = _post_and_see(client, name, secret, token, f"{name}-{number}", text)
            # The first one waits for the model to load.
            if number:
                visible.append(seconds[0])
                analysed.append(seconds[1])
            time.sleep(EVERY_SECONDS)
    yield Figure(area, "request to visible in the queue, p50", quantile(visible, 0.5), "s")
    yield at_most(area, "request to visible in the queue, p95", quantile(visible, 0.95), "s", 1)
    yield Figure(area, "request to analysed and placed, p50", quantile(analysed, 0.5), "s")
    yield at_most(area, "request to analysed and placed, p95", quantile(analysed, 0.95), "s", 1)


def _post_and_see(
    client: httpx2.Client, channel: str, secret: str, token: str, key: str, text: str
) -> tuple[float, float]:
    at = datetime.now(UTC)
    message = {"id": key, "text": text, "author": {"id": key}, "sent_at": at.isoformat()}
    body = json.dumps({"messages": [message]})
    headers = {
        "webhook-id": key,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(key, at, body),
        "content-type": "application/json",
    }
    began = time.perf_counter()
    client.post(f"/webhooks/{channel}", content=body, headers=headers).raise_for_status()
    seen = 0.0
    while time.perf_counter() - began < READY_SECONDS:
        answer = client.get(
            "/api/v1/queue",
            params={"channel": channel, "limit": 200},
            headers={"Authorization": f"Bearer {token}"},
        )
        found = [item for item in answer.raise_for_status().json()["items"] if item["customer"] == f"@{key}"]
        if found:
            seen = seen or time.perf_counter() - began
            if found[0]["sentiment"] is not None:
                return seen, time.perf_counter() - began
        time.sleep(0.01)
    raise TimeoutError(f"{key} did not appear in the queue, analysed, within {READY_SECONDS} s")


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = _environment(settings)
    log = settings.home / "bench-serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", "from hub.cli import app; app()", "serve", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            _wait_ready(f"http://127.0.0.1:{port}", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def _environment(settings: Settings) -> dict[str, str]:
    chosen = {
        "HUB_HOME": str(settings.home.absolute()),
        "HUB_DATABASE_URL": settings.resolved_database_url,
        "HUB_BROKER_URL": "",
    }
    return {**os.environ, **chosen}


def _wait_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx2.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"hub serve did not start; its log is {log}")
