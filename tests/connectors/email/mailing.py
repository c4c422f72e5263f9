"""What the tests of mail have in common: mails, settings, a mail server that takes replies."""

from __future__ import annotations

import itertools
import smtplib
from asyncio import WriteTransport
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from connectors.base import Batch, InboundMessage, Item
from connectors.email.config import EmailConfig
from connectors.email.connector import EmailConnector
from tests.servers import free_port
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.proxy import Proxy

ADDRESS = "help@acme.example"
SECRET = "a secret for the tokens of the tests"
_numbers = itertools.count(1)


def mail(
    text: str = "Where is my parcel?", *, sender: str = "Mara <mara@example.com>", **headers: str
) -> bytes:
    """A mail from a customer; `message_id` and so on are headers."""
    number = next(_numbers)
    made = EmailMessage()
    made["From"] = sender
    made["To"] = ADDRESS
    made["Subject"] = headers.pop("subject", f"Question {number}")
    made["Date"] = format_datetime(datetime.now(UTC) - timedelta(minutes=1))
    made["Message-ID"] = headers.pop("message_id", f"<question-{number}@example.com>")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes(policy=default.clone(linesep="\r\n"))


def email(dovecot: Dovecot | Proxy | None = None, user: str = "", **settings: Any) -> EmailConnector:
    """A connector at that mailbox, or at the line before it."""
    found: dict[str, Any] = {"address": ADDRESS, "user": user, "timeout_seconds": 5, **settings}
    if dovecot is not None:
        found = {
            "imap_host": "127.0.0.1",
            "imap_port": dovecot.port if isinstance(dovecot, Proxy) else dovecot.imap_port,
            "imap_security": "none",
            "password": PASSWORD,
            **found,
        }
    return EmailConnector(EmailConfig.model_validate(found))


def items_of(batches: Iterator[Batch]) -> list[Item]:
    """Everything in all batches."""
    return [item for batch in batches for item in batch.items]


def ids_of(items: list[Item]) -> list[str]:
    """The external ids of the messages."""
    return [item.external_id for item in items if isinstance(item, InboundMessage)]


@dataclass
class Sink:
    """A server that takes mails and keeps them, or answers as told.

    `answers` gives a server's line for a stage (`MAIL`, `RCPT`, `DATA`); `cut_at` ends the connection there.
    `then` is called with what was taken, before the answer.
    """

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    cut_at: str = ""
    then: Callable[[bytes], None] | None = None
    server: SMTP | None = None

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self._answer("MAIL", server, "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self._answer("RCPT", server, "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        if "DATA" not in self.answers:
            made = message_from_bytes(raw, policy=default)
            assert isinstance(made, EmailMessage)
            self.taken.append(made)
            self.envelopes.append((envelope.mail_from or "", list(envelope.rcpt_tos)))
            if self.then is not None:
                self.then(raw)
        return self._answer("DATA", server, "250 kept as 1")

    def _answer(self, stage: str, server: SMTP, usual: str) -> str:
        if self.cut_at == stage and isinstance(server.transport, WriteTransport):
            server.transport.abort()
        return self.answers.get(stage, usual)

    def connector(self, dovecot: Dovecot | None = None, user: str = "", **settings: Any) -> EmailConnector:
        """A connector that sends here."""
        here = {"smtp_host": "127.0.0.1", "smtp_port": self.port, "smtp_security": "none"}
        return email(dovecot, user, **{**here, "smtp_sign_in": False, "reply_secret": SECRET, **settings})


def to_lmtp(dovecot: Dovecot, user: str) -> Callable[[bytes], None]:
    """Brings what is taken into a mailbox, as the brand's own server does with answers."""

    def bring(raw: bytes) -> None:
        with smtplib.LMTP("127.0.0.1", dovecot.lmtp_port, timeout=10) as lmtp:
            lmtp.sendmail("mara@example.com", [user], raw)

    return bring


@contextmanager
def running_sink(*, sign_in: bool = False, tls: Any = None, **options: Any) -> Iterator[Sink]:
    """The server, on a free port; gone at the end. With `sign_in` it wants the tests' password."""
    sink = Sink()

    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=good, handled=good)

    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=authenticate if sign_in else None,
        auth_required=sign_in,
        auth_require_tls=False,
        tls_context=tls,
        enable_SMTPUTF8=True,
        **options,
    )
    controller.start()
    try:
        sink.port = controller.port
        yield sink
    finally:
        controller.stop()
