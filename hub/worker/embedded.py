"""Background work as threads of this process: no broker, no other process."""

from __future__ import annotations

import time
from threading import Event, Thread

from hub import log
from hub.channels.streaming import Streams
from hub.runtime import Hub
from hub.worker.jobs import JOBS, Job

logger = log.get(__name__)
FAILED_PAUSE_SECONDS = 2.0


class EmbeddedWorker:
    """Threads for each job, woken by `nudge`, and the open lines of the channels that have any."""

    def __init__(self) -> None:
        self._wake = {name: Event() for name in JOBS}
        self._stop = Event()
        self._threads: list[Thread] = []
        self._streams = Streams()

    def nudge(self, job: str) -> None:
        """Have `job` look now."""
        self._wake[job].set()

    def start(self, hub: Hub) -> None:
        """Begin; the threads end with the process at the latest."""
        for name, job in JOBS.items():
            for number in range(job.threads):
                thread = Thread(
                    target=self._loop, args=(hub, name, job), name=f"job-{name}-{number}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
        self._streams.start(hub)

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Let every job finish the piece it is at."""
        self._stop.set()
        for wake in self._wake.values():
            wake.set()
        self._streams.stop()
        ends_at = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))

    def _loop(self, hub: Hub, name: str, job: Job) -> None:
        wake = self._wake[name]
        while not self._stop.is_set():
            wake.clear()
            try:
                while not self._stop.is_set() and job.run(hub):
                    self._stop.wait(job.gap_seconds)
            except Exception:
                logger.exception("job_failed", job=name)
                self._stop.wait(FAILED_PAUSE_SECONDS)
            self._stop.wait(job.gap_seconds)
            if not self._stop.is_set():
                wake.wait(job.every_seconds)
