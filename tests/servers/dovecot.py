"""A Dovecot of one's own: IMAP and LMTP, as an unprivileged user."""

from __future__ import annotations

import contextlib
import grp
import imaplib
import itertools
import os
import pwd
import shutil
import smtplib
import socket
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from tests.servers.process import Process, as_user, free_port, scratch_folder
from tests.servers.unavailable import Unavailable

PASSWORD = "correct-horse"
UNPRIVILEGED = "nobody"

_PROGRAMS = ("/usr/lib/dovecot", "/usr/libexec/dovecot", "/opt/homebrew/opt/dovecot/libexec/dovecot")

# Who brings a token is asked about it there; so does a server of Google's or Microsoft's.
_TOKENS = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/tokens.conf
}}
"""
_TOKENS_CONFIG = """
introspection_mode = get
introspection_url = {url}
username_attribute = email
active_attribute = active
active_value = true
"""

_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_location = {layout}:{folder}/mail/%u
mail_fsync = never
auth_failure_delay = 0
mail_max_userip_connections = 100
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
ssl = {ssl}
{certificate}
{tokens}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    address = 127.0.0.1
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
service anvil {{
  chroot =
  # Nobody waits longer here for having been refused before.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap {{
  process_limit = 200
}}
protocol imap {{
  mail_max_userip_connections = 100
}}
"""


class Dovecot:
    """A running server; `kill` and `start` keep its ports and mails. Any name signs in with `PASSWORD`."""

    def __init__(
        self, program: Path, process: Process, folder: Path, ports: tuple[int, int, int], user: str | None
    ) -> None:
        self.program = program
        self.process = process
        self.folder = folder
        self.imap_port, self.imaps_port, self.lmtp_port = ports
        self._user = user
        self._numbers = itertools.count(1)

    def new_user(self) -> str:
        """The name of a mailbox that nobody has used."""
        return f"user{next(self._numbers)}"

    def deliver(self, user: str, *mails: bytes) -> None:
        """Bring mails by LMTP, as a mail server would."""
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=10) as lmtp:
            for mail in mails:
                lmtp.sendmail("sender@example.com", [user], mail)

    def put(self, user: str, *mails: bytes, age: timedelta = timedelta(0), folder: str = "INBOX") -> None:
        """Put mails into a folder, as they are but for the ends of their lines."""
        with self.imap(user) as imap:
            for mail in mails:
                status, told = imap.append(folder, None, datetime.now(UTC) - age, mail)
                if status != "OK":
                    raise RuntimeError(f"dovecot did not take a mail: {told!r}")

    def lay(self, user: str, mails: Iterable[bytes]) -> None:
        """Bring many mails at once, byte for byte."""
        with scratch_folder("mails", owner=self._user) as folder:
            for part in ("cur", "new", "tmp"):
                (folder / part).mkdir()
            stamp = int(datetime.now(UTC).timestamp())
            for number, mail in enumerate(mails):
                # They are numbered in the order of their names.
                (folder / "cur" / f"{stamp}.M{number:09}.test:2,").write_bytes(mail)
            if self._user is not None:
                for path in folder.rglob("*"):
                    shutil.chown(path, self._user)
            self._doveadm("import", "-u", user, f"maildir:{folder}", "", "ALL")

    def lay_file(self, user: str, mail: bytes, at: datetime, number: int) -> None:
        """Write a mail received at `at` into a mailbox of the layout `maildir`: much the quickest for many.

        They are numbered in the order of `number`.
        """
        box = self.folder / "mail" / user
        if not box.exists():
            for part in ("cur", "new", "tmp"):
                (box / part).mkdir(parents=True)
            if self._user is not None:
                for path in (box, *box.iterdir()):
                    shutil.chown(path, self._user)
        # With the sizes in its name no mail is opened to list it.
        path = box / "cur" / f"{number:010}.M{number}.test,S={len(mail)},W={len(mail)}:2,"
        path.write_bytes(mail)
        os.utime(path, (at.timestamp(), at.timestamp()))
        if self._user is not None:
            shutil.chown(path, self._user)

    def renumber(self, user: str) -> None:
        """Let all numbers be void, as when a backup is restored: UIDVALIDITY changes."""
        with self.imap(user) as imap:
            before = int(imap.response("UIDVALIDITY")[1][0] or 0)
        self._doveadm("mailbox", "update", "-u", user, "--uid-validity", str(before + 1), "INBOX")

    def restore(self, user: str) -> None:
        """Take all mails out, and put them back in another order and under other numbers."""
        with self.imap(user) as imap:
            found = imap.uid("FETCH", "1:*", "(INTERNALDATE BODY.PEEK[])")[1]
            imap.uid("STORE", "1:*", "+FLAGS", r"(\Deleted)")
            imap.expunge()
            for head, mail in reversed([part for part in found if isinstance(part, tuple)]):
                imap.append("INBOX", None, _internal_date(head), mail)
        self.renumber(user)

    def _doveadm(self, *words: str) -> None:
        command = [str(self.program.parents[1] / "bin" / "doveadm"), "-c", str(self.folder / "dovecot.conf")]
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, check=False, **as_user(self._user)
        )
        if done.returncode:
            raise RuntimeError(f"doveadm {words[0]} failed: {done.stderr}")

    @contextlib.contextmanager
    def imap(self, user: str, folder: str = "INBOX") -> Iterator[imaplib.IMAP4]:
        """A connection of one's own, in a folder."""
        with imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=10) as imap:
            imap.login(user, PASSWORD)
            imap.select(folder)
            yield imap

    def kill(self) -> None:
        """kill -9, with all that serve connections."""
        self.process.kill()
        (self.folder / "run" / "master.pid").unlink(missing_ok=True)

    def start(self) -> None:
        """Start it again after `kill`."""
        self.process.start()


