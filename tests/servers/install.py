"""Say what the tests have of servers and a browser; as root where apt is, install what is missing.

`python -m tests.servers.install`; what cannot be had is skipped by the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers.browser import find_browser
from tests.servers.dovecot import find_dovecot
from tests.servers.postgres import find_postgres
from tests.servers.redis import find_redis
from tests.servers.unavailable import Unavailable

# The packages of each in Debian, and how to find it.
PARTS: dict[str, tuple[str, Callable[[], Path]]] = {
    "PostgreSQL": ("postgresql", find_postgres),
    "Redis": ("redis-server", find_redis),
    "Dovecot": ("dovecot-imapd dovecot-lmtpd", find_dovecot),
    "browser": ("chromium", find_browser),
}


def main() -> None:
    missing = [
        package
        for packages, find in PARTS.values()
        if not _is_of_the_system(find)
        for package in packages.split()
    ]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(missing)
    for name, (_, find) in PARTS.items():
        try:
            found = str(find())
        except Unavailable as error:
            found = f"none; its tests are skipped ({error})"
        sys.stdout.write(f"{name:11} {found}\n")


def _is_of_the_system(find: Callable[[], Path]) -> bool:
    """Whether it is there, and not only as a wheel."""
    try:
        return not find().is_relative_to(sys.prefix)
    except Unavailable:
        return False


def _install(packages: list[str]) -> None:
    # Run level 1: the packages bring services, and nobody asked for those to run.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-qy", "--no-install-recommends", *packages],
    ):
        if subprocess.call(command, env=environment, stdin=subprocess.DEVNULL):
            sys.stdout.write(f"{' '.join(command)} failed; going on with what is here\n")


if __name__ == "__main__":
    main()
