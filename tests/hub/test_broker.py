"""Nudges: sent when they can be, and never waited for."""

from __future__ import annotations

import json
import time
from base64 import b64decode

from redis import Redis

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


def _sent(url: str) -> list[str]:
    """The jobs that the nudges in the queue name; they stay there."""
    with Redis.from_url(url) as connection:
        tasks = [json.loads(each) for each in connection.lrange(QUEUE, 0, -1)]
    return [json.loads(b64decode(task["body"]))[0][0] for task in tasks]
