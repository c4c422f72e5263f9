"""Asks Reddit; knows its paths, its limits and its errors, and nothing of our messages.

PRAW signs in, renews the token and knows the paths. Its objects are not used: they ask again whenever
something is missing, and cannot be made of a damaged record. Nor are its patience and its retries: it would
sleep in the caller's thread, and send a comment a second time where the first answer was lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import praw
import prawcore
import requests
from praw.endpoints import API_PATH
from praw.exceptions import PRAWException, RedditAPIException
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from connectors.base import (
    AuthExpired,
    BadPayload,
    Budget,
    ConnectorError,
    OutcomeUnknown,
    Refused,
    RetryLater,
)

_TOKEN_PATH = "/api/v1/access_token"  # noqa: S105, an address
_INFO_AT_ONCE = 100
_WAIT = re.compile(r"(\d+) (millisecond|second|minute|hour)")
_SECONDS = {"millisecond": 0, "second": 1, "minute": 60, "hour": 3600}
_LIMIT_HEADERS = ("x-ratelimit-used", "x-ratelimit-remaining", "x-ratelimit-reset")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: things as they came, newest first, and the name after which older ones are."""

    things: tuple[Any, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Those of a script app (username and password) or of a web app (a refresh token)."""

    client_id: str
    client_secret: str
    username: str
    password: str
    refresh_token: str
    user_agent: str


class RedditClient:
    """Every method raises RetryLater, AuthExpired, Refused or BadPayload (an answer that cannot be read);
    `comment` also OutcomeUnknown."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        reddit_url: str,
        oauth_url: str,
        short_url: str,
        timeout_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = requests.Session()
        self._limits = _Limits(clock)
        signed_in_by = (
            {"refresh_token": credentials.refresh_token}
            if credentials.refresh_token
            else {"username": credentials.username, "password": credentials.password}
        )
        self._reddit = praw.Reddit(
            requestor_class=_Requestor,
            requestor_kwargs={
                "session": self._session,
                "timeout": timeout_seconds,
                "limits": self._limits,
            },
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            user_agent=credentials.user_agent,
            reddit_url=reddit_url,
            oauth_url=oauth_url,
            short_url=short_url,
            check_for_updates=False,
            check_for_async=False,
            **signed_in_by,
        )

    def budgets(self) -> tuple[Budget, ...]:
        """What the last answer said is left."""
        return (self._limits.budget,) if self._limits.budget else ()

    def spare(self, share: float) -> None:
        """Leave this share of the requests to others. Raises: RetryLater until there are more."""
        self._limits.obey(share)

    def me(self) -> str:
        """The name of the account (`GET /api/v1/me`)."""
        name = self._ask("GET", API_PATH["me"]).get("name")
        if not isinstance(name, str):
            raise BadPayload("Reddit does not say whose account this is.")
        return name

    def about(self, username: str) -> dict[str, Any]:
        """The profile of a person (`GET /user/{username}/about`)."""
        data = self._ask("GET", API_PATH["user_about"].format(user=username)).get("data")
        return data if isinstance(data, dict) else {}

    def listing(self, path: str, params: Mapping[str, str], after: str | None) -> Page:
        """A page of up to 100 things (reddit.com/dev/api, "listings"); in all, Reddit gives about 1,000."""
        asked = {"limit": "100", **params, **({"after": after} if after else {})}
        data = self._ask("GET", path, params=asked).get("data")
        children = data.get("children") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(children, list):
            raise BadPayload("Reddit's answer is no listing.")
        following = data.get("after")
        return Page(tuple(children), following if isinstance(following, str) else None)

    def info(self, names: Sequence[str]) -> list[Any]:
        """Things as they are now, by full name (`GET /api/info`)."""
        things: list[Any] = []
        for first in range(0, len(names), _INFO_AT_ONCE):
            chunk = ",".join(names[first : first + _INFO_AT_ONCE])
            things += self.listing(API_PATH["info"], {"id": chunk}, None).things
        return things

    def comment(self, parent: str, text: str) -> str:
        """Answer a submission, a comment or a private message (`POST /api/comment`); the new one's name."""
        found = self._ask("POST", API_PATH["comment"], data={"thing_id": parent, "text": text})
        answer = found.get("json")
        if not isinstance(answer, dict):
            raise OutcomeUnknown("Reddit's answer to the comment cannot be read.")
        errors = answer.get("errors")
        if isinstance(errors, list) and errors:
            first = errors[0] if isinstance(errors[0], list) else [errors[0]]
            raise _refusal([str(part) for part in first if part], answer.get("ratelimit"))
        data = answer.get("data")
        things = data.get("things") if isinstance(data, dict) else None
        for thing in things if isinstance(things, list) else ():
            inner = thing.get("data") if isinstance(thing, dict) else None
            name = inner.get("name") if isinstance(inner, dict) else None
            if isinstance(name, str):
                return name
        raise OutcomeUnknown("Reddit took the comment without naming it.")

    def close(self) -> None:
        """Give connections back."""
        self._session.close()

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        writes = method != "GET"
        try:
            found = self._reddit.request(method=method, path=path, **request)
        except ConnectorError:
            raise
        except (prawcore.OAuthException, prawcore.InvalidToken) as error:
            raise AuthExpired(f"Reddit no longer takes these credentials: {error}.") from error
        except prawcore.InsufficientScope as error:
            raise AuthExpired("The token lacks a scope; renew it with those that the steps name.") from error
        except RedditAPIException as error:
            first = error.items[0]
            raise _refusal([first.error_type, first.message or ""], None) from error
        except prawcore.BadJSON as error:
            raise _unreadable(writes) from error
        except prawcore.ResponseException as error:
            status = error.response.status_code
            raise Refused(f"Reddit answered HTTP {status}.", status=status) from error
        except (prawcore.PrawcoreException, PRAWException) as error:
            raise BadPayload(f"Reddit cannot be asked like this: {type(error).__name__}.") from error
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RecursionError) as error:
            # What PRAW meets in an answer that is not as it expects.
            raise _unreadable(writes) from error
        if not isinstance(found, dict):
            raise _unreadable(writes)
        return found


