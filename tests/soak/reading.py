"""What the soaks of connectors share: a hub that reads a channel in real processes, which are killed.

Two set-ups: `sqlite` is `hub serve` by itself, `postgres` has PostgreSQL, Redis, `hub serve`, two Celery
workers, two beats and `hub listen`.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.servers import Process, hub_listen, wait_until
from tests.soak.ground import Ground, alone, outgrown

LEASE_SECONDS = 6
# Longer than a heartbeat takes to come: what is not renewed within it has nobody.
SILENT_SECONDS = 4.0
LOOK_SECONDS = 0.2
DOWN_SECONDS = 3.0
SETTINGS = {"HUB_FETCH_LEASE_SECONDS": str(LEASE_SECONDS)}
SET_UPS = ("sqlite", "postgres")


@dataclass
class Reading:
    """A hub with one channel. `readers` are the processes that may have it in hand."""

    ground: Ground
    readers: Mapping[str, Process]
    engine: Engine
    channel: str = ""
    killed: list[str] = field(default_factory=list)
    orphaned: int = 0

    def connect(self, name: str, connector: str, settings: Mapping[str, Any]) -> None:
        """Add the channel as a person would, on the command line."""
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self.ground.hub(["channels", "add", name, "--connector", connector, "--poll-seconds", "5", *pairs])
        self.channel = name

    def rows(self, query: str, **values: Any) -> list[Any]:
        """What the database says; asked again while it is busy."""
        while True:
            try:
                with self.engine.connect() as connection:
                    return list(connection.execute(text(query), values))
            except OperationalError:
                time.sleep(LOOK_SECONDS)

    def stored(self) -> int:
        """How many messages and rejects there are."""
        ((count,),) = self.rows("SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM rejects)")
        return int(count)

    def wait_for(self, records: float, ends_at: float) -> None:
        """Until so many are stored. Raises: TimeoutError, RuntimeError where a process ended by itself."""

        def there() -> bool:
            time.sleep(LOOK_SECONDS)
            for name, process in self.readers.items():
                if not process.running:
                    raise RuntimeError(f"{name} ended by itself: {process.output_since_start()[-2000:]}")
            return self.stored() >= records

        wait_until(there, deadline_seconds=ends_at - time.monotonic(), what=f"record {records:.0f}")

    def kill(self, chance: random.Random, *, times: int = 1) -> str:
        """kill -9 one of the readers, again while it starts where there are more `times`, and start it.

        It says which, and whether a lease was left behind by it, which another has to wait for.
        """
        name = chance.choice(sorted(self.readers))
        process = self.readers[name]
        process.kill()
        before = self.leases()
        for _ in range(times - 1):
            process.start(wait=False)
            time.sleep(chance.random() * DOWN_SECONDS)
            process.kill()
        time.sleep(SILENT_SECONDS)
        left = before & self.leases()
        process.start(wait=False)
        self.killed += [name] * times
        self.orphaned += len(left)
        return f"{name} {times} times, {len(left)} leases left behind"

    def leases(self) -> set[tuple[str, str, str]]:
        """The leases that somebody holds, and until when."""
        query = "SELECT mode, lease, leased_until FROM feeds WHERE lease IS NOT NULL"
        return {(str(row[0]), str(row[1]), str(row[2])) for row in self.rows(query)}

    def failures(self) -> list[Any]:
        """What fetching and listening had to complain about last."""
        return self.rows("SELECT mode, trouble, error FROM feeds WHERE trouble IS NOT NULL")


@contextmanager
def reading(set_up: str, folder: Path) -> Iterator[Reading]:
    """A hub in one of the `SET_UPS`, running."""
    with (alone if set_up == "sqlite" else outgrown)(folder, **SETTINGS) as ground:
        readers: dict[str, Process] = {"web": ground.web}
        engine = create_engine(ground.database_url, pool_pre_ping=True)
        if set_up == "sqlite":
            yield Reading(ground, readers, engine)
        else:
            listening = hub_listen(ground.settings, folder)
            workers = {name: part for name, part in ground.parts.items() if name.endswith("worker")}
            with listening:
                parts = {"listen": listening, **workers}
                readers = {name: part for name, part in parts.items() if isinstance(part, Process)}
                yield Reading(ground, readers, engine)
        engine.dispose()


def say(line: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stdout.flush()
