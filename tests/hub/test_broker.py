"""Nudges: sent when they can be, and never waited for."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from threading import Thread, main_thread

import pytest
from redis import Redis
from structlog.testing import capture_logs

from hub import broker
from hub.broker import QUEUE, Nudger
from hub.settings import Settings
from tests.servers import redis_server, wait_until


def test_many_nudges_of_a_job_are_few_tasks(redis_url: str) -> None:
    nudger = Nudger(Settings(broker_url=redis_url))
    for _ in range(500):
        nudger("receive")
        nudger("analyse")
    wait_until(lambda: set(_sent(redis_url)) == {"receive", "analyse"}, what="both nudges")
    assert len(_sent(redis_url)) < 50


def test_a_nudge_waits_for_a_broker_that_is_away_and_nobody_waits_for_it() -> None:
    with redis_server() as server:
        nudger = Nudger(Settings(broker_url=server.url()))
        nudger("plan")
        wait_until(lambda: _sent(server.url()) == ["plan"], what="the nudge")
        server.kill()
        began = time.perf_counter()
        for _ in range(100):
            nudger("deliver")
        assert time.perf_counter() - began < 0.5
        server.start()
        wait_until(lambda: "deliver" in _sent(server.url()), what="the nudge that waited")


@pytest.mark.parametrize(("ending", "said"), [(False, 1), (True, 0)])
def test_a_process_that_ends_says_nothing_of_the_broker(
    monkeypatch: pytest.MonkeyPatch, ending: bool, said: int
) -> None:
    class Ended:
        def send_task(self, *args: object, **options: object) -> None:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    nudger = Nudger(Settings(broker_url="redis://127.0.0.1:1"))
    monkeypatch.setattr(nudger, "_app", Ended())
    monkeypatch.setattr(broker, "main_thread", lambda: Thread() if ending else main_thread())
    with capture_logs() as logs:
        assert nudger._send({"plan"}) == {"plan"}
    assert len(logs) == said


def _sent(url: str) -> list[str]:
    """The jobs that the nudges in the queue name; they stay there."""
    with Redis.from_url(url) as connection:
        tasks = [json.loads(each) for each in connection.lrange(QUEUE, 0, -1)]
    return [json.loads(b64decode(task["body"]))[0][0] for task in tasks]
