"""Background work by Celery: one task, "look now", and a beat that looks anyway."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from celery import Celery
from celery.signals import worker_process_shutdown
from kombu.exceptions import OperationalError

from hub import log
from hub.runtime import Hub
from hub.settings import Settings

logger = log.get(__name__)
TASK = "hub.look"


def celery_app(settings: Settings) -> Celery:
    """The Celery application for these settings. Raises: ValueError without a broker."""
    from hub.worker.jobs import JOBS

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

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def look(job: str) -> None:
        hub = _hub()
        while JOBS[job].run(hub):
            pass

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


@cache
def _hub() -> Hub:
    # Made in the worker's own process, since a database connection and torch's threads do not survive a fork.
    from hub.runtime import open_hub

    hub = open_hub(Settings())
    worker_process_shutdown.connect(lambda **_: hub.close(), weak=False)
    return hub
