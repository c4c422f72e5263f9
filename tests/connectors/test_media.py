"""Files at a vendor's hosts, and nowhere else: what strangers write leads nobody astray."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors import connect, media
from connectors.base import Media, Refused, RetryLater
from connectors.media import MediaHosts, public

PNG = b"\x89PNG of a crushed box"
HOST = "media.vendor.example"
FAR, NOW = datetime(2099, 12, 31, tzinfo=UTC), time.time()


class Server:
    """Answers by path: status, headers and content, or what to do with the connection."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                status, headers, content = server.answers[self.path]
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests are quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def has(self, path: str, content: bytes = PNG, status: int = 200, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (status, {"content-type": "image/png", **named}, content)
        return self.url + path


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def fetched(server: Server, url: str, max_bytes: int = 1000, **more: Any) -> Media:
    return MediaHosts([HOST], server.url).fetch(url, max_bytes, 2, **more)


def test_a_file_comes_with_its_type(server: Server) -> None:
    url = server.has("/box.png?name=large", content_type="Image/PNG; charset=x")
    assert fetched(server, url, headers=lambda url: {"authorization": "key"}) == Media(PNG, "image/png")
    [(path, headers)] = server.requests
    assert path == "/box.png?name=large"
    assert headers["authorization"] == "key"
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "headers", "content", "told"),
    [
        (404, {}, b"", "no longer there"),
        (410, {}, b"", "no longer there"),
        (403, {}, b"", "HTTP 403"),
        (200, {"content_type": "text/html"}, b"<html>", "text/html"),
        (200, {"content_encoding": "gzip"}, PNG, "packs"),
        (200, {}, b"", "empty"),
        (200, {}, PNG * 100, "larger than the 0.001 MB"),
        (302, {"location": "https://elsewhere.example/box.png"}, b"", "elsewhere.example"),
        (302, {"location": "http://127.0.0.1:1/box.png"}, b"", "127.0.0.1"),
        (302, {"location": "http://x:abc/"}, b"", "leads nowhere"),
        (302, {"location": "/x"}, b"", "on and on"),
    ],
)
def test_what_will_never_be_had_is_refused(
    server: Server, status: int, headers: dict[str, str], content: bytes, told: str
) -> None:
    url = server.has("/x", content, status, **headers)
    with pytest.raises(Refused, match=told):
        fetched(server, url)


def test_a_file_without_a_length_is_cut_off_at_the_limit(server: Server) -> None:
    url = server.has("/x", PNG * 100, content_length="")
    with pytest.raises(Refused, match="larger"):
        fetched(server, url)


@pytest.mark.parametrize(
    ("status", "after", "seconds"),
    [
        (429, "600", 600.0),
        (503, "Thu, 31 Dec 2099 00:00:00 GMT", pytest.approx(FAR.timestamp() - NOW, abs=3600)),
        (500, "soon", None),
    ],
)
def test_what_may_be_had_later_is_tried_later(
    server: Server, status: int, after: str, seconds: float | None
) -> None:
    url = server.has("/x", b"", status, retry_after=after)
    with pytest.raises(RetryLater) as told:
        fetched(server, url)
    assert (told.value.status, told.value.after_seconds) == (status, seconds)


