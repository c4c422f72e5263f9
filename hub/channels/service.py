"""Adding, finding, opening, renewing and pausing channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import to_jsonable_python
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connectors.base import Config, Connector
from connectors.registry import connector_names, connector_type
from hub.accounts.models import User
from hub.channels.models import Channel, Feed
from hub.database import Locked, nudge
from hub.errors import Conflict, Forbidden, Invalid, NotFound

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,99}")
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 5, 86_400


def add_channel(
    session: Session,
    *,
    name: str,
    connector: str,
    now: datetime,
    config: Mapping[str, Any] | None = None,
    kind: str | None = None,
    poll_seconds: int | None = None,
) -> Channel:
    """Connect an account. Raises: Invalid where the name or the configuration cannot be used, Conflict."""
    if not NAME.fullmatch(name) or name == "new":
        raise Invalid(
            f"channel name {name!r}: lower-case letters, digits and . _ @ - only, a letter or digit first, "
            "and not new",
            field="name",
        )
    opened = read_config(connector, config or {})
    if session.scalar(select(Channel.id).where(Channel.name == name)):
        raise Conflict(f"there is a channel {name!r} already", field="name")
    plain, secret = split_config(opened)
    channel = Channel(
        name=name,
        connector=connector,
        kind=kind or connector_type(connector).kind,
        config=plain,
        secrets=secret,
        created_at=now,
        poll_seconds=_poll(poll_seconds),
    )
    session.add(channel)
    session.flush()
    _set_feeds(session, channel, connector_type(connector)(opened), now)
    return channel


def renew_channel(
    session: Session,
    channel: Channel,
    given: Mapping[str, Any],
    now: datetime,
    *,
    poll_seconds: int | None = None,
) -> None:
    """Give a channel new settings, credentials above all; what is not given stays. None takes one away.

    It is tried at once with them. Raises: Invalid.
    """
    settings = {**channel.config, **secrets_of(channel, renewing=given), **given}
    opened = read_config(
        channel.connector, {name: value for name, value in settings.items() if value is not None}
    )
    channel.config, channel.secrets = split_config(opened)
    if poll_seconds is not None:
        channel.poll_seconds = _poll(poll_seconds)
    _set_feeds(session, channel, connector_type(channel.connector)(opened), now)
    nudge(session, "fetch")


def may_change(user: User) -> None:
    """Credentials are for managers and admins. Raises: Forbidden."""
    if user.role not in ("manager", "admin"):
        raise Forbidden("only managers and admins set up channels")


def find_channel(session: Session, name: str) -> Channel:
    """The channel of this name. Raises: NotFound."""
    channel = session.scalar(select(Channel).where(Channel.name == name))
    if channel is None:
        raise NotFound(f"no channel {name!r}")
    return channel


def open_connector(channel: Channel) -> Connector:
    """The channel's connector, with its configuration and credentials.

    Raises: Invalid where they cannot be used any more, connectors.registry.UnknownConnector.
    """
    return connector_type(channel.connector)(settings_of(channel))


def push_address(channel: Channel, public_url: str) -> str | None:
    """Where requests are pushed to for this channel; None where it takes none."""
    try:
        pushes = open_connector(channel).pushes
    except Invalid:
        pushes = may_push(channel.connector)
    return webhook_address(channel.name, public_url) if pushes else None


def may_push(connector: str) -> bool:
    """Whether channels of this connector may take pushed requests, as far as that depends on no setting."""
    return connector_type(connector).receive is not Connector.receive


def webhook_address(name: str, public_url: str) -> str:
    """The address of a channel of this name."""
    return f"{public_url.rstrip('/')}/webhooks/{name}"


def settings_of(channel: Channel) -> Config:
    """The channel's settings, credentials included. Raises: Invalid where they cannot be used any more."""
    return read_config(channel.connector, {**channel.config, **secrets_of(channel)})


def refuse_local_files(connector: str, given: Mapping[str, Any], channel: Channel | None = None) -> None:
    """Whoever is elsewhere names no files of this machine but those that the channel has. Raises: Invalid."""
    if connector not in connector_names():
        return
    kind = connector_type(connector)
    if kind.local:
        raise Invalid(f"a {connector} channel is set up on the command line only", field="connector")
    current = channel.config if channel else {}
    named = [name for name in kind.config_type.local_files(given) if given[name] != current.get(name)]
    if named:
        told = "A file of the hub's machine is named on the command line only."
        problems = dict.fromkeys(named, told)
        raise Invalid(f"{', '.join(named)}: {told}", field="config", problems=problems)


