"""Finds connectors by name: those of the hub, and those of packages that are installed beside it.

A connector of the hub is imported only when it is asked for. Another package plugs one in by an entry point
in the group `cem_hub.connectors`, whose name is the connector's and whose value its class
(https://packaging.python.org/en/latest/specifications/entry-points/). One that cannot be used breaks nothing:
it is listed with what is wrong. The hub's own win where two have one name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any

from connectors.base import RULES, Connector

GROUP = "cem_hub.connectors"

_CONNECTORS = {
    "bluesky": "connectors.bluesky.connector:BlueskyConnector",
    "email": "connectors.email.connector:EmailConnector",
    "files": "connectors.files.connector:FilesConnector",
    "mastodon": "connectors.mastodon.connector:MastodonConnector",
    "reddit": "connectors.reddit.connector:RedditConnector",
    "rest": "connectors.rest.connector:RestConnector",
    "webhook": "connectors.webhook.connector:WebhookConnector",
    "x": "connectors.x.connector:XConnector",
    "zendesk": "connectors.zendesk.connector:ZendeskConnector",
}


class UnknownConnector(LookupError):
    """No connector has this name, or the package that has it is broken."""


@dataclass(frozen=True, slots=True)
class PlugIn:
    """A connector of another package. `error` is a sentence where it cannot be used; then `type` is None."""

    name: str
    package: str
    type: type[Connector] | None
    error: str = ""


def connector_names() -> tuple[str, ...]:
    """The names that `connect` knows, sorted."""
    return tuple(sorted({*_CONNECTORS, *(each.name for each in plug_ins() if each.type)}))


def built_in_names() -> tuple[str, ...]:
    """The names of the hub's own connectors, sorted."""
    return tuple(sorted(_CONNECTORS))


def plug_ins() -> tuple[PlugIn, ...]:
    """The connectors of other packages, broken ones too. Each is imported once in a process."""
    return _plug_ins(tuple(sys.path))


def about(name: str) -> str:
    """What a connector speaks with, in a line. The hub's own are not imported for it: that takes seconds."""
    if name in _CONNECTORS:
        package = _CONNECTORS[name].partition(":")[0].rpartition(".")[0]
        said = import_module(package).__doc__
    else:
        said = connector_type(name).__doc__
    return (said or "").strip().partition("\n")[0]


def connector_type(name: str) -> type[Connector]:
    """The class of a connector: its `kind`, `config_type` and `max_length`. Raises: UnknownConnector."""
    if name in _CONNECTORS:
        found: type[Connector] = resolve_name(_CONNECTORS[name])
        return found
    for each in plug_ins():
        if each.name == name and each.type:
            return each.type
    for each in plug_ins():
        if each.name == name:
            raise UnknownConnector(f"the connector {name!r} of {each.package} cannot be used: {each.error}")
    known = ", ".join(connector_names())
    raise UnknownConnector(f"there is no connector named {name!r}; there are: {known}")


def connect(name: str, config: Mapping[str, Any]) -> Connector:
    """A connector, ready to work with these settings. Nothing is contacted yet.

    Raises: UnknownConnector, pydantic.ValidationError (its text never repeats the settings' values).
    """
    found = connector_type(name)
    return found(found.config_type.model_validate(dict(config)))


@cache
def _plug_ins(path: tuple[str, ...]) -> tuple[PlugIn, ...]:
    """What is installed where `path` (that of `sys`) looks; a longer path is looked through anew."""
    found: list[PlugIn] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, _package(each))):
        taken = any(each.name == entry.name and each.type for each in found)
        found.append(_plug_in(entry, taken))
    return tuple(found)


def _plug_in(entry: EntryPoint, taken: bool) -> PlugIn:
    package = _package(entry)
    if entry.name in _CONNECTORS:
        return PlugIn(entry.name, package, None, "The hub has a connector of this name itself.")
    if taken:
        return PlugIn(entry.name, package, None, "Another package has a connector of this name.")
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:
        # Somebody else's code may raise anything at all.
        return PlugIn(entry.name, package, None, f"{type(error).__name__} while it was imported: {error}")
    wrong = _wrong(entry.name, loaded)
    return PlugIn(entry.name, package, None, wrong) if wrong else PlugIn(entry.name, package, loaded)


def _wrong(name: str, loaded: object) -> str:
    """Why this is no connector of this name; empty where it is one."""
    if not (isinstance(loaded, type) and issubclass(loaded, Connector)):
        return "Its entry point leads to something that is no subclass of connectors.base.Connector."
    missing = [each for each in ("name", "kind", "config_type", "scorecard") if not hasattr(loaded, each)]
    if missing:
        return f"Its class lacks {', '.join(missing)}."
    if loaded.name != name:
        return f"Its class calls itself {loaded.name!r}."
    if loaded.scorecard.keys() != RULES.keys():
        return "Its scorecard does not answer the rules of connectors.base, each once."
    return ""


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
