"""The way to X's servers: where to, what is left of the limits, and what an error answer means.

https://docs.x.com/x-api/fundamentals/rate-limits and /response-codes-and-errors.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from connectors.base import (
    AuthExpired,
    BadPayload,
    Budget,
    ConnectorError,
    OutcomeUnknown,
    Refused,
    RetryLater,
)

HOST = "https://api.twitter.com"
"""Where tweepy sends everything; it cannot be set there."""

_PROBLEM = "https://api.twitter.com/2/problems/"
_CREDITS_RETRY_SECONDS = 3600.0

# Of the app or its keys, and for a person to put right; other 403 are about the one request.
_KEYS_NO_LONGER_SERVE = frozenset(
    _PROBLEM + name for name in ("client-forbidden", "oauth1-permissions", "unsupported-authentication")
)
# Codes of API 1.1 that still come: suspended, token invalid, read-only app, account locked.
_ACCOUNT_CODES = frozenset({32, 64, 89, 215, 220, 261, 326})

_LIMIT_NAMES = (
    ("/mentions", "mentions"),
    ("/search/stream/rules", "stream rules"),
    ("/search/stream", "stream"),
    ("/search/", "search"),
    ("/dm_events", "direct messages"),
    ("/messages", "direct messages sent"),
    ("/media/", "media"),
    ("/oauth2/", "signing in"),
    ("/usage/", "usage"),
    ("/users/me", "account"),
    ("/users/", "own posts"),
)


_PUBLISHING = frozenset({"posting", "direct messages sent"})
_SENDING = _PUBLISHING | {"media"}


class Transport(HTTPAdapter):
    """The way to X, or to a server in its place. Raises our errors before tweepy makes its own of them.

    Every limit that an answer tells is kept, and a request that it forbids is not made.
    """

    def __init__(self, base_url: str | None, timeout_seconds: float, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/") if base_url else None
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._streaming: requests.Response | None = None
        self.limits: dict[str, Budget] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Raises: RetryLater, AuthExpired, Refused, BadPayload, OutcomeUnknown."""
        name = _limit_name(request)
        self._keep_to(name)
        if self._base_url and request.url:
            request.url = self._base_url + request.url.removeprefix(HOST)
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout_seconds
        try:
            response = super().send(request, *args, **kwargs)
            if not kwargs.get("stream"):
                # Read here, so that an answer cut short is told like a connection that broke.
                _ = response.content
        except requests.RequestException as error:
            raise _unreached(error, name in _PUBLISHING) from error
        self._note(name, response)
        # A redirect could lead a signed request astray.
        if not response.ok or response.is_redirect:
            raise problem(response, self._clock(), name)
        if kwargs.get("stream"):
            self._streaming = response
        return response

    def hang_up(self) -> None:
        """End a stream that is being read by another thread, at once."""
        connection = getattr(getattr(self._streaming, "raw", None), "connection", None)
        open_socket = getattr(connection, "sock", None)
        if open_socket is not None:
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _keep_to(self, name: str) -> None:
        limit = self.limits.get(name)
        if limit is None or limit.remaining != 0 or limit.resets_at is None:
            return
        wait = (limit.resets_at - self._clock()).total_seconds()
        if wait > 0:
            raise RetryLater(f"X's limit for {name} is used up.", after_seconds=wait, status=429)

    def _note(self, name: str, response: requests.Response) -> None:
        for prefix, title in (
            ("x-rate-limit", name),
            ("x-user-limit-24hour", f"{name} of the account in a day"),
            ("x-app-limit-24hour", f"{name} of the app in a day"),
        ):
            limit, remaining, reset = (
                _number(response.headers.get(f"{prefix}-{part}")) for part in ("limit", "remaining", "reset")
            )
            if limit is not None and remaining is not None:
                self.limits[title] = Budget(title, limit, remaining, _moment(reset))


def _limit_name(request: requests.PreparedRequest) -> str:
    path = request.path_url
    if request.method == "POST" and path == "/2/tweets":
        return "posting"
    return next((name for part, name in _LIMIT_NAMES if part in path), "posts")


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() and len(value) < 15 else None


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(min(seconds, 253_000_000_000), UTC)


def _unreached(error: requests.RequestException, publishes: bool) -> ConnectorError:
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    unsent = isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError) or isinstance(
        reason, NewConnectionError | ConnectTimeoutError
    )
    # The error's own text repeats the address with all that was asked.
    if unsent:
        return RetryLater(f"X cannot be reached: {type(reason).__name__}.")
    if publishes:
        return OutcomeUnknown(f"The connection to X broke after the request: {type(error).__name__}.")
    return RetryLater(f"The connection to X broke: {type(error).__name__}.")


def problem(response: requests.Response, now: datetime, name: str) -> ConnectorError:
    """What an error answer to a request under the limit called `name` asks of the caller.

    429, spent quotas and credits are RetryLater; 401 and a 403 about the app, its keys or its account are
    AuthExpired; a 5xx after a request to publish is OutcomeUnknown, unless X says that it was too busy.
    What else X does not take is Refused where it is part of a reply, and BadPayload where it is to be read.
    """
    status = response.status_code
    body = _json(response)
    kind, told = str(body.get("type", "")), explanation(body)
    text = f"X answered HTTP {status}{': ' + told if told else '.'}"
    if status == 429 or kind == _PROBLEM + "usage-capped":
        return RetryLater(text, after_seconds=_reset_seconds(response, now), status=status)
    if status == 402:
        return RetryLater(
            f"{text} The plan's credits are used up: buy some, or raise the spending limit.",
            after_seconds=_CREDITS_RETRY_SECONDS,
            status=status,
        )
    if status == 401:
        return AuthExpired(f"{text} Make the keys and tokens of the app anew, or sign in again.")
    if status == 403 and (kind in _KEYS_NO_LONGER_SERVE or _codes(body) & _ACCOUNT_CODES):
        return AuthExpired(f"{text} Look at the app's permissions and plan in X's developer console.")
    if status >= 500 and status != 503 and name in _PUBLISHING:
        return OutcomeUnknown(text)
    if status >= 500 or status == 408:
        return RetryLater(text, status=status)
    return Refused(text, status=status) if name in _SENDING else BadPayload(text)


def _json(response: requests.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except (ValueError, RecursionError, requests.RequestException):
        return {}
    return found if isinstance(found, dict) else {}


def _errors(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    errors = body.get("errors")
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _codes(body: Mapping[str, Any]) -> set[Any]:
    return {error["code"] for error in [body, *_errors(body)] if isinstance(error.get("code"), int)}


def explanation(body: Mapping[str, Any]) -> str:
    """The sentences of a problem (RFC 7807) and of what it lists, for a person to read."""
    told = [
        str(each[member])
        for each in (body, *_errors(body))
        for member in ("detail", "message", "error_description")
        if isinstance(each.get(member), str)
    ]
    return " ".join(dict.fromkeys(told))[:500]


def _reset_seconds(response: requests.Response, now: datetime) -> float | None:
    """Until the last of the limits that are used up begins anew."""
    resets = [
        reset
        for prefix in ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")
        if _number(response.headers.get(f"{prefix}-remaining")) == 0
        and (reset := _number(response.headers.get(f"{prefix}-reset"))) is not None
    ]
    if not resets and (reset := _number(response.headers.get("x-rate-limit-reset"))) is not None:
        resets = [reset]
    return max(0.0, max(resets) - now.timestamp()) if resets else None