def read_config(connector: str, given: Mapping[str, Any]) -> Config:
    """The settings, checked. Raises: Invalid; its `problems` say for each setting what is wrong, no value."""
    if connector not in connector_names():
        raise Invalid(
            f"no connector {connector!r}; there are {', '.join(connector_names())}", field="connector"
        )
    try:
        return connector_type(connector).config_type.model_validate(dict(given))
    except ValidationError as error:
        problems = {
            ".".join(map(str, each["loc"])) or "config": each["msg"].removeprefix("Value error, ")
            for each in error.errors(include_input=False)
        }
        told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise Invalid(f"configuration of {connector}: {told}", field="config", problems=problems) from None


def secrets_of(channel: Channel, renewing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The credentials, opened. Raises: Invalid where the hub has another key now, and none are `renewing`."""
    if not isinstance(channel.secrets, Locked):
        return channel.secrets or {}
    if renewing:
        return {}
    raise Invalid(
        f"the secrets of channel {channel.name} were encrypted with another HUB_SECRET_KEY: set that key "
        f"again, or give the secrets anew (hub channels renew {channel.name})",
        field="secrets",
    )


def set_paused(session: Session, channel: Channel, paused: bool, now: datetime) -> None:
    """Stop or resume a channel: what it is sent is kept while it pauses, and nothing is fetched or leaves."""
    channel.paused_at = (channel.paused_at or now) if paused else None
    _free(session, channel.id, now)


def look_now(session: Session, channel_id: int, now: datetime) -> None:
    """Have a channel fetched at once, and once more where somebody is at it."""
    session.execute(
        update(Feed)
        .where(Feed.channel_id == channel_id, Feed.mode == "fetch")
        .values(due_at=now, asked=True)
        .execution_options(synchronize_session=False)
    )
    nudge(session, "fetch")


def _set_feeds(session: Session, channel: Channel, connector: Connector, now: datetime) -> None:
    """Have the feeds that the connector offers with its settings, due at once and with nothing remembered."""
    renews = connector.renews_at is not None
    offered = {"fetch": connector.fetches, "stream": connector.streams, "renew": renews}
    kept = session.scalars(select(Feed).where(Feed.channel_id == channel.id)).all()
    for feed in kept:
        if not offered.pop(feed.mode):
            session.delete(feed)
    session.add_all(
        Feed(channel_id=channel.id, mode=mode, due_at=now) for mode, wanted in offered.items() if wanted
    )
    session.flush()
    _free(session, channel.id, now, failures=0, trouble=None, error=None, error_at=None)


def _free(session: Session, channel_id: int, now: datetime, **values: Any) -> None:
    """Take the feeds from whoever is at them, whose work is then not stored; they are due at once."""
    session.execute(
        update(Feed)
        .where(Feed.channel_id == channel_id)
        .values(lease=None, leased_until=None, opened_at=None, due_at=now, **values)
    )


def _poll(seconds: int | None) -> int | None:
    if seconds is not None and not SHORTEST_POLL_SECONDS <= seconds <= LONGEST_POLL_SECONDS:
        raise Invalid(
            f"a channel is fetched every {SHORTEST_POLL_SECONDS} to {LONGEST_POLL_SECONDS:,} seconds",
            field="poll_seconds",
        )
    return seconds


def split_config(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that were given, as JSON: those that hold no secret, and those that do."""
    plain: dict[str, Any] = {}
    secret: dict[str, Any] = {}
    for name in sorted(config.model_fields_set):
        value = getattr(config, name)
        (secret if _holds_secret(value) else plain)[name] = to_jsonable_python(_revealed(value))
    return plain, secret


def _holds_secret(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return any(_holds_secret(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return any(map(_holds_secret, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_holds_secret, value))
    return isinstance(value, SecretStr)


def _revealed(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _revealed(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, Mapping):
        return {name: _revealed(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_revealed(each) for each in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value
