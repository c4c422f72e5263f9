"""What went wrong at a vendor's: what people are told, and when to try again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from traceback import format_exception
from typing import Any, Literal

from connectors.base import AuthExpired, BadPayload, ConnectorError, RetryLater
from connectors.registry import UnknownConnector
from hub import log
from hub.backoff import pause_seconds, spread
from hub.channels.models import Channel
from hub.errors import HubError

logger = log.get(__name__)
# Without somebody who signs in anew it will not work; a little hope is left for what mends itself.
SIGN_IN_SECONDS = 6 * 3600.0
LONGEST_RETRY_SECONDS = 900.0
# What is shorter would be found in every other word.
SHORTEST_SECRET = 4

Kind = Literal["later", "sign_in", "settings", "failed"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a try failed, a sentence about it, and in how many seconds the next one is due."""

    kind: Kind
    error: str
    pause_seconds: float


def trouble_of(error: Exception, tries: int, channel: Channel) -> Trouble:
    """What `tries` failures of a channel in a row mean, of which `error` is the last."""
    told = scrubbed(str(error), channel.secrets)
    if isinstance(error, RetryLater):
        pause = pause_seconds(tries, error.after_seconds or 0.0, longest=LONGEST_RETRY_SECONDS)
        return Trouble("later", told, pause)
    if isinstance(error, AuthExpired):
        return Trouble("sign_in", told, spread(SIGN_IN_SECONDS))
    if isinstance(error, BadPayload | HubError | UnknownConnector):
        return Trouble("settings", told, pause_seconds(tries))
    if isinstance(error, ConnectorError):
        return Trouble("failed", told, pause_seconds(tries))
    # No connector should raise it. What it says may hold a customer's words: people are shown its kind only.
    trace = scrubbed("".join(format_exception(error)), channel.secrets)
    logger.error("connector_failed", channel=channel.name, exception=trace)
    return Trouble("failed", f"The connector failed: {type(error).__name__}.", pause_seconds(tries))


def scrubbed(text: str, secrets: Any) -> str:
    """The text without the strings in `secrets`: a library may repeat an address with a token in it."""
    for secret in sorted(_strings(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
