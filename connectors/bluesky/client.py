"""XRPC, the HTTP side of the AT Protocol: signing in, asking, and errors named by what the caller should do.

The protocol: https://atproto.com/specs/xrpc; its limits: https://docs.bsky.app/docs/advanced-guides/rate-limits
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import httpx
from atproto_client import Client
from atproto_client.client.session import Session, SessionEvent
from atproto_client.exceptions import (
    BadRequestError,
    LoginRequiredError,
    RateLimitExceededError,
    RequestErrorBase,
    UnauthorizedError,
)
from atproto_client.models.common import XrpcError
from atproto_client.request import Request, Response
from atproto_core.exceptions import AtProtocolError

from connectors.base import (
    AuthExpired,
    BadPayload,
    Budget,
    ConnectorError,
    OutcomeUnknown,
    Refused,
    RetryLater,
)

_TOKEN_ERRORS = {"ExpiredToken", "InvalidToken", "AuthMissing", "AuthenticationRequired"}
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NO_REQUEST = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)
_MAX_TOLD = 300

# Signing in is limited to 300 times a day, and a hub makes a connector for every round: sessions outlive
# them, in this process alone.
_sessions: dict[str, str] = {}
_sessions_lock = threading.Lock()


class BlueskyClient:
    """One account at its server. Nothing is contacted before the first question, which signs in.

    Every method raises RetryLater, AuthExpired, and what else it says.
    """

    def __init__(
        self,
        service_url: str,
        handle: str,
        app_password: str,
        timeout_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._service_url = service_url.rstrip("/")
        self._handle = handle
        self._app_password = app_password
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._client: Client | None = None
        self._session: Session | None = None
        self._budgets: dict[str, Budget] = {}
        whole = "\0".join((self._service_url, handle, app_password))
        self._session_key = hashlib.sha256(whole.encode()).hexdigest()

    @property
    def did(self) -> str:
        """The account's permanent name (https://atproto.com/specs/did)."""
        self._signed_in()
        return str(self._known_session().did)

    @property
    def handle(self) -> str:
        """The account's present name, as the server tells it."""
        self._signed_in()
        return str(self._known_session().handle)

    def budgets(self) -> tuple[Budget, ...]:
        """What the `ratelimit-*` headers said last, by what is limited."""
        return tuple(self._budgets.values())

    def get(self, method: str, **params: str | int | list[str] | None) -> dict[str, Any]:
        """The answer to a query. Raises: BadPayload where the server finds fault with it."""
        given = {name: value for name, value in params.items() if value is not None}
        asked = f"{method}?{urlencode(given, doseq=True)}" if given else method
        return self._ask(method, lambda client: client.invoke_query(asked), _query_failed)

    def post(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to what changes something. Raises: Refused, OutcomeUnknown."""
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._ask(
            method,
            lambda client: client.invoke_procedure(method, content=content, headers=headers),
            _procedure_failed,
        )

    def upload(self, content: bytes, content_type: str) -> dict[str, Any]:
        """A reference to stored bytes, for a record to hold; what no record holds is soon gone.

        Raises: Refused.
        """
        method, headers = "com.atproto.repo.uploadBlob", {"Content-Type": content_type}
        try:
            answer = self._ask(
                method,
                lambda client: client.invoke_procedure(method, content=content, headers=headers),
                _procedure_failed,
            )
        except OutcomeUnknown as error:
            raise RetryLater(str(error)) from error  # nothing was published: it may simply be done again
        blob: dict[str, Any] = answer.get("blob") or {}
        return blob

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.request.close()
            self._client = None

    def _ask(
        self,
        method: str,
        call: Callable[[Client], Response],
        failed: Callable[[Exception, datetime], ConnectorError],
    ) -> dict[str, Any]:
        self._keep_to_budget(method)
        client = self._signed_in()
        try:
            try:
                answer = call(client)
            except (AtProtocolError, httpx.HTTPError) as error:
                if not _is_about_tokens(error):
                    raise
                # A session ends when its password is taken back or it was not used for months; only the
                # password can tell which.
                self._forget_session()
                answer = call(self._signed_in())
        except (UnauthorizedError, LoginRequiredError) as error:
            raise AuthExpired(f"Bluesky does not let {self._handle} do this: {_told(error)}") from error
        except (AtProtocolError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise failed(error, self._clock()) from error
        if not isinstance(answer.content, dict):
            raise failed(ValueError("the answer is no JSON object"), self._clock())
        return answer.content

    def _signed_in(self) -> Client:
        if self._client is not None:
            return self._client
        request = Request(
            timeout=self._timeout_seconds,
            verify=_tls(),
            # Servers hang up after five quiet seconds: what is sent just then would have an unknown outcome.
            limits=httpx.Limits(keepalive_expiry=2),
            event_hooks={"response": [self._note_limits]},
        )
        client = Client(self._service_url, request=request)
        client.on_session_change(self._keep_session)
        with _sessions_lock:
            kept = _sessions.get(self._session_key)
        try:
            if kept is not None:
                client.login(session_string=kept, fetch_bsky_profile=False)
            else:
                self._keep_to_budget("com.atproto.server.createSession")
                client.login(self._handle, self._app_password, fetch_bsky_profile=False)
        except (UnauthorizedError, LoginRequiredError) as error:
            raise AuthExpired(
                f"Bluesky does not let {self._handle} in with this app password ({_told(error)}). "
                "Make a new one under Settings, Privacy and security, App passwords."
            ) from error
        except (AtProtocolError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _query_failed(error, self._clock()) from error
        self._client = client
        return client

    def _keep_session(self, _: SessionEvent, session: Session) -> None:
        self._session = session
        with _sessions_lock:
            _sessions[self._session_key] = session.encode()

    def _forget_session(self) -> None:
        self.close()
        with _sessions_lock:
            _sessions.pop(self._session_key, None)

    def _known_session(self) -> Session:
        if self._session is None:
            raise AuthExpired(f"Bluesky gave {self._handle} no session.")
        return self._session

    def _note_limits(self, response: httpx.Response) -> None:
        limit, remaining, resets = (
            _number(response.headers.get(f"ratelimit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if limit is not None or remaining is not None:
            name = _limited_with(response.request.url.path)
            resets_at = None if resets is None else datetime.fromtimestamp(resets, UTC)
            self._budgets[name] = Budget(name, limit, remaining, resets_at)

    def _keep_to_budget(self, method: str) -> None:
        budget = self._budgets.get(_limited_with(method))
        if budget is None or budget.remaining != 0 or budget.resets_at is None:
            return
        seconds = (budget.resets_at - self._clock()).total_seconds()
        if seconds > 0:
            raise RetryLater(
                f"Bluesky's limit for {budget.name} is used up.", after_seconds=seconds, status=429
            )


@cache
def _tls() -> ssl.SSLContext:
    # Made once: reading all certificates takes longer than everything else here.
    return httpx.create_ssl_context()


def _limited_with(method: str) -> str:
    """What shares a limit with this method."""
    if method.endswith("createSession"):
        return "sign-in"
    return "writing" if "com.atproto.repo.put" in method or method.endswith("uploadBlob") else "reading"


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() and len(value) < 12 else None


def _is_about_tokens(error: Exception) -> bool:
    if isinstance(error, LoginRequiredError):
        return True
    if not isinstance(error, RequestErrorBase) or error.response is None:
        return False
    content = error.response.content
    name = content.error if isinstance(content, XrpcError) else ""
    return error.response.status_code == 401 or (error.response.status_code == 400 and name in _TOKEN_ERRORS)


def error_name(error: BaseException | None) -> str:
    """The protocol's name of what went wrong (`InvalidSwap`), empty where there is none."""
    if isinstance(error, RequestErrorBase) and error.response is not None:
        content = error.response.content
        return str(content.error) if isinstance(content, XrpcError) else ""
    return ""


def _query_failed(error: Exception, now: datetime) -> ConnectorError:
    """A question that was not answered may be asked again, unless it was the wrong one."""
    status = _status(error)
    if isinstance(error, RateLimitExceededError):
        return _too_many(error, now)
    if isinstance(error, _NO_REQUEST) or isinstance(error.__cause__, _NO_REQUEST):
        return BadPayload(f"This request cannot be made; see the service_url: {_told(error)}")
    if isinstance(error, BadRequestError) or (status is not None and 404 <= status < 409):
        return BadPayload(f"Bluesky found fault with the request: {_told(error)}")
    return RetryLater(f"Bluesky did not answer: {_told(error)}", status=status)


def _procedure_failed(error: Exception, now: datetime) -> ConnectorError:
    status = _status(error)
    if isinstance(error, RateLimitExceededError):
        return _too_many(error, now)
    if isinstance(error, _NOT_SENT) or isinstance(error.__cause__, _NOT_SENT) or status == 503:
        return RetryLater(f"No connection: {_told(error)}", status=status)
    if status is not None and 400 <= status < 500:
        return Refused(f"Bluesky refused: {_told(error)}", status=status)
    return OutcomeUnknown(f"The connection broke after the request was sent: {_told(error)}")


def _too_many(error: RateLimitExceededError, now: datetime) -> RetryLater:
    after = error.retry_after
    if after is None and error.reset_at is not None:
        after = max(0.0, (error.reset_at - now).total_seconds())
    return RetryLater("Bluesky asks to wait (rate limit).", after_seconds=after, status=429)


def _status(error: Exception) -> int | None:
    if isinstance(error, RequestErrorBase) and error.response is not None:
        return int(error.response.status_code)
    return None


def _told(error: Exception) -> str:
    text = str(error) or str(error.__cause__ or "") or type(error).__name__
    return text[:_MAX_TOLD]