class _Limits:
    """What is left to this client, by the last answer (github.com/reddit-archive/reddit/wiki/API)."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.budget: Budget | None = None

    def note(self, headers: Mapping[str, str]) -> None:
        used, remaining, reset = (_number(headers.get(name)) for name in _LIMIT_HEADERS)
        if remaining is None or reset is None:
            return
        limit = None if used is None else int(used + remaining)
        resets_at = self.clock() + timedelta(seconds=reset)
        self.budget = Budget("requests", limit, int(remaining), resets_at)

    def obey(self, share: float = 0.0) -> None:
        found = self.budget
        if found is None or found.remaining is None or found.resets_at is None:
            return
        now = self.clock()
        if found.remaining < max(1.0, share * (found.limit or 0)) and found.resets_at > now:
            after = (found.resets_at - now).total_seconds()
            raise RetryLater("Reddit's limit is used up.", after_seconds=after)


class _Requestor(prawcore.Requestor):
    """Raises our errors where prawcore would wait or try again; prawcore lets them through."""

    def __init__(self, *, limits: _Limits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> requests.Response:
        # prawcore gives a timeout of its own, which is not that of the settings.
        method, url = args
        signing_in = url.endswith(_TOKEN_PATH)
        writes = method.upper() != "GET" and not signing_in
        self._limits.obey()
        try:
            response = self._http.request(method, url, timeout=self.timeout, **kwargs)
        except requests.RequestException as error:
            kind = type(error).__name__
            if writes and not _never_left(error):
                raise OutcomeUnknown(f"The connection broke after the request: {kind}") from error
            raise RetryLater(f"Reddit cannot be reached: {kind}") from error
        self._limits.note(response.headers)
        status = response.status_code
        if status in (408, 425, 429):
            raise RetryLater(
                f"Reddit answered HTTP {status}.", after_seconds=self._after(response), status=status
            )
        if status >= 500 and writes:
            raise OutcomeUnknown(f"Reddit answered HTTP {status}.")
        if status >= 500:
            raise RetryLater(
                f"Reddit answered HTTP {status}.", after_seconds=self._after(response), status=status
            )
        if signing_in and status in (400, 401, 403):
            raise AuthExpired(f"Reddit does not take the app's id and secret (HTTP {status}).")
        # prawcore would sleep by these; we have taken them down.
        for name in _LIMIT_HEADERS:
            response.headers.pop(name, None)
        return response

    def _after(self, response: requests.Response) -> float | None:
        value = response.headers.get("retry-after") or response.headers.get("x-ratelimit-reset") or ""
        number = _number(value)
        if number is not None:
            return number
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - self._limits.clock()).total_seconds())


def _number(value: str | None) -> float | None:
    """Reddit writes some of its numbers with a fraction (`597.0`)."""
    text = (value or "").strip()
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) else None


def _refusal(words: Sequence[str], wait: Any) -> ConnectorError:
    """What Reddit says in a JSON answer: a code, a sentence, the field."""
    code = words[0] if words else "an error"
    said = words[1].rstrip(".") if len(words) > 1 and words[1] else code
    text = f"Reddit did not take it: {said[:200]} ({code[:60]})."
    if code == "RATELIMIT":
        found = _WAIT.search(said)
        after = float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) else None
        if after is None and found:
            after = float(int(found[1][:6]) * _SECONDS[found[2]] + 1)
        return RetryLater(text, after_seconds=after)
    if code == "USER_REQUIRED":
        return AuthExpired(text)
    return Refused(text)


def _unreadable(writes: bool) -> ConnectorError:
    text = "Reddit's answer cannot be read."
    return OutcomeUnknown(text) if writes else BadPayload(text)


def _never_left(error: requests.RequestException) -> bool:
    """Whether the connection was never made, so that Reddit surely has nothing of it."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        return isinstance(reason.reason, NewConnectionError | ConnectTimeoutError)
    return isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.SSLError)
