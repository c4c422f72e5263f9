"""Pushes one signed request and says what became of it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx2

from connectors.base import AuthExpired, ConnectorError, OutcomeUnknown, Refused, RetryLater, Sent
from connectors.webhook.signature import sign

_MAX_ANSWER_BYTES = 65_536
_MAX_ID_LENGTH = 200


class WebhookClient:
    """Speaks to the brand's system. Redirects are never followed: they could lead a signed reply astray."""

    def __init__(self, secret: str, timeout_seconds: float, clock: Callable[[], datetime]) -> None:
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        self._clock = clock

    def push(self, url: str, delivery_id: str, body: str) -> Sent:
        """POST a body. Raises: RetryLater, AuthExpired, Refused, OutcomeUnknown."""
        status, retry_after, answer = self._request("POST", url, delivery_id, body)
        if not 200 <= status < 300:
            raise _refusal(status, retry_after, self._clock())
        return Sent(_id_in(answer), f"HTTP {status}")

    def ask(self, url: str, delivery_id: str) -> Sent | None:
        """GET what the other side has; None where it answers 404. Raises: OutcomeUnknown."""
        try:
            status, _, answer = self._request("GET", url, delivery_id, "")
        except (RetryLater, Refused) as error:
            raise OutcomeUnknown(f"The status cannot be asked: {error}") from error
        if status == 404:
            return None
        if status != 200:
            raise OutcomeUnknown(f"The status was answered with HTTP {status}.")
        return Sent(_id_in(answer), "found by its key")

    def _request(self, method: str, url: str, delivery_id: str, body: str) -> tuple[int, str | None, bytes]:
        """Status, Retry-After and the beginning of the answer."""
        if not (delivery_id.isascii() and delivery_id.isprintable()):
            raise Refused("The key holds characters that no header can hold.")
        stamp = int(self._clock().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign(self._secret, delivery_id, stamp, body),
        }
        try:
            # A new connection each time: one that was kept could be cut while we write, and leave us
            # guessing.
            with (
                httpx2.Client(timeout=self._timeout_seconds, follow_redirects=False, verify=_tls()) as client,
                client.stream(method, url, headers=headers, content=body.encode()) as response,
            ):
                return response.status_code, response.headers.get("retry-after"), self._answer(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise RetryLater(f"No connection: {error}") from error
        except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as error:
            raise Refused(f"This request cannot be made: {error}") from error
        except httpx2.TransportError as error:
            raise OutcomeUnknown(f"The connection broke after the request was sent: {error}") from error

    def _answer(self, response: httpx2.Response) -> bytes:
        """What can be had of the answer in time; the status, which decides, is already known."""
        ends_at = time.monotonic() + self._timeout_seconds
        answer = b""
        try:
            for chunk in response.iter_bytes():
                answer += chunk
                if len(answer) > _MAX_ANSWER_BYTES or time.monotonic() > ends_at:
                    break
        except (httpx2.TransportError, httpx2.DecodingError):
            return b""
        return answer


@cache
def _tls() -> ssl.SSLContext:
    # Made once: reading all certificates takes 25 ms, more than everything else here.
    return httpx2.create_ssl_context()


def _refusal(status: int, retry_after: str | None, now: datetime) -> ConnectorError:
    text = f"The other side answered HTTP {status}."
    if status in (401, 403):
        return AuthExpired(text)
    if status in (408, 425, 429) or status >= 500:
        return RetryLater(text, after_seconds=_seconds(retry_after, now), status=status)
    return Refused(text, status=status)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3)."""
    value = (retry_after or "").strip()
    if value.isdecimal():
        return float(value[:9])
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())


def _id_in(answer: bytes) -> str | None:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    value = found.get("id") if isinstance(found, dict) else None
    return str(value)[:_MAX_ID_LENGTH] if isinstance(value, str | int) and value != "" else None
