"""Nothing lost, nothing doubled: `python -m tests.connectors.email.soak --mails 20000 --interruptions 20`.

A Dovecot's mailbox is filled with generated mails, one in a hundred of them broken and some sharing an id,
while a process fetches them into an SQLite database through `hub.inbox.service.receive`. At random points
that process is killed (kill -9), its connection is cut within an answer, or UIDVALIDITY changes. In the end
every mail must be there once, as a message or as a reject. It ends with status 1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import os
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
from typing import Any

from sqlalchemy import func, select

from connectors.base import RetryLater
from connectors.email.config import EmailConfig
from connectors.email.connector import EmailConnector
from hub import migrations
from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.database import Database
from hub.files import FileStore
from hub.inbox.models import Reject
from hub.inbox.service import receive
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY
from tests.connectors.email.mailing import ADDRESS, SECRET
from tests.servers import Process, Unavailable, wait_until
from tests.servers.dovecot import PASSWORD, Dovecot, dovecot_server
from tests.servers.proxy import Proxy, proxy_before

ROOT = Path(__file__).parents[3]
USER = "soak"
SENDERS = 3_000
LATE_SHARE = 50  # one in so many is delivered while the others are read
MAX_MAIL_BYTES = 200_000
WITHIN_AN_ANSWER_BYTES = 500_000
PAUSE_SECONDS = 0.2
NUMBER = re.compile(r"number (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--interruptions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--seconds", type=float, default=1_800, help="give up after so many")
    parser.add_argument("--fetch", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.fetch:
        fetch_for_ever(json.loads(told.fetch))
        return 0
    try:
        with (
            dovecot_server() as server,
            proxy_before(server.imap_port) as line,
            tempfile.TemporaryDirectory() as folder,
        ):
            return soak(server, line, Path(folder), told)
    except Unavailable as error:
        say(f"not available: {error}")
        return 1


def soak(server: Dovecot, line: Proxy, folder: Path, told: argparse.Namespace) -> int:
    """0 where every mail is there once."""
    chance = random.Random(told.seed)
    mails = list(generated(told.mails, chance))
    late = mails[len(mails) - len(mails) // LATE_SHARE :]
    began = time.monotonic()
    server.lay(USER, mails[: len(mails) - len(late)])
    say(f"{len(mails):,} mails, {sum(map(len, mails)) >> 20} MiB, laid in {time.monotonic() - began:.0f} s")
    url = database_url(folder)
    fetching = Process(
        [
            sys.executable,
            "-m",
            "tests.connectors.email.soak",
            "--fetch",
            json.dumps({"database": url, "port": line.port}),
        ],
        name="fetching",
        log=folder / "fetching.log",
        ready=lambda process: "fetching" in process.output_since_start(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    database = Database(url)
    began = time.monotonic()
    ends_at = began + told.seconds
    fetching.start()
    try:
        for number in range(told.interruptions):
            share = (told.mails - len(late)) * (number + chance.random()) / told.interruptions
            wait_for(database, fetching, share, ends_at)
            server.put(USER, *late[number :: told.interruptions])
            how = ("killed", "cut", "renumbered")[number % 3]
            interrupt(how, server, line, fetching, chance)
            say(f"{number + 1:2} {how}: {stored(database):,} stored, {time.monotonic() - began:.0f} s")
        wait_for(database, fetching, told.mails, ends_at)
        # The last renumbering is read through to its end: what is doubled then would show.
        with server.imap(USER) as imap:
            numbering = int(imap.response("UIDVALIDITY")[1][0] or 0)
        wait_until(
            lambda: settled(database, numbering), deadline_seconds=ends_at - time.monotonic(), what="the end"
        )
    except TimeoutError as error:
        say(str(error))
    seconds = time.monotonic() - began
    fetching.kill()
    lost, doubled, messages, rejects = audited(database, told.mails)
    database.close()
    say(
        f"{told.mails:,} mails: {messages:,} messages, {rejects:,} rejects; "
        f"{told.interruptions} interruptions; {lost} lost, {doubled} doubled; {seconds:.0f} s"
    )
    return 1 if lost or doubled else 0


def interrupt(how: str, server: Dovecot, line: Proxy, fetching: Process, chance: random.Random) -> None:
    """Do it, a moment from now, wherever that is in the work."""
    time.sleep(chance.random() * PAUSE_SECONDS)
    if how == "killed":
        fetching.kill()
        fetching.start()
    elif how == "cut":
        line.heal()
        line.cut_after = chance.randrange(WITHIN_AN_ANSWER_BYTES)
        time.sleep(PAUSE_SECONDS * 2)
        line.cut()
        line.heal()
    else:
        server.renumber(USER)


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
        made.set_content("Where is my parcel?\n" * chance.randrange(1, 60))
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


def fetch_for_ever(config: dict[str, Any]) -> None:
    """What is killed: fetch from the stored cursor, and store each batch with its own."""
    path = Path(config["database"].partition("///")[2])
    database = Database(config["database"], files=FileStore(path.parent / "files", MAX_MAIL_BYTES))
    settings = {
        "address": ADDRESS,
        "user": USER,
        "password": PASSWORD,
        "imap_host": "127.0.0.1",
        "imap_port": config["port"],
        "imap_security": "none",
        "timeout_seconds": 10,
        "reply_secret": SECRET,
        "max_mail_bytes": MAX_MAIL_BYTES,
    }
    connector = EmailConnector(EmailConfig.model_validate(settings))
    say("fetching")
    while True:
        with database.reading() as session:
            channel_id, cursor = session.execute(select(Channel.id, Channel.cursor)).one()
        try:
            for batch in connector.fetch(cursor):
                with database.session() as session:
                    receive(session, channel_id, batch, datetime.now(UTC))
        except RetryLater as error:
            say(str(error))
        time.sleep(PAUSE_SECONDS)


def database_url(folder: Path) -> str:
    """A database with one channel."""
    url = f"sqlite:///{folder / 'hub.db'}"
    database = Database(url)
    migrations.upgrade(database)
    with database.session() as session:
        session.add(
            Channel(name="email", connector="email", kind="mail", created_at=datetime.now(UTC), config={})
        )
        activate(session, DEFAULT_POLICY, datetime.now(UTC))
    database.close()
    return url


def wait_for(database: Database, fetching: Process, mails: float, ends_at: float) -> None:
    """Until so many are stored. Raises: TimeoutError, RuntimeError where fetching ended by itself."""

    def there() -> bool:
        if not fetching.running:
            raise RuntimeError(fetching.output_since_start()[-2000:])
        time.sleep(PAUSE_SECONDS)
        return stored(database) >= mails

    wait_until(there, deadline_seconds=ends_at - time.monotonic(), what=f"mail {mails:.0f}")


def stored(database: Database) -> int:
    """How many messages and rejects there are."""
    with database.reading() as session:
        return sum(
            session.scalar(select(func.count()).select_from(table)) or 0 for table in (Message, Reject)
        )


def settled(database: Database, numbering: int) -> bool:
    """Whether everything under this numbering is read to its end."""
    time.sleep(PAUSE_SECONDS)
    with database.reading() as session:
        cursor = session.scalars(select(Channel.cursor)).one() or {}
    place = cursor.get("INBOX", {"before": 0})
    return "before" not in place and place["uidvalidity"] == numbering


def audited(database: Database, mails: int) -> tuple[int, int, int, int]:
    """How many mails are lost and how many doubled, and of how many messages and rejects."""
    with database.reading() as session:
        subjects = [subject or "" for subject in session.scalars(select(Message.subject))]
        raws = [raw.decode("utf-8", "replace") for raw in session.scalars(select(Reject.raw))]
    seen = Counter(int(found[1]) for text in (*subjects, *raws) if (found := NUMBER.search(text)))
    lost = sum(number not in seen for number in range(mails))
    return lost, sum(count > 1 for count in seen.values()), len(subjects), len(raws)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
