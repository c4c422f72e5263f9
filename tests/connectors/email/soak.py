"""Nothing lost, nothing doubled: `python -m tests.connectors.email.soak --mails 20000 --interruptions 20`.

A Dovecot's mailbox is filled with generated mails, one in a hundred of them broken and some sharing an id,
while a hub reads it in real processes, by fetching and by its open line: `hub serve` on SQLite, then Celery
workers and `hub listen` on PostgreSQL and Redis. At random points one of those processes is killed (kill -9),
the connections are cut within an answer, or UIDVALIDITY changes. In the end every mail must be there once, as
a message or as a reject. It ends with status 1 where one is not, and by itself after `--seconds` a set-up.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from tests.connectors.email.mailing import ADDRESS, SECRET
from tests.servers import Unavailable, wait_until
from tests.servers.dovecot import PASSWORD, Dovecot, dovecot_server
from tests.servers.proxy import Proxy, proxy_before
from tests.soak.reading import LOOK_SECONDS, SET_UPS, Reading, reading, say

USER = "soak"
SENDERS = 3_000
LATE_SHARE = 50  # one in so many is delivered while the others are read
MAX_MAIL_BYTES = 200_000
WITHIN_AN_ANSWER_BYTES = 50_000
CUT_WITHIN_SECONDS = 60
# Killing is what a hub has most to fear; after a renumbering all is read again, which takes long.
KINDS = ("killed", "cut", "killed", "renumbered", "killed", "cut")
NUMBER = re.compile(r"number (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--interruptions", type=int, default=20)
    parser.add_argument("--on", choices=SET_UPS, nargs="+", default=SET_UPS)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--seconds", type=float, default=1_800, help="give up after so many a set-up")
    told = parser.parse_args()
    try:
        return max(soak(set_up, told) for set_up in told.on)
    except Unavailable as error:
        say(f"not available: {error}")
        return 1


def soak(set_up: str, told: argparse.Namespace) -> int:
    """0 where every mail is there once."""
    chance = random.Random(told.seed)
    mails = list(generated(told.mails, chance))
    late = mails[len(mails) - len(mails) // LATE_SHARE :]
    with (
        dovecot_server() as server,
        proxy_before(server.imap_port) as line,
        tempfile.TemporaryDirectory() as folder,
        reading(set_up, Path(folder)) as hub,
    ):
        began = time.monotonic()
        server.lay(USER, mails[: len(mails) - len(late)])
        size = sum(map(len, mails)) >> 20
        say(f"{set_up}: {len(mails):,} mails, {size} MiB, laid in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        ends_at = began + told.seconds
        hub.connect("help", "email", settings(line))
        kinds: Counter[str] = Counter()
        try:
            for number in range(told.interruptions):
                share = (told.mails - len(late)) * (number + chance.random()) / told.interruptions
                hub.wait_for(share, ends_at)
                server.put(USER, *late[number :: told.interruptions])
                kind, what = interrupt(KINDS[number % len(KINDS)], hub, server, line, chance)
                kinds[kind] += 1
                say(f"{number + 1:2} {kind}, {what}: {hub.stored():,} stored")
            hub.wait_for(told.mails, ends_at)
            # The last renumbering is read through to its end: what is doubled then would show.
            wait_until(
                lambda: settled(hub, server), deadline_seconds=ends_at - time.monotonic(), what="the end"
            )
        except TimeoutError as error:
            say(f"{error}; {hub.failures()}")
        seconds = time.monotonic() - began
        lost, doubled, messages, rejects = audited(hub, told.mails)
        say(
            f"{set_up}: {told.mails:,} mails: {messages:,} messages, {rejects:,} rejects; "
            f"{sum(kinds.values())} interruptions ({', '.join(f'{n} {kind}' for kind, n in kinds.items())}; "
            f"killed: {dict(Counter(hub.killed))}, {hub.orphaned} leases left behind); "
            f"{lost} lost, {doubled} doubled; {seconds:.0f} s"
        )
        return 1 if lost or doubled or sum(kinds.values()) < told.interruptions else 0


def interrupt(how: str, hub: Reading, server: Dovecot, line: Proxy, chance: random.Random) -> tuple[str, str]:
    """Do it, wherever that is in the work: what was done, and what is to be said of it."""
    if how == "killed":
        return how, hub.kill(chance)
    if how == "renumbered":
        before = numbering(server)
        server.renumber(USER)
        return how, f"UIDVALIDITY {before} to {numbering(server)}"
    line.heal()
    line.cut_after = after = chance.randrange(WITHIN_AN_ANSWER_BYTES)
    ends_at = time.monotonic() + CUT_WITHIN_SECONDS
    while line.passed <= after and time.monotonic() < ends_at:
        time.sleep(LOOK_SECONDS)
    within = line.passed > after
    if not within:
        line.cut()
    line.heal()
    return ("cut within an answer", f"after {after:,} bytes") if within else ("cut while silent", "")


def settings(line: Proxy) -> dict[str, str | int]:
    """Of a mailbox behind `line`."""
    return {
        "address": ADDRESS,
        "user": USER,
        "password": PASSWORD,
        "imap_host": "127.0.0.1",
        "imap_port": line.port,
        "imap_security": "none",
        "timeout_seconds": 10,
        "idle_seconds": 20,
        "reply_secret": SECRET,
        "max_mail_bytes": MAX_MAIL_BYTES,
    }


def generated(mails: int, chance: random.Random) -> Iterator[bytes]:
    """Mails whose subjects say `number N`; every hundredth broken in one of five ways, some sharing an id."""
    for number in range(mails):
        if number % 100 == 99:
            yield broken(number)
            continue
        made = EmailMessage()
        made["From"] = f"Customer {number % SENDERS} <customer{number % SENDERS}@example.com>"
        made["To"] = ADDRESS
        made["Subject"] = f"Question number {number}"
        made["Date"] = format_datetime(datetime.now(UTC))
        if number % 53 == 1:
            made["Message-ID"] = f"<constant-{number % 5}@form.example>"
        elif number % 47:
            made["Message-ID"] = f"<m{number}@example.com>"
        made.set_content("Where is my parcel?\n" * chance.randrange(1, 9))
        if number % 5 == 0:
            made.add_alternative(f"<p>Where is my parcel <b>{number}</b>?</p>", subtype="html")
        if number % 29 == 0:
            made.add_attachment(chance.randbytes(20_000), maintype="image", subtype="png", filename="a.png")
        yield made.as_bytes()


def broken(number: int) -> bytes:
    """A mail that has to be rejected."""
    head = f"Subject: Question number {number}\nMessage-ID: <m{number}@example.com>\n".encode()
    sender = b"From: customer@example.com\n"
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(30))
    return (
        head + b"\nWho writes?\n",
        sender + head + b"MIME-Version: 1.0\n" + deep + b"\ndeep\n",
        sender + head + b"\n" + b"far too much\n" * 20_000,
        sender + head + b"Content-Transfer-Encoding: base64\n\naGVsbG8AAAA=\n",
        b"From: nobody at all\n" + head + b"\nhi\n",
    )[number // 100 % 5]


def numbering(server: Dovecot) -> int:
    """The UIDVALIDITY that holds now."""
    with server.imap(USER) as imap:
        return int(imap.response("UIDVALIDITY")[1][0] or 0)


def settled(hub: Reading, server: Dovecot) -> bool:
    """Whether everything under the numbering of now is read to its end."""
    time.sleep(LOOK_SECONDS)
    ((cursor,),) = hub.rows("SELECT cursor FROM channels WHERE name = :name", name=hub.channel)
    places = json.loads(cursor) if isinstance(cursor, str) else cursor or {}
    place = places.get("INBOX", {"before": 0})
    return "before" not in place and place["uidvalidity"] == numbering(server)


def audited(hub: Reading, mails: int) -> tuple[int, int, int, int]:
    """How many mails are lost and how many doubled, and of how many messages and rejects."""
    subjects = [subject or "" for (subject,) in hub.rows("SELECT subject FROM messages")]
    raws = [bytes(raw).decode("utf-8", "replace") for (raw,) in hub.rows("SELECT raw FROM rejects")]
    seen = Counter(int(found[1]) for text in (*subjects, *raws) if (found := NUMBER.search(text)))
    lost = sum(number not in seen for number in range(mails))
    return lost, sum(count > 1 for count in seen.values()), len(subjects), len(raws)


if __name__ == "__main__":
    sys.exit(main())
