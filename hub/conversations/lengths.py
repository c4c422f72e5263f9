"""How long a reply may be, as its vendor counts, known before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.base import Connector
from connectors.registry import connector_type
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.errors import Invalid


@dataclass(frozen=True, slots=True)
class Length:
    """How long a text is and may be; `limit` is None where the vendor takes any."""

    length: int
    limit: int | None


def measure(channel: Channel, text: str, answered: Mapping[str, Any]) -> Length:
    """The length of a reply to a message with this `meta`."""
    connector = _connector(channel)
    if connector is None:
        return Length(len(text), connector_type(channel.connector).max_length)
    try:
        return Length(connector.length(text), connector.limit(answered))
    finally:
        connector.close()


def check_length(channel: Channel, text: str, answered: Mapping[str, Any]) -> None:
    """Refuse a reply that is too long for its vendor, before it is stored. Raises: Invalid."""
    found = measure(channel, text, answered)
    if found.limit is not None and found.length > found.limit:
        raise Invalid(
            f"{found.length:,} characters; this channel takes at most {found.limit:,}", field="text"
        )


def _connector(channel: Channel) -> Connector | None:
    try:
        return open_connector(channel)
    except Exception:
        # Settings that cannot be used are told where it is sent, and on the page of channels.
        return None
