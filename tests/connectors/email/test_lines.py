"""Ways to a real server: told at once by IDLE, encrypted, signed in by token."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.base import AuthExpired, BadPayload, Batch, RetryLater
from connectors.email import connector as email_connector
from tests.connectors.email.mailing import email, ids_of, items_of, mail
from tests.servers import wait_until
from tests.servers.dovecot import Dovecot, dovecot_server
from tests.servers.process import scratch_folder
from tests.servers.proxy import proxy_before


class Listener:
    """Listens in a thread of its own, and keeps what it is told."""

    def __init__(self, connector: Any, cursor: Any = None) -> None:
        self.batches: list[Batch] = []
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._connector, self._cursor = connector, cursor
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        try:
            for batch in self._connector.stream(self._cursor, self._stop.is_set):
                self.batches.append(batch)
        except Exception as error:
            self.error = error

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def ids(self) -> list[str]:
        return [name for batch in self.batches for name in ids_of(list(batch.items))]

    @property
    def heartbeats(self) -> int:
        return sum(batch.cursor is None for batch in self.batches)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_connector, "_HEARTBEAT_SECONDS", 0.3)


def test_new_mail_is_told_at_once(dovecot: Dovecot, user: str) -> None:
    dovecot.put(user, mail(message_id="<before@example.com>"))
    with Listener(email(dovecot, user)) as listener:
        wait_until(lambda: listener.heartbeats, what="the open line")
        for name in ("one", "two"):
            dovecot.deliver(user, mail(message_id=f"<{name}@example.com>"))
            wait_until(lambda: f"{name}@example.com" in listener.ids, deadline_seconds=10, what=name)  # noqa: B023
        told = listener.heartbeats
        wait_until(lambda: listener.heartbeats > told + 1, what="a heartbeat")
    assert listener.error is None
    assert listener.ids == ["before@example.com", "one@example.com", "two@example.com"]
    last = [batch.cursor for batch in listener.batches if batch.cursor][-1]
    assert items_of(email(dovecot, user).fetch(last)) == []


def test_idle_is_issued_again_in_time(dovecot: Dovecot, user: str) -> None:
    with (
        proxy_before(dovecot.imap_port) as line,
        Listener(email(line, user, idle_seconds=0.5)) as listener,
    ):
        wait_until(lambda: listener.heartbeats > 8, what="several rounds")
        dovecot.deliver(user, mail(message_id="<late@example.com>"))
        wait_until(lambda: listener.ids, what="the mail")
        assert line.connections == 1
    assert listener.error is None


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_a_lost_line_is_told(dovecot: Dovecot, user: str, fault: str) -> None:
    with proxy_before(dovecot.imap_port) as line:
        connector = email(line, user, idle_seconds=1, timeout_seconds=0.5)
        with Listener(connector) as listener:
            wait_until(lambda: listener.heartbeats, what="the open line")
            if fault == "cut":
                line.cut()
            else:
                line.hang_after = 0
            wait_until(lambda: listener.error, what="the error")
    assert isinstance(listener.error, RetryLater)


def test_other_folders_are_looked_at_too(
    dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email_connector, "_ROUND_SECONDS", 0.5)
    with dovecot.imap(user) as imap:
        imap.create("Returns")
    with Listener(email(dovecot, user, folders=("INBOX", "Returns"))) as listener:
        wait_until(lambda: listener.heartbeats, what="the open line")
        dovecot.put(user, mail(message_id="<returned@example.com>"), folder="Returns")
        wait_until(lambda: listener.ids, what="the mail")
    assert listener.ids == ["returned@example.com"]


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    for path in (certificate, private):
        path.chmod(0o644)
    folder.chmod(0o755)
    return certificate, private


def test_encrypted_lines() -> None:
    # pytest's own folders are for us alone, and the server is somebody else.
    with scratch_folder("certificate") as folder:
        certificate, key = _certificate(folder)
        with dovecot_server(certificate=(certificate, key)) as server:
            user = server.new_user()
            ports = {"tls": server.imaps_port, "starttls": server.imap_port}
            for security, port in ports.items():
                settings = {"imap_security": security, "imap_port": port}
                assert "reads INBOX" in email(server, user, **settings, ca_file=certificate).check()
                with pytest.raises(BadPayload, match=r"certificate .* cannot be trusted .* ca_file"):
                    email(server, user, **settings).check()
            sealed = email(server, user, imap_security="tls", imap_port=ports["tls"], ca_file=certificate)
            with Listener(sealed) as listener:
                wait_until(lambda: listener.heartbeats, what="the open line")
                server.deliver(user, mail(message_id="<sealed@example.com>"))
                wait_until(lambda: listener.ids, what="the mail")
            assert listener.error is None


class Provider:
    """Gives tokens out for a refresh token, and says of a token whose it is."""

    def __init__(self) -> None:
        self.given = 0
        self.status = 200
        self.revoked: set[str] = set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                known = form["refresh_token"] == ["refresh"] and form["client_secret"] == ["client secret"]
                provider.given += 1
                self._answer(
                    provider.status if known else 400,
                    {"access_token": f"token-{provider.given}", "expires_in": 3600},
                )

            def do_GET(self) -> None:
                token = self.path.rpartition("/")[2].partition("&")[0]
                good = token.startswith("token-") and token not in provider.revoked
                self._answer(200, {"email": "oauth-user", "active": "true" if good else "false"})

            def _answer(self, status: int, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests are quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Provider:
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def test_signing_in_by_token() -> None:
    with Provider() as provider, dovecot_server(token_url=f"{provider.url}/") as server:
        settings: dict[str, Any] = {"user": "oauth-user", "password": None}
        server_settings = {
            "imap_host": "127.0.0.1",
            "imap_port": server.imap_port,
            "imap_security": "none",
            **settings,
        }
        assert email(**server_settings, access_token="token-0").check() == "reads INBOX of oauth-user"
        with pytest.raises(AuthExpired):
            email(**server_settings, access_token="stolen").check()
        renewing = {
            **server_settings,
            "oauth_token_url": f"{provider.url}/token",
            "oauth_client_secret": "client secret",
            "oauth_refresh_token": "refresh",
        }
        connector = email(**renewing)
        connector.check()
        connector.close()
        connector.check()
        assert provider.given == 1
        connector.close()
        provider.revoked.add("token-1")
        with pytest.raises(AuthExpired):
            connector.check()
        connector.check()
        assert provider.given == 2
        connector.close()
        with pytest.raises(AuthExpired, match="refresh token"):
            email(**{**renewing, "oauth_refresh_token": "withdrawn"}).check()
        provider.status = 503
        with pytest.raises(RetryLater):
            email(**renewing).check()
