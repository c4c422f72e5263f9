"""Nothing lost, nothing doubled: `python -m tests.connectors.bluesky.soak --posts 5000 --interruptions 20`.

People on the local network (`make network`) write to a brand while a process fetches into an SQLite database
through `hub.inbox.service.receive`. That process is killed (kill -9) at random points and started again. In
the end every post must be there once. Then the latency is measured from before a post is written to after it
is committed in the queue, by the stream. It ends with status 1 where something is lost or doubled.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from connectors.base import Batch
from connectors.bluesky.connector import BlueskyConfig, BlueskyConnector
from hub import migrations
from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.database import Database
from hub.inbox.service import receive
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY
from tests.connectors.bluesky.people import PASSWORD, Person, mentioning
from tests.servers import Process, Unavailable, wait_until
from tests.servers.bluesky import BlueskyNetwork, bluesky_network

ROOT = Path(__file__).parents[3]
WRITERS = 5
AT_ONCE = 25
SETTLING_SECONDS = 600
LATENCY_POSTS = 200
LATENCY_PAUSE_SECONDS = 0.05
QUEUED_WITHIN_SECONDS = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--posts", type=int, default=5_000)
    parser.add_argument("--interruptions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--fetch", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.fetch:
        fetch_for_ever(json.loads(told.fetch))
        return 0
    try:
        with bluesky_network() as network, tempfile.TemporaryDirectory() as folder:
            brand = Person(network.url, "brand")
            url = database_url(Path(folder))
            lost = interrupted(network, brand, Path(folder), url, told)
            latencies = sorted(streamed(network, brand, url))
    except Unavailable as error:
        say(f"not available: {error}")
        return 1
    p95 = latencies[int(len(latencies) * 0.95) - 1]
    say(f"stream: {len(latencies)} posts, median {latencies[len(latencies) // 2]:.3f} s, p95 {p95:.3f} s")
    return 1 if lost else 0


def interrupted(
    network: BlueskyNetwork, brand: Person, folder: Path, url: str, told: argparse.Namespace
) -> bool:
    """Whether anything was lost or doubled while the fetching process was killed again and again."""
    written: list[str] = []
    writer = threading.Thread(target=write, args=(network, brand, told.posts, written), daemon=True)
    chance = random.Random(told.seed)
    config = {"database": url, "settings": settings(network, brand)}
    fetching = Process(
        [sys.executable, "-m", "tests.connectors.bluesky.soak", "--fetch", json.dumps(config)],
        name="fetching",
        log=folder / "fetching.log",
        ready=lambda process: "fetching" in process.output_since_start(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    began = time.monotonic()
    fetching.start()
    writer.start()
    database = Database(url)
    for number in range(told.interruptions):
        # A point in the work, wherever that is just then: after a share of the posts, and a moment more.
        share = told.posts * (number + chance.random()) / told.interruptions
        wait_for(database, fetching, share)
        time.sleep(chance.random())
        fetching.kill()
        say(f"killed {number + 1:2} of {told.interruptions}: {stored(database):,} of {len(written):,} stored")
        fetching.start()
    writer.join()
    try:
        wait_for(database, fetching, told.posts)
    except TimeoutError as error:
        say(str(error))
    fetching.kill()
    with database.reading() as session:
        ids = Counter(session.scalars(select(Message.external_id)))
        texts = Counter(session.scalars(select(Message.body)))
    database.close()
    lost = set(written) - set(ids)
    doubled = [each for counts in (ids, texts) for each, count in counts.items() if count > 1]
    seconds = time.monotonic() - began
    say(
        f"fetch: {len(written):,} posts written, {sum(ids.values()):,} stored, {told.interruptions} kills, "
        f"{len(lost)} lost, {len(doubled)} doubled, {seconds:.0f} s"
    )
    return bool(lost or doubled or len(written) != told.posts)


def write(network: BlueskyNetwork, brand: Person, posts: int, written: list[str]) -> None:
    """Have people write to the brand, each post with a time and words of its own."""
    people = [Person(network.url, f"writer{number}") for number in range(WRITERS)]
    began = datetime.now(UTC) - timedelta(milliseconds=posts)
    records = [
        mentioning(brand, f"where is parcel {number}?", began + timedelta(milliseconds=number))
        for number in range(posts)
    ]
    for start in range(0, posts, AT_ONCE):
        person = people[start // AT_ONCE % WRITERS]
        written += person.post_all(records[start : start + AT_ONCE])


def fetch_for_ever(config: dict[str, Any]) -> None:
    """What is killed: fetch from the stored cursor, and store each batch with its own."""
    database = Database(config["database"])
    connector = BlueskyConnector(BlueskyConfig.model_validate(config["settings"]))
    say("fetching")
    while True:
        with database.reading() as session:
            channel_id, cursor = session.execute(select(Channel.id, Channel.cursor)).one()
        for batch in connector.fetch(cursor):
            store(database, channel_id, batch)


def streamed(network: BlueskyNetwork, brand: Person, url: str) -> Iterator[float]:
    """Seconds from before a post is written until its conversation is in the queue, by the stream alone."""
    person = Person(network.url, "listened")
    with listening(network, brand, url) as queued:
        for number in range(LATENCY_POSTS):
            began = time.monotonic()
            uri = person.post_all([mentioning(brand, f"are you open at {number}?")])[0]
            wait_until(partial(queued.__contains__, uri), deadline_seconds=QUEUED_WITHIN_SECONDS, what=uri)
            yield queued[uri] - began
            time.sleep(LATENCY_PAUSE_SECONDS)


@contextmanager
def listening(network: BlueskyNetwork, brand: Person, url: str) -> Iterator[dict[str, float]]:
    """When each post was committed; a thread listens to the stream and stores what it brings."""
    queued: dict[str, float] = {}
    opened, stopped = threading.Event(), threading.Event()
    connector = BlueskyConnector(BlueskyConfig.model_validate(settings(network, brand)))
    database = Database(url)

    def listen() -> None:
        with database.reading() as session:
            channel_id = session.scalars(select(Channel.id)).one()
        for batch in connector.stream(None, stopped.is_set):
            opened.set()
            store(database, channel_id, batch)
            at = time.monotonic()
            queued.update({getattr(item, "external_id", ""): at for item in batch.items})

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        opened.wait(QUEUED_WITHIN_SECONDS)
        yield queued
    finally:
        stopped.set()
        thread.join()
        connector.close()
        database.close()


def settings(network: BlueskyNetwork, brand: Person) -> dict[str, Any]:
    return {
        "handle": brand.handle,
        "app_password": PASSWORD,
        "service_url": network.url,
        "stream_format": "firehose",
        "stream_url": network.firehose_url,
        "overlap_minutes": 1,
    }


def database_url(folder: Path) -> str:
    """A database with one channel and the policy that a hub begins with."""
    url = f"sqlite:///{folder / 'hub.db'}"
    database = Database(url)
    migrations.upgrade(database)
    with database.session() as session:
        activate(session, DEFAULT_POLICY, datetime.now(UTC))
        session.add(
            Channel(
                name="bluesky", connector="bluesky", kind="social", created_at=datetime.now(UTC), config={}
            )
        )
    database.close()
    return url


def store(database: Database, channel_id: int, batch: Batch) -> None:
    with database.session() as session:
        receive(session, channel_id, batch, datetime.now(UTC))


def wait_for(database: Database, fetching: Process, posts: float) -> None:
    """Until so many posts are stored. Raises: TimeoutError, RuntimeError where fetching ended by itself."""

    def there() -> bool:
        if not fetching.running:
            raise RuntimeError(fetching.output_since_start()[-2000:])
        return stored(database) >= posts

    wait_until(there, deadline_seconds=SETTLING_SECONDS, what=f"post {posts:.0f}")


def stored(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Message)) or 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
