"""Adding, finding and opening channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Connector
from connectors.registry import connect, connector_names, connector_type
from hub.channels.models import Channel
from hub.errors import Conflict, Invalid, NotFound

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,99}")


def add_channel(
    session: Session,
    *,
    name: str,
    connector: str,
    now: datetime,
    config: Mapping[str, Any] | None = None,
    kind: str | None = None,
) -> Channel:
    """Connect an account. Raises: Invalid where the name or the configuration cannot be used, Conflict."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"channel name {name!r}: lower-case letters, digits and . _ @ - only, a letter or digit first",
            field="name",
        )
    if connector not in connector_names():
        raise Invalid(
            f"no connector {connector!r}; there are {', '.join(connector_names())}", field="connector"
        )
    if session.scalar(select(Channel.id).where(Channel.name == name)):
        raise Conflict(f"there is a channel {name!r} already", field="name")
    plain, secret = _split(connector, config or {})
    channel = Channel(
        name=name,
        connector=connector,
        kind=kind or connector_type(connector).kind,
        config=plain,
        secrets=secret,
        created_at=now,
    )
    session.add(channel)
    session.flush()
    return channel


def find_channel(session: Session, name: str) -> Channel:
    """The channel of this name. Raises: NotFound."""
    channel = session.scalar(select(Channel).where(Channel.name == name))
    if channel is None:
        raise NotFound(f"no channel {name!r}")
    return channel


def open_connector(channel: Channel) -> Connector:
    """The channel's connector, with its configuration and credentials."""
    return connect(channel.connector, {**channel.config, **(channel.secrets or {})})


def set_paused(channel: Channel, paused: bool, now: datetime) -> None:
    """Stop or resume a channel: what it is sent is kept while it pauses, and nothing leaves."""
    channel.paused_at = (channel.paused_at or now) if paused else None


def _split(connector: str, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    config_type = connector_type(connector).config_type
    try:
        checked = config_type.model_validate(dict(config))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in error.errors()
        )
        raise Invalid(f"configuration of {connector}: {problems}", field="config") from error
    plain = checked.model_dump(mode="json", exclude_unset=True)
    secret = {}
    for name in config_type.model_fields:
        value = getattr(checked, name)
        if name in plain and _is_secret(value):
            plain.pop(name)
            secret[name] = _reveal(value)
    return plain, secret


def _is_secret(value: Any) -> bool:
    return isinstance(value, SecretStr) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, SecretStr) for item in value)
    )


def _reveal(value: Any) -> Any:
    return (
        value.get_secret_value()
        if isinstance(value, SecretStr)
        else [item.get_secret_value() for item in value]
    )
