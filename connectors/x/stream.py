"""The filtered stream: rules that follow the settings, and a line that is held open.

https://docs.x.com/x-api/posts/filtered-stream/introduction and /fundamentals/handling-disconnections.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

import requests
import tweepy

from connectors.base import AuthExpired, BadPayload, ConnectorError, RetryLater
from connectors.x.client import POST_FIELDS, Client
from connectors.x.transport import explanation

_HEARTBEAT_SECONDS = 5.0


class Stream:
    """One connection. X allows one at a time to an app, unless its plan has more."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lines: SimpleQueue[bytes | ConnectorError | None] = SimpleQueue()
        self._listener = _Listener(client.bearer_token, self._lines)
        client.mount(self._listener.session)

    def keep_rules(self, wanted: Mapping[str, str], prefix: str) -> None:
        """Have X follow `wanted` (tag to query), add what is missing and delete what is gone.

        Rules whose tag does not begin with `prefix` belong to others of the same app and stay as they are.
        Raises: RetryLater, AuthExpired, BadPayload (X does not understand a query).
        """
        found = _json(self._listener.get_rules())
        listed = found.get("data")
        ours: dict[str, tuple[str, str]] = {
            str(rule["tag"]): (str(rule["id"]), str(rule["value"]))
            for rule in (listed if isinstance(listed, list) else [])
            if isinstance(rule, dict) and str(rule.get("tag", "")).startswith(prefix)
        }
        stale = [number for tag, (number, value) in ours.items() if wanted.get(tag) != value]
        # First room, then what takes it: a plan has only so many rules.
        if stale:
            _json(self._listener.delete_rules(stale))
        missing = [
            tweepy.StreamRule(value=value, tag=tag)
            for tag, value in wanted.items()
            if tag not in ours or ours[tag][1] != value
        ]
        if missing:
            answer = _json(self._listener.add_rules(missing))
            if answer.get("errors"):
                raise BadPayload(f"X does not take a rule of the stream: {explanation(answer)}")

    def lines(self, stop: Callable[[], bool]) -> Iterator[bytes | None]:
        """What comes, a line each; None when the line is opened and whenever nothing came for a while.

        Returns after `stop()`. Raises: RetryLater when the line is lost, and what else X says.
        """
        thread = self._listener.filter(threaded=True, **POST_FIELDS)
        try:
            while not stop():
                try:
                    line = self._lines.get(timeout=_HEARTBEAT_SECONDS)
                except Empty:
                    if self._listener.open:
                        yield None
                    continue
                if isinstance(line, ConnectorError):
                    raise line
                if line is not None:
                    _raise_disconnect(line)
                yield line
        finally:
            self._listener.disconnect()
            self._client.hang_up()
            thread.join(timeout=1)


class _Listener(tweepy.StreamingClient):  # type: ignore[misc]
    """Puts into a queue what tweepy's thread hears, and ends where tweepy would connect anew by itself:
    whoever listens has to fetch in between."""

    def __init__(self, bearer_token: str | None, lines: SimpleQueue[bytes | ConnectorError | None]) -> None:
        super().__init__(bearer_token, return_type=requests.Response, daemon=True, max_retries=0)
        self._heard = lines
        self.open = False

    def on_connect(self) -> None:
        self.open = True
        self._heard.put(None)

    def on_data(self, raw_data: bytes) -> None:
        self._heard.put(raw_data)

    def on_keep_alive(self) -> None:
        self._heard.put(None)

    def on_closed(self, response: requests.Response) -> None:
        self._lost("X ended the stream.")

    def on_connection_error(self) -> None:
        self._lost("The stream fell silent or was cut.")

    def on_request_error(self, status_code: int) -> None:
        self._lost(f"X answered HTTP {status_code}.")

    def on_exception(self, exception: Exception) -> None:
        if isinstance(exception, ConnectorError):
            self._heard.put(exception)
        else:
            self._lost(f"The stream broke: {type(exception).__name__}.")

    def on_disconnect(self) -> None:
        # Whoever still listens must not wait for more.
        self._lost("The stream has ended.")

    def _lost(self, why: str) -> None:
        self.disconnect()
        self._heard.put(RetryLater(why))


def _json(response: requests.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except (ValueError, RecursionError, requests.RequestException):
        raise RetryLater("X answered with something that is not JSON.") from None
    return found if isinstance(found, dict) else {}


def _raise_disconnect(line: bytes) -> None:
    """X says on the line why it ends it."""
    if b'"errors"' not in line:
        return
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(found, dict) or "data" in found or not found.get("errors"):
        return
    told = explanation(found)
    if b"client-forbidden" in line:
        raise AuthExpired(f"X ended the stream: {told}")
    raise RetryLater(f"X ended the stream: {told}")
