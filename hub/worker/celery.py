"""Background work by Celery: one task, "look now", and a beat that looks anyway."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock

from celery import Celery
from celery.signals import worker_shutdown
from kombu.exceptions import OperationalError

from hub import log
from hub.runtime import Hub, open_hub
from hub.settings import Settings
from hub.worker.jobs import JOBS

logger = log.get(__name__)
TASK = "hub.look"


def celery_app(settings: Settings) -> Celery:
    """The Celery application for these settings. Raises: ValueError without a broker."""
    if not settings.broker_url:
        raise ValueError(
            "HUB_BROKER_URL is not set: without a broker, `hub serve` does the background work itself"
        )
    app = Celery("hub", broker=settings.broker_url)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        # A nudge that cannot go out is dropped at once: the beat finds what it left.
        task_publish_retry=False,
        broker_transport_options=(
            {
                "visibility_timeout": settings.broker_visibility_seconds,
                "socket_connect_timeout": 2,
                "socket_timeout": 10,
                "unacked_restore_throttle": 1,
            }
            if settings.broker_url.startswith("redis")
            else {}
        ),
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

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def look(job: str) -> None:
        turns[job].take(lambda: JOBS[job].run(opened.get()))

    return app


def nudger(settings: Settings) -> Callable[[str], None]:
    """A way to tell the workers to look; never fails, since the work itself is stored."""
    app = Celery("hub", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_publish_retry=False,
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5}
        if settings.broker_url.startswith("redis")
        else {},
    )

    def send(job: str) -> None:
        try:
            app.send_task(TASK, args=[job], retry=False)
        except (OperationalError, OSError) as error:
            logger.warning("nudge_lost", job=job, error=type(error).__name__)

    return send


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