def test_a_file_cut_short_or_a_server_away_is_tried_later(server: Server) -> None:
    with pytest.raises(RetryLater, match="cannot be asked"):
        fetched(server, server.has("/x", content_length="900", connection="close"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RetryLater, match="cannot be asked"):
        MediaHosts([], away).fetch(f"{away}/x", 1000, 1)


def test_a_redirect_is_followed_among_the_vendors_hosts_without_its_keys(server: Server) -> None:
    server.has("/x", b"", 302, location="/y")
    server.has("/y")
    assert fetched(server, f"{server.url}/x", headers=lambda url: {"authorization": "key"}).content == PNG
    assert [headers.get("authorization") for _, headers in server.requests] == ["key", None]


@pytest.mark.parametrize(
    ("url", "has"),
    [
        (f"https://{HOST}/a.png", True),
        (f"https://{HOST.upper()}:443/a.png", True),
        ("https://b.cdn.example/a.png", True),
        ("https://cdn.example/a.png", False),
        ("https://evilcdn.example/a.png", False),
        (f"http://{HOST}/a.png", False),
        (f"https://{HOST}:8443/a.png", False),
        (f"https://{HOST}.evil.example/a.png", False),
        (f"https://user@{HOST}/a.png", False),
        (f"https://evil.example/@{HOST}", False),
        (f"https://evil.example\\@{HOST}/", False),
        ("https://127.0.0.1/a.png", False),
        ("http://127.0.0.1:9/a.png", False),
        ("https:///a.png", False),
        (f"file://{HOST}/etc/passwd", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_only_the_vendors_own_hosts_are_asked(url: str, has: bool) -> None:
    hosts = MediaHosts([HOST, ".cdn.example", ""], "https://api.vendor.example")
    assert hosts.has(url) is has
    if not has:
        with pytest.raises(Refused, match="no host of the vendor's"):
            hosts.fetch(url, 1000, 1)


@pytest.mark.parametrize(
    ("connector", "setting"),
    [("x", "base_url"), ("bluesky", "media_url"), ("mastodon", "server"), ("reddit", "oauth_url")],
)
def test_a_connector_fetches_from_its_vendor(server: Server, connector: str, setting: str) -> None:
    url = server.has("/box.png")
    assert connect(connector, {setting: server.url}).download(url, 1000) == Media(PNG, "image/png")
    with pytest.raises(Refused, match="larger"):
        connect(connector, {setting: server.url}).download(url, 3)


def test_x_is_asked_for_what_came_directly_with_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def fetch(self: MediaHosts, url: str, *limits: float, headers: Any = None) -> Media:
        asked.append((url, headers(url) if headers else None))
        return Media(PNG, "image/png")

    monkeypatch.setattr(MediaHosts, "fetch", fetch)
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    keys = {name: f"900-{name}" for name in names}
    for url in ("https://ton.twitter.com/i/a.jpg", "https://pbs.twimg.com/a.jpg"):
        connect("x", keys).download(url, 1000)
    assert asked[0][1]["Authorization"].startswith("OAuth ")
    assert "900-access_token" in asked[0][1]["Authorization"]
    assert asked[1][1] is None


@pytest.mark.parametrize("connector", ["x", "bluesky", "mastodon", "reddit"])
def test_no_connector_asks_an_address_that_a_stranger_chose(
    connector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        socket, "create_connection", lambda *args, **kwargs: pytest.fail("somebody was asked")
    )
    made = connect(connector, {"mastodon": {"server": "https://social.example"}}.get(connector, {}))
    if connector == "mastodon":
        made._instance = {"thumbnail": {"url": "https://files.example/t.png"}}  # type: ignore[attr-defined]
    for url in (
        "http://127.0.0.1/a",
        "https://10.0.0.1/a",
        "https://evil.example/a",
        "http://169.254.169.254/",
    ):
        with pytest.raises(Refused):
            made.download(url, 1000)


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        *(
            (each, False)
            for each in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254")
        ),
        *((each, False) for each in ("100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255")),
        *((each, False) for each in ("::1", "::", "fe80::1%eth0", "fd00::1", "ff0e::1")),
        *(
            (each, False)
            for each in ("::ffff:10.0.0.1", "2002:0a00:0001::1", "64:ff9b:1::a00:1", "64:ff9b::a00:1")
        ),
    ],
)
def test_private_addresses_are_told_from_public_ones(address: str, is_public: bool) -> None:
    assert public(address) is is_public


def test_a_vendors_name_that_leads_into_our_own_network_is_not_followed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("93.184.216.34", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    with pytest.raises(Refused, match="no public address"):
        MediaHosts([HOST], server.url).fetch(f"https://{HOST}/a.png", 1000, 1)


def test_the_name_is_looked_up_once_and_the_certificate_is_of_that_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, trusted = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.has("/box.png")
    monkeypatch.setattr(media, "_resolved", lambda host: [("127.0.0.1", server.port)])
    monkeypatch.setattr(media, "public", lambda address: True)
    monkeypatch.setattr(media, "_trusted", lambda: trusted)
    assert MediaHosts([HOST]).fetch(f"https://{HOST}/box.png", 1000, 2).content == PNG
    assert server.requests[0][1]["host"] == HOST
    with pytest.raises(RetryLater, match="cannot be asked"):
        MediaHosts(["other.example"]).fetch("https://other.example/box.png", 1000, 2)
    assert len(server.requests) == 1


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of `HOST` with its key, and what trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(secret + pem)
    trusted = ssl.create_default_context(cadata=pem.decode())
    return path, trusted
