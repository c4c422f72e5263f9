"""A whole Bluesky on this machine: directory, server and AppView, as their makers test them.

`python -m tests.servers.bluesky` (`make network`) installs it: npm packages of 360 MB, one of them compiled,
two minutes. It is not among what `make servers` installs for every run of the tests; those that need it run
where it is. https://github.com/bluesky-social/atproto/tree/main/packages/dev-env
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.postgres import postgres_server
from tests.servers.process import Process, scratch_folder
from tests.servers.redis import redis_server
from tests.servers.unavailable import Unavailable

SOURCE = Path(__file__).parent
FOLDER = Path(__file__).parents[3] / "var" / "bluesky-network"
FILES = ("package.json", "package-lock.json", ".npmrc", "network.mjs", "loopback.cjs")
# better-sqlite3 in the version that it asks for is compiled with nothing newer.
OLDEST_NODE, NEWEST_NODE = 18, 22
COMPILED = "new (require('better-sqlite3'))(':memory:').close()"
NEEDED = (
    "It needs registry.npmjs.org, and for better-sqlite3 either github.com, where it lies compiled, or a "
    "compiler with Node's headers (apt install build-essential python3 libnode-dev; npm_config_nodedir=/usr "
    "where nodejs.org cannot be reached)."
)


@dataclass(frozen=True)
class BlueskyNetwork:
    """A running network; `url` is the server where accounts are made, with handles that end in `.test`, and
    `pictures_url` where pictures are shown."""

    process: Process
    url: str
    pictures_url: str

    @property
    def firehose_url(self) -> str:
        """Where com.atproto.sync.subscribeRepos is; there is no Jetstream."""
        return f"{self.url.replace('http', 'ws', 1)}/xrpc/com.atproto.sync.subscribeRepos"


def installed() -> bool:
    """Whether the packages that the lock names are in `var/bluesky-network`, and a Node that runs them."""
    stamp = FOLDER / "installed"
    return stamp.exists() and stamp.read_text() == _wanted() and _node() is not None


def install() -> None:
    """Install what the lock names; npm shows how it goes. Raises: Unavailable."""
    node, npm = _node(), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable(f"Node {OLDEST_NODE} to {NEWEST_NODE} with npm (apt install nodejs npm)")
    _copy_files()
    sys.stdout.write(f"Installing the Bluesky network into {FOLDER}: 360 MB, about two minutes.\n")
    sys.stdout.flush()
    if subprocess.call([npm, "ci", "--loglevel=http"], cwd=FOLDER, stdin=subprocess.DEVNULL):
        raise Unavailable(f"the Bluesky network: npm ci failed, see above. {NEEDED}")
    # npm may leave out the one package that is compiled, and end well all the same.
    opened = subprocess.run([node, "-e", COMPILED], cwd=FOLDER, capture_output=True, text=True, check=False)
    if opened.returncode:
        raise Unavailable(f"the Bluesky network: better-sqlite3 does not run. {NEEDED}\n{opened.stderr}")
    (FOLDER / "installed").write_text(_wanted())


@contextlib.contextmanager
def bluesky_network() -> Iterator[BlueskyNetwork]:
    """A new, empty network with a PostgreSQL and a Redis of its own. Raises: Unavailable."""
    node = _node()
    if node is None or not installed():
        raise Unavailable("the Bluesky network: make network")
    _copy_files()
    with postgres_server() as postgres, redis_server() as redis, scratch_folder("bluesky") as folder:
        url = postgres.create_database("network").replace("+psycopg", "")
        process = Process(
            [node, "--require", "./loopback.cjs", "network.mjs"],
            name="bluesky",
            log=folder / "log",
            ready=lambda process: "ready {" in process.output_since_start(),
            env={
                **os.environ,
                "DB_POSTGRES_URL": url,
                "REDIS_HOST": f"127.0.0.1:{redis.port}",
                "LOG_ENABLED": "false",
                "TMPDIR": str(folder),
            },
            cwd=FOLDER,
            deadline_seconds=300,  # seconds by itself, minutes on a machine with much else to do
        )
        with process:
            told = re.search(r"ready (\{.*\})", process.output())
            assert told is not None
            places = json.loads(told[1])
            yield BlueskyNetwork(process, places["server"], places["pictures"])


def _wanted() -> str:
    return hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()


def _copy_files() -> None:
    """Into the folder of the packages, so that Node finds them beside what imports them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(SOURCE / name, FOLDER / name)


def _node() -> str | None:
    node = shutil.which("node")
    if node is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.match(r"v(\d+)", told)
    return node if major is not None and OLDEST_NODE <= int(major[1]) <= NEWEST_NODE else None
