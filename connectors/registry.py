"""Finds connectors by name. A connector is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from connectors.base import Connector

_CONNECTORS = {
    "files": "connectors.files.connector:FilesConnector",
    "webhook": "connectors.webhook.connector:WebhookConnector",
}


class UnknownConnector(LookupError):
    """No connector has this name."""


def connector_names() -> tuple[str, ...]:
    """The names that `connect` knows, sorted."""
    return tuple(sorted(_CONNECTORS))


def connector_type(name: str) -> type[Connector]:
    """The class of a connector: its `kind`, `config_type` and `max_length`. Raises: UnknownConnector."""
    try:
        target = _CONNECTORS[name]
    except KeyError:
        known = ", ".join(connector_names())
        raise UnknownConnector(f"there is no connector named {name!r}; there are: {known}") from None
    found: type[Connector] = resolve_name(target)
    return found


def connect(name: str, config: Mapping[str, Any]) -> Connector:
    """A connector, ready to work with these settings. Nothing is contacted yet.

    Raises: UnknownConnector, pydantic.ValidationError (its text never repeats the settings' values).
    """
    found = connector_type(name)
    return found(found.config_type.model_validate(dict(config)))
