"""The contract, for `email`, against a real Dovecot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.base import Connector, Identity, OutboundMessage
from connectors.email import parse, reading
from connectors.email.tokens import Tokens
from tests.connectors.contract import ConnectorContract, Item, Vendor, reply
from tests.connectors.email.mailing import ADDRESS, SECRET, email, items_of, mail, running_sink
from tests.servers import free_port
from tests.servers.dovecot import Dovecot

MAX_MAIL_BYTES = 20_000


class TestEmailContract(ConnectorContract):
    name: ClassVar[str] = "email"
    config: ClassVar[dict[str, Any]] = {
        "address": ADDRESS,
        "imap_host": "imap.acme.example",
        "smtp_host": "smtp.acme.example",
        "password": "app password of the tests",
        "oauth_token_url": "https://login.acme.example/token",
        "oauth_client_secret": "client secret of the tests",
        "oauth_refresh_token": "refresh token of the tests",
        "access_token": "access token of the tests",
        "smtp_password": "relay password of the tests",
        "reply_secret": SECRET,
        "former_reply_secrets": ["former secret of the tests"],
    }
    secrets: ClassVar[tuple[str, ...]] = (
        SECRET,
        *(
            f"{name} of the tests"
            for name in (
                "app password",
                "client secret",
                "refresh token",
                "access token",
                "relay password",
                "former secret",
            )
        ),
    )
    server: ClassVar[Dovecot]

    @pytest.fixture(autouse=True)
    def _server(self, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
        type(self).server = dovecot
        monkeypatch.setattr(reading, "_BATCH_MAILS", 5)

    def reply(self, key: str = "reply-1") -> OutboundMessage:
        return replace(reply(key), recipient=Identity("email", "mara@example.com"))

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        user = self.server.new_user()
        self.server.put(user, *(event.read_bytes() for event in events))
        connector = email(self.server, user, max_mail_bytes=MAX_MAIL_BYTES, reply_secret=SECRET)
        try:
            return items_of(connector.fetch(None))
        finally:
            connector.close()

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        rules = parse.Rules(
            own=frozenset([ADDRESS]),
            tokens=Tokens("acme.example", [SECRET]),
            own_lists=(),
            max_body_bytes=1_000_000,
            max_attachment_bytes=1_000_000,
            now=datetime(2026, 3, 4, tzinfo=UTC),
        )
        return list(parse.read(raw, "INBOX", rules))

    def pulled(self, folder: Path) -> Connector | None:
        user = self.server.new_user()
        self.server.put(user, *(mail() for _ in range(12)), b"Subject: nobody\n\nhi", mail())
        return email(self.server, user)

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        keys = {Tokens("acme.example", [SECRET]).token(key): key for key in ("reply-1", "reply/../2")}
        with running_sink() as sink:
            connector = sink.connector(
                self.server, self.server.new_user(), sent_folder="Sent", append_sent=True
            )
            yield Vendor(
                connector,
                lambda: [keys[str(each["Message-ID"]).strip("<>").split("@")[0]] for each in sink.taken],
            )
            connector.close()

    def absent_vendor(self, folder: Path) -> Connector:
        return email(smtp_host="127.0.0.1", smtp_port=free_port(), smtp_security="none", smtp_sign_in=False)
