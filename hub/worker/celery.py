"""Background work by Celery: one task, "look now", and a beat that looks anyway."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from threading import Condition, Event, Lock, Thread

from celery import Celery
from celery.signals import worker_shutdown
from celery.worker import state
from celery.worker.request import Request
from kombu.entity import Exchange, Queue

from hub import log
from hub.runtime import Hub, open_hub
from hub.settings import Settings
from hub.worker.jobs import JOBS

logger = log.get(__name__)
TASK = "hub.look"
QUEUE = "hub"
# A flood of nudges is thinned out to this.
NUDGE_PAUSE_SECONDS = 0.05
AWAY_PAUSE_SECONDS = 1.0
FINISH_SECONDS = 2.0


def celery_app(settings: Settings) -> Celery:
    """The Celery application for these settings. Raises: ValueError without a broker."""
    if not settings.broker_url:
        raise ValueError(
            "HUB_BROKER_URL is not set: without a broker, `hub serve` does the background work itself"
        )
    app = _connected(settings)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_hijack_root_logger=False,
        timezone="UTC",
        beat_schedule={
            name: {
                "task": TASK,
                "schedule": job.every_seconds,
                "args": [name],
                # A broker that was away is not flooded with what it missed.
                "options": {"expires": job.every_seconds},
            }
            for name, job in JOBS.items()
        },
    )

    opened = _Opened(settings)
    turns = {name: Turns() for name in JOBS}

    @app.task(name=TASK, Request=Unacknowledged)  # type: ignore[untyped-decorator]
    def look(job: str) -> None:
        # Who is told to end finishes the piece it is at.
        turns[job].take(lambda: JOBS[job].run(opened.get()) if state.should_stop is None else 0)

    return app


def _connected(settings: Settings) -> Celery:
    app = Celery("hub", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        # Nothing is acknowledged and nothing is handed out twice: what a nudge stands for is stored.
        task_queues=[Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE, no_ack=True)],  # type: ignore[no-untyped-call]
        task_default_queue=QUEUE,
        task_ignore_result=True,
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 10}
        if settings.broker_url.startswith("redis")
        else {},
    )
    return app


class Unacknowledged(Request):  # type: ignore[misc]
    """A task that is not acknowledged: where the connection is lost meanwhile, that ends Celery's worker."""

    def acknowledge(self) -> None:
        self.acknowledged = True

    def reject(self, requeue: bool = False) -> None:
        self.acknowledged = True


class Nudger:
    """Tells the workers to look, from a thread of its own: nobody who has work done waits for the broker.

    Nudges of one job that wait are one, and while the broker is away they wait; whoever ends first loses
    them, and the beat finds what they were about.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = _connected(settings)
        self._due: set[str] = set()
        self._sending = False
        self._away = False
        self._changed = Condition()
        self._thread: Thread | None = None

    def __call__(self, job: str) -> None:
        """Have `job` look soon."""
        with self._changed:
            self._due.add(job)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = Thread(target=self._send_all, name="nudger", daemon=True)
                self._thread.start()
                atexit.register(self._finish)

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
                jobs, self._due, self._sending = self._due, set(), True
            left = self._send(jobs)
            with self._changed:
                self._due |= left
                self._sending = False
                self._changed.notify_all()
            time.sleep(AWAY_PAUSE_SECONDS if left else NUDGE_PAUSE_SECONDS)

    def _send(self, jobs: set[str]) -> set[str]:
        """Send nudges; those that did not go out."""
        left = set(jobs)
        for job in sorted(jobs):
            try:
                # The beat sends with `retry`: without it, it keeps a connection to RabbitMQ that was lost.
                self._app.send_task(TASK, args=[job], retry=False)
            except Exception as error:
                if not self._away:
                    logger.warning("broker_away", error=type(error).__name__)
                self._away = True
                return left
            left.discard(job)
        self._away = False
        return left

    def _finish(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not (self._due or self._sending), FINISH_SECONDS)


class Turns:
    """Lets one thread at a time look for work of a job; who comes meanwhile has it look once more, and goes.

    So a flood of nudges never takes all threads, and the other jobs have theirs.
    """

    def __init__(self) -> None:
        self._asked = Event()
        self._busy = Lock()

    def take(self, run: Callable[[], int]) -> None:
        """Run until there is nothing more to do, here or where somebody is at it already."""
        self._asked.set()
        while self._asked.is_set() and self._busy.acquire(blocking=False):
            try:
                self._asked.clear()
                while run():
                    pass
            finally:
                self._busy.release()


class _Opened:
    """The hub of this process, opened by the first job; at every try anew until its database answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = Lock()
        self._hub: Hub | None = None

    def get(self) -> Hub:
        """The hub. Raises whatever opening it raises."""
        with self._opening:
            if self._hub is None:
                self._hub = open_hub(self._settings)
                worker_shutdown.connect(lambda **_: self.close(), weak=False)
            return self._hub

    def close(self) -> None:
        """Give its connections back."""
        if self._hub is not None:
            self._hub.close()
