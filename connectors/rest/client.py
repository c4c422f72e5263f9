"""Asks a vendor's API over HTTP, keeps to its limits, and says what became of each request."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urljoin

import httpx2

from connectors.base import AuthExpired, BadPayload, Budget, OutcomeUnknown, Refused, RetryLater
from connectors.fields import BadRecord, moment
from connectors.rest.description import Auth, Limits

# How long reading rests where the vendor does not say when its limit is renewed.
_REST_SECONDS = 60.0
_NOT_REACHED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_NOT_MADE = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL)


# A file of a form: its field, its own name, its content type and its content.
FormFile = tuple[str, str, str, bytes]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the vendor gave out."""

    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx2.Headers
    content: bytes
    url: str

    def document(self) -> Any:
        """The JSON in it; None where it is empty. Raises: BadPayload."""
        if not self.content.strip():
            return None
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise BadPayload(f"{_path(self.url)} was answered with something that is no JSON.") from None

    def next_link(self) -> str | None:
        """The address of the next page in the Link header (RFC 8288)."""
        found = httpx2.Response(200, headers=self.headers).links.get("next", {})
        return found.get("url")


class Status(BadPayload):
    """The vendor answered a reading request with an error that asking again will not mend."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RestClient:
    """Speaks with one API. Redirects are never followed: they could lead the credentials astray."""

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        secrets: Secrets,
        headers: Mapping[str, str],
        limits: Limits | None,
        *,
        timeout_seconds: float,
        max_answer_bytes: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._secrets = secrets
        self._headers = {"accept": "application/json", **headers, **_auth_headers(auth, secrets)}
        self._limits = limits
        self._timeout_seconds = timeout_seconds
        self._max_answer_bytes = max_answer_bytes
        self._clock = clock
        self._open: httpx2.Client | None = None
        self._budget: Budget | None = None
        self._told_at = clock()

    @property
    def host(self) -> str:
        """Where it speaks to."""
        return httpx2.URL(self._base_url).host

    def budgets(self) -> tuple[Budget, ...]:
        """What is left, as the vendor said it last."""
        return (self._budget,) if self._budget else ()

    def url(self, path: str) -> str:
        """The address of a path."""
        return self._base_url + path

    def same_place(self, link: str, beside: str) -> str:
        """The address that a link on a page leads to. Raises: BadPayload where that is another server."""
        found = httpx2.URL(urljoin(beside, link))
        base = httpx2.URL(self._base_url)
        if (found.scheme, found.host, found.port) != (base.scheme, base.host, base.port):
            raise BadPayload(
                f"The next page is said to be at {found.host}, which is not asked: {base.host} is."
            )
        return str(found)

    def read(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """Ask for something, which may be asked again.

        Raises: RetryLater (no connection, 408, 425, 429, 5xx, or the limit is used up), AuthExpired (401,
        403), Status (any other answer but 2xx), BadPayload.
        """
        self._keep_to_the_limit()
        if self._open is None:
            self._open = self._client()
        try:
            answer = self._ask(self._open, method, url, params, headers, body)
        except _NOT_MADE as error:
            raise BadPayload(f"This request cannot be made: {_told(error)}.") from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise RetryLater(f"No answer from {self.host}: {_told(error)}.") from None
        if 200 <= answer.status < 300:
            return answer
        text = f"{self.host} answered {method} {_path(url)} with HTTP {answer.status}."
        if answer.status in (401, 403):
            raise AuthExpired(text)
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise RetryLater(text, after_seconds=self._after(answer), status=answer.status)
        raise Status(text, answer.status)

    def download(self, url: str, max_bytes: int, hosts: Sequence[str]) -> bytes | None:
        """A file on this server or one of `hosts` (`*.example.com` for all below).

        None where it is elsewhere, gone or larger. Credentials go to this server alone, and no redirect is
        followed.

        Raises: RetryLater where this server says so or does not answer; another is not waited for.
        """
        try:
            address, base = httpx2.URL(url), httpx2.URL(self._base_url)
        except httpx2.InvalidURL:
            return None
        own = (address.scheme, address.host, address.port) == (base.scheme, base.host, base.port)
        if not own and not (address.scheme in ("https", base.scheme) and _among(address.host, hosts)):
            return None
        if own:
            self._keep_to_the_limit()
        plain = httpx2.Client(timeout=self._timeout_seconds, follow_redirects=False, verify=_tls())
        headers = {**self._headers, "accept": "*/*"} if own else {"accept": "*/*"}
        content = b""
        try:
            with (
                self._client() if own else plain as client,
                client.stream("GET", address, headers=headers) as response,
            ):
                if own and (response.status_code in (408, 425, 429) or response.status_code >= 500):
                    raise RetryLater(
                        f"{self.host} does not give a file out now: HTTP {response.status_code}."
                    )
                if response.status_code != 200:
                    return None
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > max_bytes:
                        return None
        except _NOT_MADE:
            return None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            if own:
                raise RetryLater(f"A file cannot be had from {self.host}: {_told(error)}.") from None
            return None
        return content

    def write(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
        body: Any,
        safe: bool,
        files: Sequence[FormFile] = (),
    ) -> Answer:
        """Post something, with `files` as a form.

        `safe` is whether the vendor knows a repeated request again. Raises: RetryLater (surely not taken),
        AuthExpired, Refused, OutcomeUnknown.
        """
        try:
            # A connection of its own: one that was kept could be cut while we write, and leave us guessing.
            with self._client() as client:
                answer = self._ask(client, method, url, params, headers, body, files)
        except _NOT_REACHED as error:
            raise RetryLater(f"No connection to {self.host}: {_told(error)}.") from None
        except _NOT_MADE as error:
            raise Refused(f"This request cannot be made: {_told(error)}.") from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise OutcomeUnknown(f"The connection broke after the reply was sent: {_told(error)}.") from None
        except BadPayload as error:
            raise OutcomeUnknown(f"The reply was sent, and the answer to it is too long: {error}") from None
        if 200 <= answer.status < 300:
            return answer
        text = f"{self.host} answered {method} {_path(url)} with HTTP {answer.status}."
        if answer.status in (401, 403):
            raise AuthExpired(text)
        if answer.status in (408, 425, 429, 503) or (answer.status >= 500 and safe):
            raise RetryLater(text, after_seconds=self._after(answer), status=answer.status)
        if answer.status >= 500:
            raise OutcomeUnknown(f"{text} It may have been taken all the same.")
        raise Refused(text, status=answer.status)

    def close(self) -> None:
        """Give the connection back."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _client(self) -> httpx2.Client:
        auth = self._auth
        # A token in the address is put there below everything that logs addresses.
        transport = _Addressed(auth.name or "", self._secrets.token or "") if auth.type == "query" else None
        return httpx2.Client(
            timeout=self._timeout_seconds, follow_redirects=False, verify=_tls(), transport=transport
        )

    def _ask(
        self,
        client: httpx2.Client,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        body: Any,
        files: Sequence[FormFile] = (),
    ) -> Answer:
        address = httpx2.URL(url)
        if params:
            address = address.copy_merge_params({name: _query(value) for name, value in params.items()})
        sent = {**self._headers, **(headers or {})}
        what: dict[str, Any] = {}
        if files:
            what["data"] = {name: _query(value) for name, value in body.items()}
            what["files"] = [(field, (name, content, kind)) for field, name, kind, content in files]
        elif body is not None:
            sent = {"content-type": "application/json", **sent}
            what["content"] = json.dumps(body).encode()
        with client.stream(method, address, headers=sent, **what) as response:
            found = b""
            for chunk in response.iter_bytes():
                found += chunk
                if len(found) > self._max_answer_bytes:
                    raise BadPayload(
                        f"{_path(url)} was answered with more than {self._max_answer_bytes:,} bytes."
                    )
            self._note_budget(response.headers)
            return Answer(response.status_code, response.headers, found, str(address))

    def _note_budget(self, headers: httpx2.Headers) -> None:
        limits = self._limits
        if limits is None:
            return
        remaining = _number(headers.get(limits.remaining))
        if remaining is None:
            return
        now = self._clock()
        resets_at = None
        said = headers.get(limits.resets) if limits.resets else None
        if said and limits.resets_as == "seconds":
            seconds = _number(said)
            resets_at = None if seconds is None else now + timedelta(seconds=seconds)
        elif said:
            try:
                resets_at = moment(said, UTC, now)
            except BadRecord:
                resets_at = None
        limit = _number(headers.get(limits.limit)) if limits.limit else None
        self._budget, self._told_at = Budget("requests", limit, remaining, resets_at), now

    def _keep_to_the_limit(self) -> None:
        """Raises: RetryLater where the vendor said that no more than what replies need is left."""
        budget, now = self._budget, self._clock()
        if budget is None or budget.remaining is None or self._limits is None:
            return
        if budget.remaining > self._limits.reserve:
            return
        renewed_at = budget.resets_at or self._told_at + timedelta(seconds=_REST_SECONDS)
        if renewed_at > now:
            raise RetryLater(
                f"{self.host} leaves {budget.remaining} requests, which are kept for replies.",
                after_seconds=(renewed_at - now).total_seconds(),
            )

    def _after(self, answer: Answer) -> float | None:
        """Seconds to wait: by Retry-After, a number or a date (RFC 9110, 10.2.3), else by the limit's end."""
        now = self._clock()
        value = (answer.headers.get("retry-after") or "").strip()
        if value.isdecimal():
            return float(value[:9])
        try:
            when = parsedate_to_datetime(value)
            return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())
        except (ValueError, TypeError, IndexError):
            resets_at = self._budget.resets_at if self._budget and answer.status == 429 else None
            return max(0.0, (resets_at - now).total_seconds()) if resets_at else None


