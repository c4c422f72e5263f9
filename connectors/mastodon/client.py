"""One Mastodon server, through Mastodon.py: what it says, as it says it, and errors by what to do.

The library makes the requests. Of what comes back it keeps its own casts only, and of an error a sentence;
status, headers and body are therefore read where they pass, in the session that the library uses.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from mastodon import Mastodon, StreamListener
from urllib3.exceptions import NewConnectionError, SSLError

from connectors.base import (
    Attachment,
    AuthExpired,
    BadPayload,
    Budget,
    ConnectorError,
    OutcomeUnknown,
    Refused,
    RetryLater,
)
from connectors.fields import BadRecord, moment

PAGE = 40
"""Records a page: the most of a timeline, and Mastodon's own choice for notifications."""

LISTENING_SILENCE_SECONDS = 45
"""A stream says something every 15 seconds (`:thump`); one silent for three times that is dead."""

# Said by the library to servers to which its own checks of versions do not matter; with it it asks for none.
_VERSION = "4.5.0"
_USER_AGENT = "cem-hub (+https://docs.joinmastodon.org/client/)"
_MAX_ERROR = 300
_SCOPE_WORDS = ("scope", "currently disabled", "pending approval", "missing a confirmed")


class _Session(requests.Session):
    """Remembers what the last request met: `heard` the answer, `sent` whether it may have gone out."""

    heard: requests.Response | None = None
    sent = True
    also: dict[str, str]

    def __init__(self) -> None:
        super().__init__()
        self.also = {}

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        self.heard, self.sent = None, True
        # A redirect would turn a POST into a GET, and lead a token astray.
        kwargs["allow_redirects"] = False
        if self.also:
            kwargs["params"] = {**(kwargs.get("params") or {}), **self.also}
        try:
            self.heard = super().request(method, url, *args, **kwargs)
        except requests.RequestException as error:
            self.sent = not _surely_unsent(error)
            raise
        return self.heard


