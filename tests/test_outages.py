"""What goes on while a part is away: requests, and what happens once it is back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Barrier

import httpx2
import pytest
from sqlalchemy import create_engine

from tests.servers import Process, RedisServer, wait_until
from tests.soak.audit import Audit
from tests.soak.ground import Channel, Ground, SetUp, alone, outgrown, populate
from tests.soak.people import Pushed, signed
from tests.soak.vendor import Vendor

# More than the threads that a web process has for requests.
CROWD = 100
_numbers = count(1)


@dataclass
class Outgrown:
    """A hub on PostgreSQL and Redis with a channel and an agent."""

    ground: Ground
    channel: Channel
    client: httpx2.Client
    audit: Audit

    def push(self) -> str:
        """Push a message in a conversation of its own; its id."""
        number = f"m-{next(_numbers)}"
        message = Pushed(number, self.channel, f"thread-{number}", f"customer-{number}", f"Hello? ({number})")
        answer = self.client.send(signed(self.client, message))
        assert answer.status_code == 200, answer.text
        return number

    def reply(self) -> None:
        """Answer the conversation that has come first."""
        key = f"reply-{next(_numbers)}"
        answer = self.client.post(
            "/api/v1/conversations/1/replies", json={"text": f"Yes? {key}"}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 201, answer.text

    def process(self, name: str) -> Process:
        process = self.ground.parts[name]
        assert isinstance(process, Process)
        return process

    def settle(self) -> None:
        wait_until(lambda: not self.audit.to_do(), deadline_seconds=60, what="settling")
        assert self.audit.never() == {}


@contextmanager
def opened(set_up: SetUp, folder: Path) -> Iterator[Outgrown]:
    with ExitStack() as stack:
        ground = stack.enter_context(set_up(folder))
        vendor = stack.enter_context(Vendor(lambda key: ["take"]).listening())
        [channel], [token] = populate(ground, vendor, ["shop"], agents=1)
        client = stack.enter_context(
            httpx2.Client(
                base_url=ground.web.url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=20,
                limits=httpx2.Limits(max_connections=CROWD),
            )
        )
        engine = create_engine(ground.database_url, pool_pre_ping=True)
        stack.callback(engine.dispose)
        yield Outgrown(ground, channel, client, Audit(engine))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outgrown]:
    with opened(outgrown, tmp_path_factory.mktemp("outages")) as hub:
        hub.push()
        hub.settle()
        yield hub


def test_a_dead_or_silent_broker_slows_nobody(hub: Outgrown) -> None:
    redis = hub.ground.parts["broker"]
    assert isinstance(redis, RedisServer)
    redis.kill()
    dead = _longest(hub.push, hub.reply)
    redis.start()
    os.kill(redis.process.pid, signal.SIGSTOP)
    silent = _longest(hub.push, hub.reply)
    os.kill(redis.process.pid, signal.SIGCONT)
    # Whoever asks a silent broker waits for seconds.
    assert max(dead, silent) < 1.5
    hub.settle()


def test_without_its_database_the_hub_says_so_and_comes_back(hub: Outgrown) -> None:
    postgres = hub.ground.parts["database"]
    postgres.kill()
    for path in ("/readyz", "/api/v1/queue"):
        answer = hub.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    message = Pushed("m-away", hub.channel, "thread-away", "customer-away", "Hello?")
    assert hub.client.send(signed(hub.client, message)).status_code == 503
    page = hub.client.get("/queue", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert hub.client.get("/healthz").status_code == 200
    postgres.start()
    wait_until(lambda: hub.client.get("/readyz").status_code == 200, what="the hub's recovery")
    number = hub.push()
    hub.settle()
    assert number in hub.audit.stored()


def test_new_workers_find_what_no_nudge_told_them(hub: Outgrown) -> None:
    redis = hub.ground.parts["broker"]
    assert isinstance(redis, RedisServer)
    names = ("worker", "other worker", "beat", "other beat")
    for name in names:
        hub.process(name).kill()
    numbers = {hub.push() for _ in range(50)}
    hub.reply()
    assert hub.audit.to_do() == {"receipts to read": 50, "replies to deliver": 1}
    redis.flush()
    for name in names:
        hub.process(name).start(wait=False)
    for name in names:
        hub.process(name).wait_ready()
    hub.settle()
    assert numbers <= set(hub.audit.stored())


def test_processes_end_in_order_in_the_middle_of_their_work(hub: Outgrown) -> None:
    names = ("worker", "other worker", "beat", "other beat")
    for name in names:
        assert hub.process(name).terminate() == 0
    for _ in range(300):
        hub.push()
    worker = hub.process("worker").start()
    hub.process("beat").start()
    wait_until(lambda: hub.audit.to_do().get("receipts to read", 0) < 300, what="the beginning of the work")
    assert worker.terminate() == 0
    assert hub.audit.to_do()
    hub.process("web").terminate()
    assert "Application shutdown complete" in hub.process("web").output_since_start()
    for name in ("web", "worker", "other worker", "other beat"):
        hub.process(name).start()
    hub.settle()


def test_a_crowd_that_writes_to_one_conversation_gets_through(hub: Outgrown) -> None:
    """Those that wait for a lock must not take what its holder needs to go on."""
    _write_together(hub)


def test_a_crowd_gets_through_on_sqlite_too(tmp_path: Path) -> None:
    with opened(alone, tmp_path) as hub:
        hub.push()
        hub.settle()
        _write_together(hub)


def _write_together(hub: Outgrown) -> None:
    together = Barrier(CROWD)

    def write(_: int) -> None:
        together.wait()
        hub.reply()

    with ThreadPoolExecutor(CROWD) as pool:
        list(pool.map(write, range(CROWD)))
    hub.settle()


def _longest(*acts: Callable[[], object]) -> float:
    """Seconds of the slowest of many requests."""
    taken = []
    for _ in range(20):
        for act in acts:
            began = time.perf_counter()
            act()
            taken.append(time.perf_counter() - began)
    return max(taken)
