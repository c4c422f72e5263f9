"""The hub's own processes, as a user would start them."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.servers.process import Process, free_port

ROOT = Path(__file__).parents[2]
# Seconds by itself, minutes on a machine with much else to do.
STARTING_SECONDS = 240
COMMAND = (sys.executable, "-c", "from hub.cli import app; app()")


def hub_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This environment with these `HUB_*` settings and no others, the model offline and on one thread."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        **settings,
    }


class Web(Process):
    """`hub serve` on a port of its own; `url` is its address."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            [*COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port)],
            name="web",
            log=folder / "web.log",
            ready=lambda _: is_ok(f"{self.url}/readyz"),
            env=hub_environment(settings),
            cwd=folder,
            deadline_seconds=STARTING_SECONDS,
        )


def hub_web(settings: Mapping[str, str], folder: Path) -> Web:
    """The web process, not started yet; ready once `/readyz` is. It runs in `folder`: no `.env` is read."""
    return Web(settings, folder)


def hub_worker(settings: Mapping[str, str], folder: Path, *options: str, name: str = "worker") -> Process:
    """`hub worker`, not started yet; ready once Celery says so. It runs in `folder`: no `.env` is read."""
    return Process(
        [*COMMAND, "worker", *options],
        name=name,
        log=folder / f"{name}.log",
        ready=says_ready,
        env=hub_environment(settings),
        cwd=folder,
        deadline_seconds=STARTING_SECONDS,
    )


def hub_listen(settings: Mapping[str, str], folder: Path) -> Process:
    """`hub listen`, not started yet; ready once it says so. It runs in `folder`: no `.env` is read."""
    return Process(
        [*COMMAND, "listen"],
        name="listen",
        log=folder / "listen.log",
        ready=says_ready,
        env=hub_environment(settings),
        cwd=folder,
        deadline_seconds=STARTING_SECONDS,
    )


def says_ready(process: Process) -> bool:
    """Whether a worker, the beat or the listener has said that it is."""
    return " ready." in process.output_since_start()


def is_ok(url: str) -> bool:
    """Whether it is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