class _Addressed(httpx2.BaseTransport):
    """Puts a token into the address of each request, after everything that could log it."""

    def __init__(self, name: str, token: str) -> None:
        self._name = name
        self._token = token
        self._below = httpx2.HTTPTransport(verify=_tls())

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._below.handle_request(
            httpx2.Request(
                request.method,
                request.url.copy_merge_params({self._name: self._token}),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    def close(self) -> None:
        self._below.close()


@cache
def _tls() -> ssl.SSLContext:
    # Made once: reading all certificates takes 25 ms, more than everything else here.
    return httpx2.create_ssl_context()


def _auth_headers(auth: Auth, secrets: Secrets) -> dict[str, str]:
    token = secrets.token or ""
    if auth.type == "bearer":
        return {"authorization": f"Bearer {token}"}
    if auth.type == "basic":
        pair = f"{secrets.username or ''}:{secrets.password or ''}"
        return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    if auth.type == "header":
        return {auth.name or "": auth.prefix + token}
    return {}


def _query(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _among(host: str, hosts: Sequence[str]) -> bool:
    return any(host.endswith(each[1:]) if each.startswith("*.") else host == each for each in hosts)


def _number(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text[:12]) if text.isascii() and text.isdigit() else None


def _path(url: str) -> str:
    """What of an address may be told."""
    return httpx2.URL(url).path


def _told(error: Exception) -> str:
    """What of an error may be told: httpx2's own words can hold an address with its secrets."""
    cause = error.__cause__ or error.__context__
    said = str(error) if isinstance(error, _NOT_REACHED) else ""
    return said or type(cause or error).__name__
