"""Background work by Celery: one task, "look now", and a beat that looks anyway."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Semaphore

from celery import Celery
from celery.signals import worker_shutdown
from celery.worker import state
from celery.worker.request import Request

from hub.broker import TASK, connected
from hub.runtime import Hub, open_hub
from hub.settings import Settings
from hub.worker.jobs import JOBS

# Slow vendors leave a worker's other threads to the other jobs.
MOST_TURNS = 2


def celery_app(settings: Settings) -> Celery:
    """The Celery application for these settings. Raises: ValueError without a broker."""
    if not settings.broker_url:
        raise ValueError(
            "HUB_BROKER_URL is not set: without a broker, `hub serve` does the background work itself"
        )
    app = connected(settings)
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
    turns = {name: Turns(min(job.threads, MOST_TURNS)) for name, job in JOBS.items()}

    @app.task(name=TASK, Request=Unacknowledged)  # type: ignore[untyped-decorator]
    def look(job: str) -> None:
        # Who is told to end finishes the piece it is at.
        turns[job].take(lambda: JOBS[job].run(opened.get()) if state.should_stop is None else 0)

    return app


class Unacknowledged(Request):  # type: ignore[misc]
    """A task that is not acknowledged: where the connection is lost meanwhile, that ends Celery's worker."""

    def acknowledge(self) -> None:
        self.acknowledged = True

    def reject(self, requeue: bool = False) -> None:
        self.acknowledged = True


class Turns:
    """Lets so many threads at a time look for work of a job; who comes meanwhile has them look once more.

    So a flood of nudges never takes all threads, and the other jobs have theirs.
    """

    def __init__(self, threads: int = 1) -> None:
        self._asked = Event()
        self._free = Semaphore(threads)

    def take(self, run: Callable[[], int]) -> None:
        """Run until there is nothing more to do, here or where somebody is at it already."""
        self._asked.set()
        while self._asked.is_set() and self._free.acquire(blocking=False):
            try:
                self._asked.clear()
                while run():
                    pass
            finally:
                self._free.release()


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
