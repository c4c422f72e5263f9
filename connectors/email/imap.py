"""One mailbox by IMAP (RFC 9051): signed in when first needed, and errors named by what to do."""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, TypeVar

from imap_tools.errors import ImapToolsError, UnexpectedCommandStatusError
from imap_tools.mailbox import BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted

from connectors.base import AuthExpired, BadPayload, ConnectorError, RetryLater
from connectors.email.config import EmailConfig
from connectors.email.oauth import AccessTokens

Answer = TypeVar("Answer")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
# RFC 5530: what passes.
_PASSING = ("UNAVAILABLE", "INUSE", "LIMIT", "EXPUNGEISSUED")
_MAX_HEAD = 262_144
_MAX_TOLD = 300


class Folder(NamedTuple):
    """A selected folder: which numbering holds, and the number that the next mail will have at the least."""

    uidvalidity: int
    uidnext: int


class SaysNo(Exception):
    """The server is there and will not do this one thing; the text is its own."""


class Mailbox:
    """The IMAP side of a channel. After any error the next call opens a new connection.

    Every method raises RetryLater (the connection broke, or the server is busy), AuthExpired, and BadPayload
    where the settings are wrong.
    """

    def __init__(self, config: EmailConfig, tokens: AccessTokens) -> None:
        self._config = config
        self._tokens = tokens
        self._box: BaseMailBox | None = None

    def close(self) -> None:
        """End the connection, politely where it still stands."""
        box, self._box = self._box, None
        if box is not None:
            with contextlib.suppress(Exception):  # it is given up in any case
                box.client.sock.settimeout(1)
                box.logout()
            with contextlib.suppress(Exception):
                box.client.shutdown()

    def select(self, folder: str) -> Folder:
        """Open a folder to be read; nothing in it changes by that. Raises: BadPayload where there is none."""
        return self._revived(lambda: self._select(folder))

    def _select(self, folder: str) -> Folder:
        with self._speaking() as box:
            try:
                box.folder.set(folder, readonly=True)
            except UnexpectedCommandStatusError as error:
                told = _told(error)
                if _passes(told):
                    raise
                names = ", ".join(sorted(each.name for each in box.folder.list()))
                raise BadPayload(f"There is no folder {folder!r} to read; there are: {names}.") from error
            validity = box.client.response("UIDVALIDITY")[1][0]
            uidnext = box.client.response("UIDNEXT")[1][0]
            if validity is None:
                raise BadPayload(f"The server does not number the mails in {folder!r} for good.")
            # A server may leave it out: then the highest number there tells.
            following = int(uidnext) if uidnext else max(self._search(box, "ALL"), default=0) + 1
            return Folder(int(validity), following)

    def uids(self, criteria: str) -> list[int]:
        """The numbers of the mails that match, ascending."""
        with self._speaking() as box:
            return self._search(box, criteria)

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """The size of each of these mails in bytes; those gone meanwhile are left out."""
        with self._speaking() as box:
            data = self._fetch(box, uids, "(UID RFC822.SIZE)")
        found = {}
        for line in _lines(data):
            uid, size = _UID.search(line), _SIZE.search(line)
            if uid and size:
                found[int(uid[1])] = int(size[1])
        return found

    def mails(self, uids: Sequence[int]) -> dict[int, bytes]:
        """The mails as they lie there; those that the server leaves out are left out. Raises: SaysNo."""
        with self._speaking() as box:
            return _bodies(self._fetch(box, uids, "(UID BODY.PEEK[])"))

    def head(self, uid: int) -> bytes:
        """The headers of a mail, empty where the server has none to give."""
        try:
            with self._speaking() as box:
                data = self._fetch(box, [uid], f"(UID BODY.PEEK[HEADER]<0.{_MAX_HEAD}>)")
        except SaysNo:
            return b""
        return _bodies(data).get(uid, b"")

    @property
    def can_idle(self) -> bool:
        """Whether the server says when mail comes (RFC 2177)."""
        with self._speaking() as box:
            return "IDLE" in box.client.capabilities

    def start_waiting(self) -> None:
        """Issue IDLE in the selected folder."""
        with self._speaking() as box:
            box.idle.start()  # type: ignore[no-untyped-call]

    def wait(self, seconds: float) -> bool:
        """Whether the server said something within that time."""
        with self._speaking() as box:
            told = box.idle.poll(timeout=seconds)
            if any(line.upper().startswith(b"* BYE") for line in told):
                raise imaplib.IMAP4.abort("the server said goodbye")
            return bool(told)

    def stop_waiting(self) -> None:
        """End IDLE; on a dead line this is where it shows."""
        with self._speaking() as box:
            box.idle.stop()  # type: ignore[no-untyped-call]

    def copies(self, folder: str, message_id: str) -> list[tuple[int, bool]]:
        """The number of each mail with that id in a folder, which is made; and whether it is a draft."""
        return self._revived(lambda: self._copies(folder, message_id))

    def _copies(self, folder: str, message_id: str) -> list[tuple[int, bool]]:
        with self._speaking() as box:
            try:
                box.folder.set(folder)
            except UnexpectedCommandStatusError as error:
                if _passes(_told(error)):
                    raise
                box.folder.create(folder)
                return []
            uids = self._search(box, f'HEADER Message-ID "<{message_id}>"')
            data = self._fetch(box, uids, "(UID FLAGS)") if uids else []
        found = []
        for line in _lines(data):
            uid, flags = _UID.search(line), _FLAGS.search(line)
            if uid and flags:
                found.append((int(uid[1]), b"\\DRAFT" in flags[1].upper()))
        return found

    def append_draft(self, folder: str, raw: bytes) -> None:
        """Put a mail into a folder, marked as not sent yet."""
        with self._speaking() as box:
            box.append(raw, folder, dt=datetime.now(UTC), flag_set=[r"\Draft", r"\Seen"])

    def mark_sent(self, folder: str, uids: Sequence[int]) -> None:
        """Take the mark of a draft off."""
        self._store(folder, uids, "-FLAGS", r"(\Draft)")

    def remove(self, folder: str, uids: Sequence[int]) -> None:
        """Delete these mails, and no others."""
        self._store(folder, uids, "+FLAGS", r"(\Deleted)")
        with self._speaking() as box:
            if "UIDPLUS" in box.client.capabilities:
                box.client.uid("EXPUNGE", _set(uids))

    def _store(self, folder: str, uids: Sequence[int], how: str, flags: str) -> None:
        if uids:
            with self._speaking() as box:
                box.folder.set(folder)
                box.client.uid("STORE", _set(uids), how, flags)

    def _revived(self, do: Callable[[], Answer]) -> Answer:
        """Do it, once more where the connection from before had died meanwhile."""
        kept = self._box is not None
        try:
            return do()
        except RetryLater:
            if not kept:
                raise
            return do()

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[BaseMailBox]:
        """The connection; whatever goes wrong with it comes out as what the caller should do."""
        try:
            if self._box is None:
                self._box = self._open()
            yield self._box
        except (ConnectorError, SaysNo) as error:
            if not isinstance(error, SaysNo):
                self.close()
            raise
        except UnexpectedCommandStatusError as error:
            self.close()
            raise RetryLater(f"The IMAP server does not do it now: {_told(error)}") from error
        except (imaplib.IMAP4.error, ImapToolsError, OSError, EOFError) as error:
            self.close()
            raise RetryLater(f"The IMAP connection broke: {str(error)[:_MAX_TOLD]}") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # What a broken server says is read by imaplib with little care.
            self.close()
            raise RetryLater(f"The IMAP server cannot be understood ({type(error).__name__}).") from error

    def _open(self) -> BaseMailBox:
        config = self._config
        host, port = config.imap_place
        if not host:
            raise BadPayload("This channel has no imap_host to read from; set one.")
        token = self._tokens.token() if self._tokens.wanted else None
        try:
            box = self._connected(host, port)
        except ssl.SSLCertVerificationError as error:
            raise BadPayload(
                f"The certificate of {host} cannot be trusted ({error.verify_message}); set ca_file if it is"
                " your own."
            ) from error
        except ssl.SSLError as error:
            raise RetryLater(f"{host}:{port} does not speak TLS there ({error.reason}).") from error
        try:
            self._sign_in(box, token)
        except BaseException:
            with contextlib.suppress(Exception):
                box.client.shutdown()
            raise
        # What it can is often told only to those who have signed in.
        box.client._get_capabilities()
        return box

    def _connected(self, host: str, port: int) -> BaseMailBox:
        timeout = self._config.timeout_seconds
        if self._config.imap_security == "none":
            return MailBoxUnencrypted(host, port, timeout)
        context = ssl.create_default_context(cafile=self._config.ca_file)
        if self._config.imap_security == "tls":
            return MailBox(host, port, timeout, ssl_context=context)
        return MailBoxStartTls(host, port, timeout, context)

    def _sign_in(self, box: BaseMailBox, token: str | None) -> None:
        config = self._config
        password = config.password.get_secret_value() if config.password else ""
        try:
            if token is not None:
                box.xoauth2(config.login, token, initial_folder=None)
            elif (config.login + password).isascii():
                box.login(config.login, password, initial_folder=None)
            else:
                box.login_utf8(config.login, password, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, UnexpectedCommandStatusError) as error:
            told = _told(error) if isinstance(error, UnexpectedCommandStatusError) else str(error)
            if _passes(told):
                raise RetryLater(f"The IMAP server lets nobody in now: {told[:_MAX_TOLD]}") from None
            self._tokens.forget()
            raise AuthExpired(
                f"The IMAP server does not take the name and password: {told[:_MAX_TOLD]}"
            ) from None

    def _search(self, box: BaseMailBox, criteria: str) -> list[int]:
        status, data = box.client.uid("SEARCH", criteria)
        if status != "OK":
            raise UnexpectedCommandStatusError((status, data), "OK")
        return sorted({int(uid) for line in data if line for uid in line.split()})

    def _fetch(self, box: BaseMailBox, uids: Sequence[int], what: str) -> list[Any]:
        if not uids:
            return []
        status, data = box.client.uid("FETCH", _set(uids), what)
        if status != "OK":
            told = b" ".join(line for line in data if isinstance(line, bytes)).decode("utf-8", "replace")
            if _passes(told):
                raise UnexpectedCommandStatusError((status, data), "OK")
            raise SaysNo(told[:_MAX_TOLD])
        return list(data)


