"""The hub in its two set-ups, as real processes that can be killed and started again."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.servers import hub_environment, hub_web, hub_worker, postgres_server, redis_server
from tests.servers.hub import Web
from tests.soak.vendor import Vendor

# Short, so that what a killed process had in hand is taken up again soon.
QUICK = {
    "HUB_ANALYSIS_LEASE_SECONDS": "3",
    "HUB_DELIVERY_LEASE_SECONDS": "3",
    "HUB_ANALYSIS_BATCH": "32",
    "HUB_MODEL_THREADS": "1",
}
VENDOR_TIMEOUT_SECONDS = 1


class Part(Protocol):
    """Something that can be killed and started again."""

    def kill(self) -> None: ...
    def start(self) -> Any: ...


@dataclass(frozen=True)
class Ground:
    """A running hub. `parts` are what may be killed, by name."""

    settings: Mapping[str, str]
    folder: Path
    database_url: str
    web: Web
    parts: Mapping[str, Part]

    def hub(self, *commands: Sequence[str]) -> list[Any]:
        """What each of these commands of the hub says with `--json`; in one process, which starts quicker."""
        lines = [[*words, "--json"] for words in commands]
        script = f"from hub.cli import app\nfor words in {lines!r}: app(words, standalone_mode=False)"
        told = subprocess.run(
            [sys.executable, "-c", script],
            env=hub_environment(self.settings),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        return [json.loads(line) for line in told.stdout.splitlines()]


SetUp = Callable[[Path], AbstractContextManager[Ground]]


@dataclass(frozen=True)
class Channel:
    """A webhook channel of the hub, and what pushes to it are signed with."""

    name: str
    secret: str


@contextlib.contextmanager
def alone(folder: Path, **settings: str) -> Iterator[Ground]:
    """`hub serve` by itself, on SQLite."""
    settings = {**QUICK, "HUB_HOME": str(folder / "home"), **settings}
    web = hub_web(settings, folder).start()
    try:
        yield Ground(settings, folder, f"sqlite:///{folder / 'home' / 'hub.db'}", web, {"web": web})
    finally:
        web.kill()


@contextlib.contextmanager
def outgrown(folder: Path, **settings: str) -> Iterator[Ground]:
    """`hub serve`, two workers and, since one too many must do no harm, two beats; PostgreSQL and Redis."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        redis = stack.enter_context(redis_server(durable=True))
        url = postgres.create_database("hub")
        settings = {
            **QUICK,
            "HUB_HOME": str(folder / "home"),
            "HUB_SECRET_KEY": secrets.token_urlsafe(48),
            "HUB_DATABASE_URL": url,
            "HUB_BROKER_URL": redis.url(),
            **settings,
        }
        web = hub_web(settings, folder)
        workers = {name: hub_worker(settings, folder, name=name) for name in ("worker", "other worker")}
        beats = {name: hub_worker(settings, folder, "--beat", name=name) for name in ("beat", "other beat")}
        processes = [web, *workers.values(), *beats.values()]
        for process in processes:
            stack.callback(process.start(wait=False).kill)
        for process in processes:
            process.wait_ready()
        yield Ground(
            settings,
            folder,
            url,
            web,
            {"web": web, **workers, **beats, "broker": redis, "database": postgres},
        )


def populate(
    ground: Ground, vendor: Vendor, channels: Sequence[str], can_be_asked: Sequence[str] = (), *, agents: int
) -> tuple[list[Channel], list[str]]:
    """Webhook channels whose replies go to `vendor`, and the tokens of new agents.

    Of channels that `can_be_asked` the vendor tells what became of a reply.
    """
    commands: list[list[str]] = []
    for name in channels:
        vendor.secrets[name] = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
        values = {
            "reply_url": f"{vendor.url}/{name}",
            "reply_secret": vendor.secrets[name],
            "timeout_seconds": str(VENDOR_TIMEOUT_SECONDS),
            **({"status_url": f"{vendor.url}/{name}/{{key}}"} if name in can_be_asked else {}),
        }
        pairs = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        commands.append(["channels", "add", name, "--connector", "webhook", *pairs])
    for email in (f"agent{number}@example.com" for number in range(agents)):
        commands.append(["users", "add", email, "--name", email, "--role", "agent", "--generate"])
        commands.append(["users", "token", email])
    told = ground.hub(*commands)
    made = [Channel(each["name"], each["secret"]) for each in told if "secret" in each]
    return made, [each["token"] for each in told if "token" in each]