@contextlib.contextmanager
def dovecot_server(
    *,
    certificate: tuple[Path, Path] | None = None,
    token_url: str | None = None,
    layout: Literal["sdbox", "maildir"] = "sdbox",
) -> Iterator[Dovecot]:
    """A new server that goes with the block. With a certificate and its key it speaks TLS too; with a
    `token_url` (which a token is put behind) it takes XOAUTH2. `layout` is how mails lie on disk. Raises:
    Unavailable.
    """
    program = find_dovecot()
    root = os.geteuid() == 0
    user = UNPRIVILEGED if root else None
    with scratch_folder("dovecot", owner=user) as folder:
        folder.chmod(0o755)
        ports = (free_port(), free_port(), free_port())
        name = user or _current_user()
        texts = {
            "folder": folder,
            "user": name,
            "group": _group(name),
            "ssl": "yes" if certificate else "no",
            "certificate": "ssl_cert = <{}\nssl_key = <{}".format(*certificate) if certificate else "",
            "tokens": _TOKENS.format(folder=folder) if token_url else "",
            "layout": layout,
            "password": PASSWORD,
            "imap_port": ports[0],
            "imaps_port": ports[1] if certificate else 0,
            "lmtp_port": ports[2],
        }
        config = folder / "dovecot.conf"
        config.write_text(_CONFIG.format(**texts))
        if token_url:
            (folder / "tokens.conf").write_text(_TOKENS_CONFIG.format(url=token_url))
        for part in ("run", "state", "mail"):
            (folder / part).mkdir()
            if user is not None:
                shutil.chown(folder / part, user)
        process = Process(
            [program, "-F", "-c", config],
            name="dovecot",
            log=folder / "log",
            ready=lambda _: all(_answers(port) for port in (ports[0], ports[2])),
            cwd=folder,
            user=user,
        )
        server = Dovecot(program, process, folder, ports, user)
        server.start()
        try:
            yield server
        finally:
            process.kill()


def find_dovecot() -> Path:
    """The program, with IMAP and LMTP. Raises: Unavailable."""
    path = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None or not any(
        (Path(folder) / "lmtp").exists() and (Path(folder) / "imap").exists()
        for folder in (
            "/usr/lib/dovecot",
            "/usr/libexec/dovecot",
            "/opt/homebrew/opt/dovecot/libexec/dovecot",
        )
    ):
        raise Unavailable("Dovecot: apt install dovecot-imapd dovecot-lmtpd")
    return Path(path)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return bool(connection.recv(10))
    return False


def _internal_date(head: bytes) -> str:
    return head.partition(b'INTERNALDATE "')[2].partition(b'"')[0].decode().join('""')


def _group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def _current_user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
