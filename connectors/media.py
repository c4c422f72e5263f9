"""Pictures and films that a vendor names by their address, fetched from the vendor's own hosts alone.

Strangers write what comes in, and an address in it could point anywhere: into the hub's own network, most of
all (https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html).
So a connector names the hosts at which its vendor keeps files, and nothing else is asked: by HTTPS, at public
addresses, directly and not by way of a proxy, and no redirect leads elsewhere.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NoReturn

import httpx2

from connectors.base import Media, Refused, RetryLater

_MOST_REDIRECTS = 3
_MOST_ADDRESSES = 3
_MOST_SECONDS = 120.0  # for one file; a server that drips holds nobody up for longer
_KINDS = ("image/", "video/", "audio/")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# What may be had later; all else that is no success is final.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})

# RFC 6052, 2.1 and RFC 8215: IPv4 addresses as IPv6 networks reach them, of the Internet and of one's own.
_NAT64, _LOCAL_NAT64 = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")

Headers = Callable[[str], Mapping[str, str]]


class MediaHosts:
    """The hosts at which a vendor keeps files: exact names, or `.example.com` for all below example.com.

    `peer` is the address of a server in the vendor's place. Where that is on this machine, as in tests, files
    may be had from it too, and from this machine nowhere else.
    """

    def __init__(self, names: Sequence[str], peer: str | None = None) -> None:
        self._names = tuple(name.lower() for name in names if name)
        self._peer = _origin(peer) if peer and _host(peer) in _LOOPBACK else None

    def has(self, url: str) -> bool:
        """Whether `url` leads to one of them."""
        try:
            parts = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError):
            return False
        if parts.userinfo:
            return False
        if self._peer is not None and _origin(url) == self._peer:
            return True
        named = any(
            parts.host == name or (name.startswith(".") and parts.host.endswith(name)) for name in self._names
        )
        return named and parts.scheme == "https" and parts.port in (None, 443)

    def fetch(
        self,
        url: str,
        max_bytes: int,
        timeout_seconds: float,
        *,
        headers: Headers | None = None,
        kinds: Sequence[str] = _KINDS,
    ) -> Media:
        """The file at `url`. `headers` gives those that go with the first request, and with no redirect.

        Raises: RetryLater; Refused, for good: it is gone, larger than `max_bytes`, none of `kinds` (what
        content types begin with), or at a host that is none of these.
        """
        ends_at = time.monotonic() + _MOST_SECONDS
        # No proxy, no .netrc and no cookies: what is asked for says all that anybody is told.
        with httpx2.Client(
            timeout=timeout_seconds, verify=_trusted(), trust_env=False, follow_redirects=False
        ) as client:
            more = dict(headers(url)) if headers else {}
            for _ in range(_MOST_REDIRECTS + 1):
                found = self._ask(client, url, more, max_bytes, kinds, ends_at)
                if isinstance(found, Media):
                    return found
                url, more = found, {}
        raise Refused("The file's address leads on and on.")

    def _ask(
        self,
        client: httpx2.Client,
        url: str,
        headers: Mapping[str, str],
        max_bytes: int,
        kinds: Sequence[str],
        ends_at: float,
    ) -> Media | str:
        """What is there, or the address that it leads to."""
        if not self.has(url):
            raise Refused(f"The file is at {_host(url) or 'no host'}, which is no host of the vendor's.")
        asked = httpx2.URL(url)
        extensions = {} if self._at_peer(url) else {"sni_hostname": asked.host}
        # Nothing packed: a small answer could become a huge file.
        always = {"Host": asked.netloc.decode("ascii"), "Accept": "*/*", "Accept-Encoding": "identity"}
        for number, (address, port) in enumerate(tried := self._addresses(url), 1):
            # Its number, so that nobody can have the name mean another between looking and asking.
            there = asked.copy_with(host=address, port=port)
            try:
                with client.stream(
                    "GET", there, headers={**headers, **always}, extensions=extensions
                ) as answer:
                    return _read(answer, asked, max_bytes, kinds, ends_at)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                if number == len(tried):
                    _not_had(asked.host, error)
            except httpx2.HTTPError as error:
                _not_had(asked.host, error)
        raise RetryLater(f"{asked.host} has no address.")

    def _at_peer(self, url: str) -> bool:
        return self._peer is not None and _origin(url) == self._peer

    def _addresses(self, url: str) -> list[tuple[str, int | None]]:
        asked = httpx2.URL(url)
        if self._at_peer(url):
            return [(asked.host, asked.port)]
        found = _resolved(asked.host)
        if not found or not all(public(address) for address, _ in found):
            raise Refused(f"{asked.host} is no public address.")
        return found[:_MOST_ADDRESSES]


def public(address: str) -> bool:
    """Whether this IP address is anybody's on the Internet, and none of a network of one's own."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        # The ways in which an IPv6 address stands for another one.
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        if (inner is not None and not inner.is_global) or found in _LOCAL_NAT64:
            return False
    return found.is_global and not found.is_multicast


def _resolved(host: str) -> list[tuple[str, int | None]]:
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RetryLater(f"{host} cannot be found: {type(error).__name__}.") from None
    return list(dict.fromkeys((str(address[0]), None) for *_, address in found))


def _read(
    answer: httpx2.Response, asked: httpx2.URL, max_bytes: int, kinds: Sequence[str], ends_at: float
) -> Media | str:
    if answer.is_redirect:
        try:
            return str(asked.join(answer.headers["location"]))
        except (httpx2.InvalidURL, ValueError):
            raise Refused("The file's address leads nowhere.") from None
    status = answer.status_code
    if status in _LATER:
        raise RetryLater(
            f"{asked.host} answered HTTP {status}.",
            after_seconds=_after(answer.headers.get("retry-after", "").strip()),
            status=status,
        )
    if status in (404, 410):
        raise Refused("The file is no longer there.", status=status)
    if status != 200:
        raise Refused(f"{asked.host} answered HTTP {status}.", status=status)
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not content_type.startswith(tuple(kinds)):
        raise Refused(f"{asked.host} has no picture or film there, but {content_type[:100] or 'no type'}.")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(f"{asked.host} packs the file, which nobody asked for.")
    told = answer.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > max_bytes:
        raise _too_large(max_bytes)
    content = bytearray()
    for part in answer.iter_raw():
        content += part
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
        if time.monotonic() > ends_at:
            raise RetryLater(f"{asked.host} takes longer than {_MOST_SECONDS:.0f} seconds.")
    if not content:
        raise Refused("The file is empty.")
    return Media(bytes(content), content_type)


def _after(told: str) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if told.isdecimal():
        return float(told[:9])
    with suppress(ValueError, TypeError, IndexError):
        when = parsedate_to_datetime(told)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None


def _too_large(max_bytes: int) -> Refused:
    return Refused(f"The file is larger than the {max_bytes / 1_000_000:g} MB that are kept.")


def _not_had(host: str, error: httpx2.HTTPError) -> NoReturn:
    # The error's own text may repeat the address.
    raise RetryLater(f"{host} cannot be asked: {type(error).__name__}.") from None


def _host(url: str) -> str:
    try:
        return httpx2.URL(url).host
    except (httpx2.InvalidURL, ValueError):
        return ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = httpx2.URL(url)
    return parts.scheme, parts.host, parts.port


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
