"""Asks one Zendesk account; knows its paths, its limits and its errors, and nothing of our messages.

Zenpy knows the endpoints, the host and how to sign in. The answers are read here: Zenpy's objects cannot be
made of a damaged record, and its own waiting at HTTP 429 would hold the caller for a minute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError
from zenpy import Zenpy
from zenpy.lib.endpoint import EndpointFactory

from connectors.base import AuthExpired, BadPayload, Budget, OutcomeUnknown, Refused, RetryLater

_TICKETS = EndpointFactory("tickets")

REQUESTS = "requests"
"""The account's limit of requests a minute; those of single endpoints are named as their header is."""

_ENDPOINT_LIMIT = "zendesk-ratelimit-"
_LIMIT = re.compile(r"total=(\d+); *remaining=(\d+); *resets=(\d+)")
_WINDOW = timedelta(minutes=1)
_MAX_PAGES = 500  # of comments or audits of one ticket; it can have 5,000 comments
_MAX_DETAIL = 200


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the incremental export: tickets as they came, the cursor after them, and whether it is
    the last for now."""

    tickets: tuple[Any, ...]
    after: str | None
    last: bool


class ZendeskClient:
    """Every method raises RetryLater, AuthExpired, Refused or BadPayload (an answer that cannot be read);
    those that change something also OutcomeUnknown."""

    def __init__(
        self,
        *,
        subdomain: str,
        email: str,
        api_token: str | None,
        oauth_token: str | None,
        timeout_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = requests.Session()
        # Nothing is sent twice behind our back.
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))
        zenpy = Zenpy(
            subdomain=subdomain,
            email=email,
            token=api_token,
            oauth_token=oauth_token,
            session=self._session,
            disable_cache=True,
        )
        self._api = zenpy.tickets
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._budgets: dict[str, Budget] = {}

    def budgets(self) -> tuple[Budget, ...]:
        """What the last answers said is left."""
        return tuple(self._budgets.values())

    def spare(self, share: float) -> None:
        """Leave this share of the account's requests to others. Raises: RetryLater until there is more."""
        found = self._budgets.get(REQUESTS)
        if found and found.limit and found.remaining is not None and found.remaining < share * found.limit:
            self._wait_for(found)

    def me(self) -> dict[str, Any]:
        """Whose credentials these are; Zendesk answers an unknown one with an anonymous user without id."""
        found = self._ask("GET", EndpointFactory("users").me())
        user: dict[str, Any] = _member(found, "user", dict)
        return user

    def tickets(self, start: datetime, after: str | None, size: int) -> Page:
        """Tickets changed at or after `start`, or after the cursor `after` where there is one; deleted ones
        too (developer.zendesk.com, "Using the Incremental Exports API")."""
        endpoint = _TICKETS.incremental
        if after is None:
            where = endpoint.cursor_start(start_time=int(start.timestamp()))
        else:
            where = endpoint.cursor(cursor=after)
        for name, budget in self._budgets.items():
            if "incremental" in name and budget.remaining == 0:
                self._wait_for(budget)
        found = self._ask("GET", where, params={"per_page": str(size)})
        cursor = found.get("after_cursor")
        last = found.get("end_of_stream")
        if not isinstance(cursor, str | None) or not isinstance(last, bool):
            raise BadPayload("Zendesk's export does not say where it goes on.")
        return Page(tuple(_member(found, "tickets", list)), cursor, last)

    def comments(self, ticket_id: int) -> tuple[list[Any], list[Any]]:
        """All comments of a ticket, oldest first, and the users who wrote them ("List Comments")."""
        comments: list[Any] = []
        users: list[Any] = []
        where = _TICKETS.comments
        for found in self._pages(where, ticket_id, {"include": "users"}):
            comments += _member(found, "comments", list)
            users += found["users"] if isinstance(found.get("users"), list) else []
        return comments, users

    def audits(self, ticket_id: int) -> Iterator[Any]:
        """What was done to a ticket, newest first ("List Audits for a Ticket")."""
        for found in self._pages(_TICKETS.audits, ticket_id, {"sort": "-created_at"}):
            yield from _member(found, "audits", list)

    def ticket(self, ticket_id: int) -> dict[str, Any]:
        """A ticket as it is now ("Show Ticket")."""
        found: dict[str, Any] = _member(self._ask("GET", _TICKETS(id=ticket_id)), "ticket", dict)
        return found

    def update(self, ticket_id: int, change: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Change a ticket, and give it with the audit of the change ("Update Ticket")."""
        found = self._ask("PUT", _TICKETS(id=ticket_id), json={"ticket": change})
        ticket, audit = (found.get(name) for name in ("ticket", "audit"))
        return ticket if isinstance(ticket, dict) else {}, audit if isinstance(audit, dict) else {}

    def tag(self, ticket_id: int, method: str, tags: tuple[str, ...]) -> None:
        """PUT adds tags to those of a ticket, DELETE takes them away ("Tags")."""
        where = _TICKETS.tags(id=ticket_id)
        self._ask(method, where, json={"tags": list(tags)})

    def upload(self, name: str, content_type: str, content: bytes) -> str:
        """Hand over a file, and give the token by which a comment takes it ("Upload Files")."""
        try:
            found = self._ask(
                "POST",
                EndpointFactory("attachments").upload(),
                params={"filename": name},
                data=content,
                headers={"content-type": content_type},
            )
            token = _member(found, "upload", dict).get("token")
        except (OutcomeUnknown, BadPayload) as error:
            # A file that no comment took is seen by nobody.
            raise RetryLater(f"A file was not taken: {error}") from error
        if not isinstance(token, str):
            raise RetryLater("A file was not taken: the answer has no token.")
        return token

    def download(self, url: str, max_bytes: int) -> bytes | None:
        """A file of the account; None where it is elsewhere, gone or larger.

        The credentials go to the account's own host alone: requests takes them away where it is redirected.
        """
        ours = urlsplit(self._url(_TICKETS()))
        there = urlsplit(url)
        if (there.scheme, there.netloc) != (ours.scheme, ours.netloc):
            return None
        try:
            with self._session.get(url, timeout=self._timeout_seconds, stream=True) as response:
                if response.status_code == 429 or response.status_code >= 500:
                    self._fail(response, writes=False)
                if response.status_code != 200:
                    return None
                content = b""
                for chunk in response.iter_content(65_536):
                    content += chunk
                    if len(content) > max_bytes:
                        return None
                return content
        except requests.RequestException as error:
            raise RetryLater(f"A file could not be fetched: {_kind(error)}") from error

    def close(self) -> None:
        """Give connections back."""
        self._session.close()

    def _pages(self, endpoint: Any, ticket_id: int, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """By cursor (developer.zendesk.com, "Pagination"); audits of an archived ticket have one page."""
        asked = {**params, "page[size]": "100"}
        for _ in range(_MAX_PAGES):
            found = self._ask("GET", endpoint(id=ticket_id), params=asked)
            yield found
            meta = found.get("meta")
            after = meta.get("after_cursor") if isinstance(meta, dict) and meta.get("has_more") else None
            if not isinstance(after, str):
                return
            asked["page[after]"] = after

    def _url(self, endpoint: Any) -> str:
        return str(self._api._build_url(endpoint))

    def _ask(self, method: str, endpoint: Any, **request: Any) -> dict[str, Any]:
        """One request; its answer is a JSON object, empty where there is none."""
        writes = method != "GET"
        found = self._budgets.get(REQUESTS)
        if found and found.remaining == 0:
            self._wait_for(found)
        # Zenpy does not escape what it puts into an address; requests does.
        params = {**endpoint.params, **request.pop("params", {})}
        endpoint.params = {}
        try:
            response = self._session.request(
                method,
                self._url(endpoint),
                params=params,
                timeout=self._timeout_seconds,
                allow_redirects=False,
                **request,
            )
        except requests.RequestException as error:
            if writes and not _never_left(error):
                raise OutcomeUnknown(f"The connection broke after the request: {_kind(error)}") from error
            raise RetryLater(f"Zendesk cannot be reached: {_kind(error)}") from error
        self._note(response.headers)
        if not 200 <= response.status_code < 300:
            self._fail(response, writes=writes)
        try:
            answer = response.json() if response.content else {}
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            if writes:
                raise OutcomeUnknown("Zendesk answered with something that is no JSON object.")
            raise BadPayload("Zendesk answered with something that is no JSON object.")
        return answer

    def _fail(self, response: requests.Response, *, writes: bool) -> NoReturn:
        """Raise what an answer means ("Introduction", "Rate limits" of the API reference)."""
        status = response.status_code
        text = f"Zendesk answered HTTP {status}{_detail(response)}"
        after = _seconds(response.headers.get("retry-after"), self._clock())
        if status == 401:
            raise AuthExpired("Zendesk no longer takes these credentials; make a new token.")
        # 409: two changes of a ticket at once, of which ours was not taken.
        if status in (408, 409, 425, 429) or (status == 503 and after is not None):
            raise RetryLater(text, after_seconds=after, status=status)
        if status >= 500 and writes:
            raise OutcomeUnknown(text)
        if status >= 500:
            raise RetryLater(text, after_seconds=after, status=status)
        raise Refused(text, status=status)

    def _note(self, headers: Mapping[str, str]) -> None:
        now = self._clock()
        limit = _number(headers.get("x-rate-limit") or headers.get("ratelimit-limit"))
        remaining = _number(headers.get("x-rate-limit-remaining") or headers.get("ratelimit-remaining"))
        if limit is not None or remaining is not None:
            reset = _number(headers.get("ratelimit-reset"))
            resets_at = now + (_WINDOW if reset is None else timedelta(seconds=reset))
            self._budgets[REQUESTS] = Budget(REQUESTS, limit, remaining, resets_at)
        for name, value in headers.items():
            found = _LIMIT.fullmatch(value.strip())
            if name.lower().startswith(_ENDPOINT_LIMIT) and found:
                short = name.lower().removeprefix(_ENDPOINT_LIMIT)
                total, left, resets = (int(each[:9]) for each in found.groups())
                self._budgets[short] = Budget(short, total, left, now + timedelta(seconds=resets))

    def _wait_for(self, budget: Budget) -> None:
        resets_at = budget.resets_at
        if resets_at is not None and resets_at > (now := self._clock()):
            after = (resets_at - now).total_seconds()
            raise RetryLater(f"The limit {budget.name!r} is used up.", after_seconds=after)


def _member(found: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = found.get(name)
    if not isinstance(value, kind):
        raise BadPayload(f"Zendesk's answer has no {name}.")
    return value


def _number(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text[:9]) if text.isdecimal() else None


def _seconds(value: str | None, now: datetime) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3)."""
    number = _number(value)
    if number is not None:
        return float(number)
    try:
        when = parsedate_to_datetime((value or "").strip())
    except (ValueError, TypeError, IndexError):
        return None
    return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())


def _detail(response: requests.Response) -> str:
    """The vendor's own words: `{"error": …, "description": …, "details": {…}}`."""
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return "."
    if not isinstance(found, dict):
        return "."
    error = found.get("error")
    parts = [error.get("title"), error.get("message")] if isinstance(error, dict) else [error]
    parts.append(found.get("description"))
    details = found.get("details")
    for reasons in details.values() if isinstance(details, dict) else ():
        parts += [each.get("description") for each in reasons if isinstance(each, dict)]
    text = "; ".join(part for part in parts if isinstance(part, str) and part)[:_MAX_DETAIL]
    return f": {text.rstrip('.')}." if text else "."


def _never_left(error: requests.RequestException) -> bool:
    """Whether the connection was never made, so that the vendor surely has nothing of it."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        return isinstance(reason.reason, NewConnectionError | ConnectTimeoutError)
    return isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.SSLError)


def _kind(error: requests.RequestException) -> str:
    # The text of the error holds the whole URL, and in it what was asked for.
    return type(error).__name__
