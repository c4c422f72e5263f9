"""A large mailbox: `python -m tests.connectors.email.large --mails 100000 --outage 7000`.

A Dovecot has a mailbox full of old mails. `hub serve` connects to it, brings all of it in by `hub channels
backfill --since`, stands idle, is away for a week in which more mails come, and catches up. Printed are time,
CPU, peak memory of the hub's process, and how much the server had to say; in the end every mail must be there
once. It ends with status 1 where one is not, and by itself after `--seconds`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.connectors.email.mailing import ADDRESS, SECRET
from tests.servers import Unavailable, wait_until
from tests.servers.dovecot import PASSWORD, Dovecot, dovecot_server
from tests.servers.proxy import Proxy, proxy_before
from tests.soak.reading import Reading, reading, say

USER = "large"
AWAY = timedelta(days=7)
HISTORY = timedelta(days=300)
IDLE_SECONDS = 60.0
LOOK_SECONDS = 0.5
SENDERS = 20_000
NUMBER = re.compile(r"number (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--outage", type=int, default=7_000, help="how many mails come in the week")
    parser.add_argument("--seconds", type=float, default=5_400, help="give up after so many")
    told = parser.parse_args()
    try:
        with (
            dovecot_server(layout="maildir") as server,
            proxy_before(server.imap_port) as line,
            tempfile.TemporaryDirectory() as folder,
            reading("sqlite", Path(folder)) as hub,
        ):
            return measured(server, line, hub, told)
    except Unavailable as error:
        say(f"not available: {error}")
        return 1


def measured(server: Dovecot, line: Proxy, hub: Reading, told: argparse.Namespace) -> int:
    """0 where every mail is there once."""
    ends_at = time.monotonic() + told.seconds
    now = datetime.now(UTC)
    began = time.monotonic()
    lay(server, 0, told.mails, now - AWAY - HISTORY, now - AWAY)
    say(f"{told.mails:,} mails laid in {time.monotonic() - began:.0f} s")
    watch = Watch(hub, line)

    def wait(what: str, done: Callable[[], object]) -> None:
        def there() -> bool:
            time.sleep(LOOK_SECONDS)
            return bool(done())

        wait_until(there, deadline_seconds=ends_at - time.monotonic(), what=what)

    try:
        hub.connect("help", "email", settings(line))
        wait("the first reading", lambda: hub.rows("SELECT 1 FROM feeds WHERE worked_at IS NOT NULL"))
        watch.say("connected; nothing of it is recent")

        since = (now - AWAY - HISTORY - timedelta(days=2)).date().isoformat()
        hub.ground.hub(["channels", "backfill", "help", "--since", since])
        wait("history", lambda: hub.rows("SELECT 1 FROM backfills WHERE finished_at IS NOT NULL"))
        watch.say(f"history: {hub.stored():,} stored")

        time.sleep(IDLE_SECONDS)
        watch.say(f"idle for {IDLE_SECONDS:.0f} s, looking every five")

        hub.ground.web.kill()
        lay(server, told.mails, told.outage, now - AWAY, now)
        watch.say("killed, and a week of mails laid")
        hub.ground.web.start()
        wait("the week", lambda: hub.stored() >= told.mails + told.outage)
        watch.say(f"caught up: {hub.stored():,} stored")
    except TimeoutError as error:
        say(f"{error}; {hub.stored():,} stored; {hub.failures()}")
    subjects = [row[0] or "" for row in hub.rows("SELECT subject FROM messages")]
    seen = Counter(int(found[1]) for subject in subjects if (found := NUMBER.search(subject)))
    lost = sum(number not in seen for number in range(told.mails + told.outage))
    doubled = sum(count > 1 for count in seen.values())
    say(f"{told.mails + told.outage:,} mails: {lost} lost, {doubled} doubled")
    return 1 if lost or doubled else 0


class Watch:
    """Says what happened since it was asked last."""

    def __init__(self, hub: Reading, line: Proxy) -> None:
        self._hub, self._line = hub, line
        self._began, self._cpu, self._said = time.monotonic(), self._cpu_seconds(), line.passed

    def say(self, what: str) -> None:
        """Name what is over, with time, CPU, memory and what the mail server said."""
        now, cpu, said = time.monotonic(), self._cpu_seconds(), self._line.passed
        # After a restart the process counts from zero.
        used = cpu - self._cpu if cpu >= self._cpu else cpu
        say(
            f"{what}: {now - self._began:.0f} s, {used:.0f} s of CPU, peak {self._peak_mb():.0f} MB, "
            f"{(said - self._said) / 1024:,.0f} KiB from the server"
        )
        self._began, self._cpu, self._said = time.monotonic(), cpu, said

    def _cpu_seconds(self) -> float:
        try:
            fields = Path(f"/proc/{self._hub.ground.web.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _peak_mb(self) -> float:
        try:
            status = Path(f"/proc/{self._hub.ground.web.pid}/status").read_text()
        except OSError:
            return 0.0
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0


def lay(server: Dovecot, first: int, count: int, start: datetime, end: datetime) -> None:
    """Put mails into the folder on disk, received evenly between two moments, oldest first."""
    for number in range(first, first + count):
        at = start + (end - start) * ((number - first) / count)
        server.lay_file(USER, mail(number, at), at, number)


def mail(number: int, at: datetime) -> bytes:
    """A small mail whose subject says `number N`."""
    sender = number % SENDERS
    return (
        f"From: Customer {sender} <customer{sender}@example.com>\r\nTo: {ADDRESS}\r\n"
        f"Subject: Question number {number}\r\nMessage-ID: <m{number}@example.com>\r\n"
        f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000\r\n\r\nWhere is parcel {number}?\r\n"
    ).encode()


def settings(line: Proxy) -> dict[str, str | int]:
    """Of the mailbox behind `line`."""
    return {
        "address": ADDRESS,
        "user": USER,
        "password": PASSWORD,
        "imap_host": "127.0.0.1",
        "imap_port": line.port,
        "imap_security": "none",
        # A server that sees so many files for the first time says nothing for a while.
        "timeout_seconds": 300,
        "reply_secret": SECRET,
        "recent_days": 1,
    }


if __name__ == "__main__":
    sys.exit(main())
