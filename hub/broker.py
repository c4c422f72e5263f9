"""The broker, as far as everybody needs it: where nudges go, and how they are sent."""

from __future__ import annotations

import atexit
import time
from threading import Condition, Thread, main_thread

from celery import Celery
from kombu.entity import Exchange, Queue

from hub import log
from hub.settings import Settings

logger = log.get(__name__)
TASK = "hub.look"
QUEUE = "hub"
# A flood of nudges is thinned out to this.
NUDGE_PAUSE_SECONDS = 0.05
AWAY_PAUSE_SECONDS = 1.0
FINISH_SECONDS = 2.0


def connected(settings: Settings) -> Celery:
    """A Celery application that knows the broker and the one queue, and no task yet."""
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


class Nudger:
    """Tells the workers to look, from a thread of its own: nobody who has work done waits for the broker.

    Nudges of one job that wait are one, and while the broker is away they wait; whoever ends first loses
    them, and the beat finds what they were about.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = connected(settings)
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
                # When the process ends, nothing can be sent any more; that says nothing of the broker.
                if not self._away and main_thread().is_alive():
                    logger.warning("broker_away", error=type(error).__name__)
                self._away = True
                return left
            left.discard(job)
        self._away = False
        return left

    def _finish(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not (self._due or self._sending), FINISH_SECONDS)