def since(day: date) -> str:
    """A search for what came on a day or later."""
    return f"SINCE {day.day:02}-{_MONTHS[day.month - 1]}-{day.year}"


def _set(uids: Sequence[int]) -> str:
    """Numbers as IMAP writes them, neighbours together: 1:3,7."""
    parts: list[list[int]] = []
    for uid in sorted(uids):
        if parts and uid == parts[-1][1] + 1:
            parts[-1][1] = uid
        else:
            parts.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in parts)


def _lines(data: Sequence[Any]) -> Iterator[bytes]:
    for part in data:
        if isinstance(part, tuple):
            yield b" ".join(part)
        elif isinstance(part, bytes):
            yield part


def _bodies(data: Sequence[Any]) -> dict[int, bytes]:
    """The literal of each mail. Its number stands before it or after it, as the server likes."""
    found: dict[int, bytes] = {}
    for place, part in enumerate(data):
        after = data[place + 1] if place + 1 < len(data) else b""
        if isinstance(part, tuple):
            uid = _UID.search(part[0]) or _UID.search(after if isinstance(after, bytes) else b"")
            if uid:
                found[int(uid[1])] = bytes(part[1])
        elif isinstance(part, bytes) and re.search(rb'BODY\[[A-Z]*\](<0>)? (""|NIL)', part):
            uid = _UID.search(part)
            if uid:
                found[int(uid[1])] = b""
    return found


def _told(error: UnexpectedCommandStatusError) -> str:
    data = error.command_result[1]
    lines = data if isinstance(data, list) else [data]
    return b" ".join(line for line in lines if isinstance(line, bytes)).decode("utf-8", "replace")[:_MAX_TOLD]


def _passes(told: str) -> bool:
    return any(f"[{code}" in told.upper() for code in _PASSING)
