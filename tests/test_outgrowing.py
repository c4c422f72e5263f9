"""docker-compose.yml's services as processes here: the same commands and settings, on real servers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.database import Database
from tests.servers import Process, free_port, hub_environment, wait_until
from tests.servers.hub import COMMAND, is_ok, says_ready
from tests.soak.audit import Audit

COMPOSE = yaml.safe_load((Path(__file__).parents[1] / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = {
    name: service for name, service in COMPOSE["services"].items() if "build" in service
}


# Their health checks are slow to ask again and again.
READY = {"worker": says_ready, "beat": says_ready, "listen": says_ready}


class Composed:
    """All our services, running; `run` is `docker compose exec web hub …`."""

    def __init__(self, settings: dict[str, str], port: int, folder: Path) -> None:
        self.environment = hub_environment(settings)
        self.port = port
        self.folder = folder
        self.processes = {name: self._process(name) for name in SERVICES}

    def run(self, *words: str) -> Any:
        """What a command says with `--json`."""
        told = subprocess.run(
            [*COMMAND, *words, "--json"],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    def _process(self, name: str) -> Process:
        program, *words = map(self._here, SERVICES[name]["command"])
        assert program == "hub"
        return Process(
            [*COMMAND, *words],
            name=name,
            log=self.folder / f"{name}.log",
            ready=READY.get(name, lambda _: is_ok(f"http://127.0.0.1:{self.port}/readyz")),
            env=self.environment,
            cwd=self.folder,
        )

    def is_healthy(self, name: str) -> bool:
        """Ask as compose would."""
        how, *words = map(self._here, SERVICES[name]["healthcheck"]["test"])
        assert how == "CMD"
        command = [*COMMAND, *words[1:]] if words[0] == "hub" else words
        told = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, check=False
        )
        return told.returncode == 0

    def _here(self, word: str) -> str:
        return word.replace("0.0.0.0", "127.0.0.1").replace("8000", str(self.port))


@pytest.fixture
def composed(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Composed]:
    written: dict[str, str] = SERVICES["web"]["environment"]
    assert all(service["environment"] == written for service in SERVICES.values())
    given = {name: re.sub(r"\$\{\w+:(?:\?[^}]*|-([^}]*))\}", r"\1", value) for name, value in written.items()}
    here = {
        "HUB_HOME": str(tmp_path / "home"),
        "HUB_DATABASE_URL": postgres_url,
        "HUB_BROKER_URL": redis_url,
        "HUB_SECRET_KEY": "a secret of this test",
    }
    composed = Composed({**given, **here}, free_port(), tmp_path)
    with contextlib.ExitStack() as stack:
        for process in composed.processes.values():
            stack.enter_context(process.start(wait=False))
        for process in composed.processes.values():
            process.wait_ready()
        yield composed


def test_a_message_goes_through_all_of_them(composed: Composed, tmp_path: Path) -> None:
    """Taken in by the command line, analysed by a worker, seen in the queue."""
    # Some are asked in the same words, and the answer is the same.
    asked = {tuple(service["healthcheck"]["test"]): name for name, service in SERVICES.items()}
    assert [name for name in asked.values() if not composed.is_healthy(name)] == []
    posts = tmp_path / "posts.jsonl"
    posts.write_text(
        json.dumps({"id": "1", "author": "anna", "text": "My parcel is late and nobody answers!"})
    )

    told = composed.run("ingest", str(posts), "--channel", "posts")
    assert (told["received"], told["stored"]) == (1, 1)
    with closing(Database(composed.environment["HUB_DATABASE_URL"])) as database:
        audit = Audit(database.engine)
        wait_until(lambda: not audit.to_do(), deadline_seconds=60, what="the worker's analysis")
    (place,) = composed.run("queue")
    assert "negative" in json.dumps(place)
