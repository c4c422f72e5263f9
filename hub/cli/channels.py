"""`hub channels`: the connected accounts."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hub.cli.opening import opened
from hub.cli.output import (
    JsonOption,
    fail_usage,
    local,
    one_line,
    plural,
    say,
    show,
    table,
    write_json,
    write_json_list,
)
from hub.errors import HubError, Invalid

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from connectors.base import Connector
    from hub.channels.models import Channel
    from hub.settings import Settings

WEBHOOK = "webhook"
SECRET_BYTES = 24
# No reply has this key, so asking for it changes nothing.
NO_KEY = "hub-channels-test"

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Channels: the connected accounts messages come by.", no_args_is_help=True)
    group.command("list")(list_channels)
    group.command("add")(add)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("test")(try_out)
    app.add_typer(group, name="channels")


def list_channels(as_json: JsonOption = False) -> None:
    """List the channels, how they are and what waits in them."""
    from hub.channels.api import to_item
    from hub.channels.queries import list_channels
    from hub.clock import utcnow

    with opened() as hub, hub.database.reading() as session:
        found = list_channels(session, utcnow())
        if as_json:
            write_json_list(to_item(each).model_dump(mode="json") for each in found)
            return
        if not found:
            say("No channels yet: hub channels add NAME --connector webhook, or hub ingest FILE")
            return
        columns = ("name", "connector", "kind", "came today", "last received", "waiting", "rejects", "state")
        rows = [
            (
                each.channel.name,
                each.channel.connector,
                each.channel.kind,
                f"{each.received_today:,}",
                local(each.channel.last_received_at),
                f"{each.waiting:,}",
                f"{each.rejects:,}",
                f"{each.health}{': ' if each.detail else ''}{one_line(each.detail, 60)}",
            )
            for each in found
        ]
        show(table(columns, rows, right=("came today", "waiting", "rejects")))


def add(
    name: NameArgument,
    connector: Annotated[str, typer.Option(help="What it speaks: `files` or `webhook`.")],
    kind: Annotated[
        Literal["social", "mail", "ticket"] | None,
        typer.Option(help="What it is; else the connector's own kind."),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting; may be repeated. @FILE reads the value from a file; [ or { begins JSON.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Connect an account.

    A webhook channel without `--set secrets=…` gets a signing secret, which is printed this once with the
    address to push to. Secrets are stored encrypted and never shown again.

    `hub channels add shop --connector webhook --set reply_url=https://… --set reply_secret=@secret.txt`
    """
    from hub.channels.service import add_channel
    from hub.clock import utcnow

    config = _config(values or [])
    secret = None
    if connector == WEBHOOK and "secrets" not in config:
        secret = f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
        config["secrets"] = [secret]
    with opened() as hub, hub.database.session() as session:
        channel = add_channel(session, name=name, connector=connector, kind=kind, config=config, now=utcnow())
        shown = _told(session, channel, hub.settings)
    if as_json:
        write_json({**shown, "secret": secret} if secret else shown)
        return
    say(f"Channel {name} is there.")
    facts = [("push to", shown["url"])] if "url" in shown else []
    facts += [("signed with", secret)] if secret else []
    if facts:
        show(table(("", ""), facts))
    if secret:
        say("The secret is not shown again.")


def pause(name: NameArgument, as_json: JsonOption = False) -> None:
    """Stop a channel for now: what it is sent is kept, nothing of it is read, and no reply leaves."""
    _set_paused(name, True, as_json)


def resume(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let a paused channel go on, with what came meanwhile."""
    _set_paused(name, False, as_json)


def try_out(name: NameArgument, as_json: JsonOption = False) -> None:
    """Try a channel out; nothing is changed.

    Opens its settings, reads the first of what is new, and asks the other side for a reply that never was.
    """
    from connectors.base import ConnectorError, Rejected
    from hub.channels.service import find_channel, open_connector

    with opened() as hub, hub.database.reading() as session:
        channel = find_channel(session, name)
        told, cursor = _told(session, channel, hub.settings), channel.cursor
        try:
            connector = open_connector(channel)
        except ValueError as error:
            raise HubError(f"channel {name}: its settings cannot be used any more: {error}") from error
    try:
        batch = next(iter(connector.fetch(cursor)), None)
        lookup = _lookup(connector)
    except ConnectorError as error:
        raise HubError(f"channel {name}: {error}") from error
    items = batch.items if batch else ()
    rejected = sum(isinstance(item, Rejected) for item in items)
    if as_json:
        write_json({**told, "read": len(items), "would_reject": rejected, "lookup": lookup})
        return
    if items:
        say(f"The first {plural(len(items), 'record')} can be read; {rejected:,} would be rejected.")
    else:
        say(f"Messages are pushed to {told['url']}." if "url" in told else "Nothing new is there.")
    say(f"Looking up replies: {lookup}.")


def _lookup(connector: Connector) -> str:
    """Whether the other side can say which replies it has. Raises: connectors.base.ConnectorError."""
    from connectors.base import OutboundMessage, OutcomeUnknown

    try:
        connector.find_sent(OutboundMessage(NO_KEY, "", "", None))
    except OutcomeUnknown as error:
        return str(error).rstrip(".")
    return "works"


def _set_paused(name: str, paused: bool, as_json: bool) -> None:
    from hub.channels.service import find_channel, set_paused
    from hub.clock import utcnow
    from hub.database import nudge

    with opened(nudging=True) as hub, hub.database.session() as session:
        channel = find_channel(session, name)
        set_paused(channel, paused, utcnow())
        if not paused:
            nudge(session, "receive")
            nudge(session, "deliver")
        shown = _told(session, channel, hub.settings)
    if as_json:
        write_json(shown)
    else:
        say(f"Channel {name} {'pauses' if paused else 'goes on'}.")


def _config(values: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for pair in values:
        key, equals, text = pair.partition("=")
        if not (equals and key):
            # The value may be a secret, and is not repeated.
            raise fail_usage("--set takes KEY=VALUE")
        value = _value(key, text)
        if key not in config:
            config[key] = [value] if key == "secrets" and isinstance(value, str) else value
        elif isinstance(config[key], list):
            config[key].append(value)
        else:
            config[key] = [config[key], value]
    return config


def _value(key: str, text: str) -> Any:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise Invalid(f"{text[1:]}: not UTF-8", field=key) from error
    if text.startswith(("[", "{")):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise fail_usage(f"--set {key}: this is no JSON: {error.msg}") from error
    return text


def _told(session: Session, channel: Channel, settings: Settings) -> dict[str, Any]:
    """A channel as `list --json` has it, with its settings, never its secrets, and the address to push to."""
    from hub.channels.api import to_item
    from hub.channels.queries import find_shown
    from hub.clock import utcnow

    told = to_item(find_shown(session, channel.id, utcnow())).model_dump(mode="json")
    told["config"] = channel.config
    if channel.connector == WEBHOOK:
        told["url"] = f"{settings.public_url.rstrip('/')}/webhooks/{channel.name}"
    return told