class Client:
    """The calls that this connector makes, as one account or, without a token, as nobody.

    Each returns the server's JSON. Each raises RetryLater, AuthExpired or BadPayload; those that write raise
    Refused too, and `post` OutcomeUnknown. Not for two threads at once.
    """

    def __init__(
        self, server: str, token: str | None, timeout_seconds: float, clock: Callable[[], datetime]
    ) -> None:
        self._clock = clock
        self._session = _Session()
        self._budgets: dict[str, Budget] = {}
        self._mastodon = Mastodon(
            api_base_url=server,
            access_token=token,
            ratelimit_method="throw",
            request_timeout=timeout_seconds,
            mastodon_version=_VERSION,
            version_check_mode="created",
            session=self._session,
            user_agent=_USER_AGENT,
        )

    def budgets(self) -> tuple[Budget, ...]:
        """The server's limits as it told them last: of all requests, of posts, of uploads."""
        return tuple(self._budgets.values())

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def own_account(self) -> dict[str, Any]:
        """Who we are (CredentialAccount)."""
        return _object(self._read(self._mastodon.account_verify_credentials))

    def instance(self) -> dict[str, Any]:
        """What the server says of itself (Instance, v2); nothing where it does not (before Mastodon 4.0)."""
        found = self._read(self._mastodon.instance_v2, missing=True)
        return {} if found is None else _object(found)

    def notifications(
        self, kinds: Sequence[str], *, after: str | None = None, before: str | None = None, limit: int = PAGE
    ) -> list[Any]:
        """Notifications, newest first: those next after `after`, or the newest before `before`.

        With those that the account's notification policy sets aside: private messages from strangers are
        among them unless somebody turned that off, and strangers are who writes to a brand.
        """
        self._session.also = {"include_filtered": "true"}
        try:
            return _list(
                self._read(
                    lambda: self._mastodon.notifications(
                        types=list(kinds), min_id=after, max_id=before, limit=limit
                    )
                )
            )
        finally:
            self._session.also = {}

    def tagged(
        self, tag: str, *, after: str | None = None, before: str | None = None, limit: int = PAGE
    ) -> list[Any]:
        """Public statuses with a hashtag, newest first; `after` and `before` as in `notifications`."""
        return _list(
            self._read(lambda: self._mastodon.timeline_hashtag(tag, min_id=after, max_id=before, limit=limit))
        )

    def status(self, status_id: str) -> dict[str, Any] | None:
        """One status; None where there is none (any more) that we may see."""
        found = self._read(lambda: self._mastodon.status(status_id), missing=True)
        return None if found is None else _object(found)

    def statuses(self, ids: Sequence[str]) -> list[Any] | None:
        """Those of these statuses that are there, 20 at most; None before Mastodon 4.3."""
        found = self._read(lambda: self._mastodon.statuses(list(ids)), missing=True)
        return None if found is None else _list(found)

    def ancestors(self, status_id: str) -> list[Any]:
        """What a status answers, oldest first; nothing where it is gone."""
        found = self._read(lambda: self._mastodon.status_context(status_id), missing=True)
        return _list(_object(found).get("ancestors")) if found is not None else []

    def statuses_of(self, account_id: str, *, before: str | None = None) -> list[Any]:
        """What an account wrote itself, newest first."""
        return _list(
            self._read(
                lambda: self._mastodon.account_statuses(
                    account_id, exclude_reblogs=True, max_id=before, limit=PAGE
                )
            )
        )

    def source(self, status_id: str) -> str | None:
        """The words of a status of ours as they were sent; None where it is gone."""
        found = self._read(lambda: self._mastodon.status_source(status_id), missing=True)
        return None if found is None else str(_object(found).get("text"))

    def upload(self, file: Attachment) -> str:
        """Upload a file and give its id; it may still be in the works (`uploaded`)."""
        found = self._write(
            "uploads",
            lambda: self._mastodon.media_post(
                file.content, mime_type=file.content_type, description=file.description, file_name=file.name
            ),
        )
        return str(_object(found).get("id"))

    def uploaded(self, media_id: str) -> bool:
        """Whether the server is done with an upload."""
        self._write("requests", lambda: self._mastodon.media(media_id), partial=True)
        return self._session.heard is not None and self._session.heard.status_code == 200

    def post(self, text: str, **told: Any) -> str | None:
        """Publish a status and give its id. `told` are `status_post`'s own arguments."""
        found = self._write("posts", lambda: self._mastodon.status_post(text, **told), final=True)
        value = found.get("id") if isinstance(found, dict) else None
        return value if isinstance(value, str) else None

    def listen(self, tag: str | None, listener: StreamListener) -> None:
        """Give a stream, our own or a hashtag's, to the listener's `handle_stream`; until the line is lost.

        Raises: RetryLater, AuthExpired, BadPayload.
        """
        self._spare("requests")
        try:
            with warnings.catch_warnings(action="ignore"):
                if tag is None:
                    self._mastodon.stream_user(listener, timeout=LISTENING_SILENCE_SECONDS)
                else:
                    self._mastodon.stream_hashtag(tag, listener, timeout=LISTENING_SILENCE_SECONDS)
        except Exception as error:
            heard = self._session.heard
            if heard is not None and heard.status_code != 200:
                raise _reading(_problem(heard, self._clock())) from None
            raise RetryLater(f"The stream was lost: {_words(error)}") from None
        raise RetryLater("The server ended the stream.")

    def _read(self, ask: Callable[[], Any], *, missing: bool = False) -> Any:
        try:
            heard = self._ask("requests", ask)
        except OutcomeUnknown as error:
            raise RetryLater(str(error)) from None
        if missing and heard.status_code in (404, 405, 410):
            return None
        if not 200 <= heard.status_code < 300:
            raise _reading(_problem(heard, self._clock()))
        return _json(heard)

    def _write(
        self, family: str, ask: Callable[[], Any], *, partial: bool = False, final: bool = False
    ) -> Any:
        """`final` is what cannot be taken back: there, doubt is OutcomeUnknown."""
        try:
            heard = self._ask(family, ask)
            # These may come from something before the server, which had taken it already.
            if heard.status_code in (408, 500, 502, 504):
                raise OutcomeUnknown(f"The server answered HTTP {heard.status_code}.")
        except OutcomeUnknown as error:
            if final:
                raise
            raise RetryLater(str(error)) from None
        if not 200 <= heard.status_code < 300:
            raise _problem(heard, self._clock())
        try:
            return _json(heard)
        except BadPayload:
            if final or partial:
                return None  # it was taken, whatever else was said
            raise RetryLater("The server's answer cannot be read.") from None

    def _ask(self, family: str, ask: Callable[[], Any]) -> requests.Response:
        """The server's answer, of whatever status. Raises: RetryLater (surely not sent), OutcomeUnknown."""
        self._spare(family)
        self._session.heard, self._session.sent = None, False
        failed: Exception | None = None
        try:
            with warnings.catch_warnings(action="ignore"):
                ask()
        except Exception as error:
            # The library raises by status, and its casts whatever they stumble over; we read by ourselves.
            failed = error
        heard = self._session.heard
        if heard is None:
            text = f"No answer from the server: {_words(failed)}"
            raise OutcomeUnknown(text) if self._session.sent else RetryLater(text)
        self._note(family, heard)
        return heard

    def _spare(self, family: str) -> None:
        """Ask nothing of a server that has said when it will answer again."""
        budget, now = self._budgets.get(family), self._clock()
        if budget and budget.remaining == 0 and budget.resets_at and budget.resets_at > now:
            wait = (budget.resets_at - now).total_seconds()
            raise RetryLater(f"The server's limit of {family} is used up.", after_seconds=wait, status=429)

    def _note(self, family: str, heard: requests.Response) -> None:
        limit, left = (_number(heard.headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining"))
        if limit is None and left is None:
            return
        resets_at = _resets_at(heard, self._clock())
        self._budgets[family] = Budget(family, limit, left, resets_at)


def _surely_unsent(error: requests.RequestException) -> bool:
    """Whether no byte of the request went out: no connection, no TLS, or nothing that could be sent."""
    if isinstance(
        error, requests.exceptions.SSLError | requests.ConnectTimeout | requests.exceptions.ProxyError
    ):
        return True
    if isinstance(error, ValueError):  # an address or a header that cannot be
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | SSLError)


def _problem(heard: requests.Response, now: datetime) -> ConnectorError:
    """What an answer that is no success asks for."""
    status, said = heard.status_code, _said(heard)
    text = f"The server answered HTTP {status}" + (f": {said}" if said else ".")
    if status == 401 or (status == 403 and any(words in said.lower() for words in _SCOPE_WORDS)):
        return AuthExpired(text)
    if status in (408, 425, 429) or status >= 500:
        return RetryLater(text, after_seconds=_wait(heard, now), status=status)
    if 300 <= status < 400:
        return Refused(
            f"The server sends us elsewhere (HTTP {status}); set the address it has now.", status=status
        )
    return Refused(text, status=status)


def _reading(problem: ConnectorError) -> ConnectorError:
    """The same, of a request that reads: what is refused there can be put right in the settings only."""
    if isinstance(problem, Refused):
        return AuthExpired(str(problem)) if problem.status == 403 else BadPayload(str(problem))
    return problem


def _said(heard: requests.Response) -> str:
    try:
        found = json.loads(heard.content)
        parts = [found.get("error"), found.get("error_description")]
    except (ValueError, AttributeError, RecursionError, requests.RequestException):
        return ""
    return " ".join(part for part in parts if isinstance(part, str))[:_MAX_ERROR]


def _wait(heard: requests.Response, now: datetime) -> float | None:
    """Seconds until it may be tried: Retry-After (RFC 9110, 10.2.3), else the end of the rate limit."""
    told = heard.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told[:9])
    try:
        when = parsedate_to_datetime(told)
    except (ValueError, TypeError, IndexError):
        resets_at = _resets_at(heard, now) if heard.status_code == 429 else None
        return max(0.0, (resets_at - now).total_seconds()) if resets_at else None
    return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())


def _resets_at(heard: requests.Response, now: datetime) -> datetime | None:
    # A time in ISO 8601; some servers say seconds since 1970.
    try:
        return moment(heard.headers.get("X-RateLimit-Reset", ""), UTC, now)
    except BadRecord:
        return None


def _number(value: str | None) -> int | None:
    return int(value[:9]) if value is not None and value.isdecimal() else None


def _json(heard: requests.Response) -> Any:
    try:
        return json.loads(heard.content)
    except (ValueError, RecursionError):
        raise BadPayload(
            "The server's answer is no JSON; is this the address of a Mastodon server?"
        ) from None


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise BadPayload("The server's answer is not the object it should be.")
    return found


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise BadPayload("The server's answer is not the list it should be.")
    return found


def _words(error: BaseException | None) -> str:
    """An error in short. The library's words hold addresses, never the token."""
    return f"{type(error).__name__}: {error}"[:_MAX_ERROR]
