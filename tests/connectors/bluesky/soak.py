"""Nothing lost, nothing doubled: `python -m tests.connectors.bluesky.soak --posts 5000 --interruptions 20`.

People on the local network (`make network`) write to a brand while a hub reads it in real processes, by
fetching and by its open line: by default Celery workers and `hub listen` on PostgreSQL and Redis. At random
points one of those processes is killed (kill -9), and some of them again and again while they start. In the
end every post must be there once. Then the latency is measured from before a post is written to when its
conversation is seen in the queue. It ends with status 1 where something is lost or doubled, and by itself
after `--seconds` a set-up.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.connectors.bluesky.people import PASSWORD, Person, mentioning
from tests.servers import Unavailable, wait_until
from tests.servers.bluesky import BlueskyNetwork, bluesky_network
from tests.soak.reading import SET_UPS, Reading, reading, say

WRITERS = 5
AT_ONCE = 25
# Every third time the process is killed three times in a row, within its start.
BACK_TO_BACK = (1, 1, 3)
LATENCY_POSTS = 200
LATENCY_PAUSE_SECONDS = 0.05
LOOK_SECONDS = 0.01
QUEUED_WITHIN_SECONDS = 120
QUEUED = """
    SELECT 1 FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.external_id = :uri AND c.reply_by IS NOT NULL
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--posts", type=int, default=5_000)
    parser.add_argument("--interruptions", type=int, default=20)
    parser.add_argument("--latency-posts", type=int, default=LATENCY_POSTS)
    parser.add_argument("--on", choices=SET_UPS, nargs="+", default=["postgres"])
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--seconds", type=float, default=1_800, help="give up after so many a set-up")
    told = parser.parse_args()
    try:
        return max(soak(set_up, told) for set_up in told.on)
    except Unavailable as error:
        say(f"not available: {error}")
        return 1


def soak(set_up: str, told: argparse.Namespace) -> int:
    """0 where every post is there once."""
    with (
        bluesky_network() as network,
        tempfile.TemporaryDirectory() as folder,
        reading(set_up, Path(folder)) as hub,
    ):
        brand = Person(network.url, "brand")
        hub.connect("bluesky", "bluesky", settings(network, brand))
        wrong = interrupted(set_up, network, brand, hub, told) if told.posts else False
        latencies = sorted(streamed(network, brand, hub, told.latency_posts))
        if latencies:
            p95 = latencies[int(len(latencies) * 0.95) - 1]
            median = latencies[len(latencies) // 2]
            say(f"{set_up}: stream: {len(latencies)} posts, median {median:.3f} s, p95 {p95:.3f} s")
    return 1 if wrong else 0


def interrupted(
    set_up: str, network: BlueskyNetwork, brand: Person, hub: Reading, told: argparse.Namespace
) -> bool:
    """Whether anything was lost or doubled while the processes were killed again and again."""
    written: list[str] = []
    writer = threading.Thread(target=write, args=(network, brand, told.posts, written), daemon=True)
    chance = random.Random(told.seed)
    began = time.monotonic()
    ends_at = began + told.seconds
    writer.start()
    try:
        for number in range(told.interruptions):
            # A point in the work, wherever that is just then: after a share of the posts, and a moment more.
            hub.wait_for(told.posts * (number + chance.random()) / told.interruptions, ends_at)
            time.sleep(chance.random())
            what = hub.kill(chance, times=BACK_TO_BACK[number % len(BACK_TO_BACK)])
            say(f"{number + 1:2} killed {what}: {hub.stored():,} of {len(written):,} stored")
        writer.join(max(0.0, ends_at - time.monotonic()))
        hub.wait_for(told.posts, ends_at)
    except TimeoutError as error:
        say(f"{error}; {hub.failures()}")
    rows = hub.rows("SELECT external_id, body FROM messages")
    lost = set(written) - {row[0] for row in rows}
    doubled = [
        each for place in (0, 1) for each, count in Counter(row[place] for row in rows).items() if count > 1
    ]
    say(
        f"{set_up}: {len(written):,} posts written, {len(rows):,} stored, {len(hub.killed)} kills "
        f"({dict(Counter(hub.killed))}, {hub.orphaned} leases left behind); "
        f"{len(lost)} lost, {len(doubled)} doubled; {time.monotonic() - began:.0f} s"
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


def streamed(network: BlueskyNetwork, brand: Person, hub: Reading, posts: int) -> Iterator[float]:
    """Seconds from before a post is written until its conversation is seen in the queue."""
    if not posts:
        return
    person = Person(network.url, "listened")
    opened = "SELECT 1 FROM feeds WHERE mode = 'stream' AND opened_at IS NOT NULL AND trouble IS NULL"
    wait_until(lambda: hub.rows(opened), deadline_seconds=QUEUED_WITHIN_SECONDS, what="the line")
    fetched = hub.rows("SELECT worked_at FROM feeds WHERE mode = 'fetch'")
    for number in range(posts):
        began = time.monotonic()
        uri = person.post_all([mentioning(brand, f"are you open at {number}?")])[0]
        while not hub.rows(QUEUED, uri=uri):
            if time.monotonic() > began + QUEUED_WITHIN_SECONDS:
                raise TimeoutError(f"{uri} is not in the queue; {hub.failures()}")
            time.sleep(LOOK_SECONDS)
        yield time.monotonic() - began
        time.sleep(LATENCY_PAUSE_SECONDS)
    if hub.rows("SELECT worked_at FROM feeds WHERE mode = 'fetch'") != fetched:
        say("It was fetched too meanwhile.")


def settings(network: BlueskyNetwork, brand: Person) -> dict[str, Any]:
    return {
        "handle": brand.handle,
        "app_password": PASSWORD,
        "service_url": network.url,
        "stream_format": "firehose",
        "stream_url": network.firehose_url,
        "overlap_minutes": 1,
    }


if __name__ == "__main__":
    sys.exit(main())
