"""Background work as threads: woken by a nudge, not stopped by a failure, ended in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event

import pytest

from hub.runtime import Hub
from hub.worker import embedded
from hub.worker.embedded import EmbeddedWorker
from hub.worker.jobs import JOBS, Job
from tests.servers import wait_until

LONG = 3600.0


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Iterator[Callable[..., EmbeddedWorker]]:
    """Start a worker with jobs of the test's own; nothing looks by itself for an hour."""
    workers: list[EmbeddedWorker] = []

    def start(**jobs: Job) -> EmbeddedWorker:
        monkeypatch.setattr(embedded, "JOBS", jobs)
        worker = EmbeddedWorker()
        worker.start(hub)
        workers.append(worker)
        return worker

    monkeypatch.setattr(embedded, "FAILED_PAUSE_SECONDS", 0.01)
    yield start
    for worker in workers:
        worker.stop()
        assert not any(thread.is_alive() for thread in worker._threads)


def test_a_job_looks_at_once_and_until_there_is_nothing(run: Callable[..., EmbeddedWorker]) -> None:
    left = [3, 2, 1, 0]
    run(dig=Job(lambda hub: left.pop(0), LONG))
    wait_until(lambda: not left, what="the work's end")


def test_a_nudge_wakes_only_its_job(run: Callable[..., EmbeddedWorker]) -> None:
    looked: list[str] = []
    worker = run(
        dig=Job(lambda hub: looked.append("dig") or 0, LONG),
        fill=Job(lambda hub: looked.append("fill") or 0, LONG),
    )
    wait_until(lambda: len(looked) == 2, what="the first look")
    worker.nudge("dig")
    wait_until(lambda: len(looked) == 3, what="the second look")
    assert sorted(looked) == ["dig", "dig", "fill"]


def test_a_nudge_during_the_work_is_not_lost(run: Callable[..., EmbeddedWorker]) -> None:
    at_it, go_on, looks = Event(), Event(), []

    def dig(hub: Hub) -> int:
        looks.append(1)
        at_it.set()
        assert go_on.wait(10)
        return 0

    worker = run(dig=Job(dig, LONG))
    assert at_it.wait(10)
    worker.nudge("dig")
    go_on.set()
    wait_until(lambda: len(looks) == 2, what="the second look")


def test_without_a_nudge_it_looks_by_itself(run: Callable[..., EmbeddedWorker]) -> None:
    looks: list[int] = []
    run(dig=Job(lambda hub: looks.append(1) or 0, 0.01))
    wait_until(lambda: len(looks) > 3, what="several looks")


def test_a_job_that_fails_is_tried_again_and_stops_nobody(run: Callable[..., EmbeddedWorker]) -> None:
    tries: list[int] = []
    fine = Event()

    def dig(hub: Hub) -> int:
        tries.append(1)
        raise ZeroDivisionError

    run(dig=Job(dig, 0.01), fill=Job(lambda hub: fine.set() or 0, LONG))
    wait_until(lambda: len(tries) > 2, what="another try")
    assert fine.wait(10)


def test_the_end_comes_after_the_piece_it_is_at(run: Callable[..., EmbeddedWorker]) -> None:
    pieces: list[int] = []
    began = Event()

    def dig(hub: Hub) -> int:
        began.set()
        pieces.append(1)
        return 1

    worker = run(dig=Job(dig, LONG, gap_seconds=0.001))
    assert began.wait(10)
    worker.stop()
    done = len(pieces)
    assert not any(thread.is_alive() for thread in worker._threads)
    assert len(pieces) == done


def test_the_real_jobs_run_on_an_empty_hub(hub: Hub) -> None:
    assert {name: job.run(hub) for name, job in JOBS.items()} == dict.fromkeys(JOBS, 0)
