"""`hub channels`: the connected accounts."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from datetime import UTC, datetime
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
from hub.errors import HubError, Invalid, NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from connectors.base import Connector
    from hub.channels.models import Channel
    from hub.channels.queries import ChannelHealth
    from hub.settings import Settings

WEBHOOK = "webhook"
SECRET_BYTES = 24
# No reply has this key, so asking for it changes nothing.
NO_KEY = "hub-channels-test"

PollOption = Annotated[
    int | None, typer.Option("--poll-seconds", help="How often it is fetched; else as its connector says.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Channels: the connected accounts messages come by.", no_args_is_help=True)
    group.command("list")(list_channels)
    group.command("add")(add)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("test")(try_out)
    group.command("renew")(renew)
    group.command("authorize")(authorize)
    group.command("backfill")(backfill)
    app.add_typer(group, name="channels")


def list_channels(as_json: JsonOption = False) -> None:
    """List the channels, how they are and what waits in them."""
    from hub.channels.api import to_item
    from hub.channels.queries import list_channels
    from hub.clock import utcnow
    from hub.web.render import duration

    with opened() as hub, hub.database.reading() as session:
        found = list_channels(session, utcnow())
        if as_json:
            write_json_list(to_item(each).model_dump(mode="json") for each in found)
            return
        if not found:
            say("No channels yet: hub channels add NAME --connector webhook, or hub ingest FILE")
            return
        columns = ("name", "connector", "came today", "last received", "lag", "next try", "waiting", "state")
        rows = [
            (
                each.channel.name,
                each.channel.connector,
                f"{each.received_today:,}",
                local(each.channel.last_received_at),
                "" if each.channel.lag_seconds is None else duration(each.channel.lag_seconds),
                "listens" if each.streaming else local(each.next_try_at),
                f"{each.waiting:,}",
                _state(each),
            )
            for each in found
        ]
        show(table(columns, rows, right=("came today", "lag", "waiting")))


def add(
    name: NameArgument,
    connector: Annotated[str, typer.Option(help="What it speaks: `email`, `mastodon`, `webhook`, …")],
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
    poll_seconds: PollOption = None,
    as_json: JsonOption = False,
) -> None:
    """Connect an account.

    A setting whose value is `-` is asked for, without being shown. Where requests may be pushed, the address
    for them is printed. A webhook channel without `--set secrets=…` gets a signing secret, which is printed
    this once. Secrets are stored encrypted and never shown again.

    `hub channels add shop --connector webhook --set reply_url=https://… --set reply_secret=@secret.txt`
    """
    from hub.channels.service import add_channel
    from hub.clock import utcnow
    from hub.database import nudge

    config = _config(values or [])
    secret = None
    if connector == WEBHOOK and "secrets" not in config:
        secret = f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
        config["secrets"] = [secret]
    with opened(nudging=True) as hub, hub.database.session() as session:
        channel = add_channel(
            session,
            name=name,
            connector=connector,
            kind=kind,
            config=config,
            poll_seconds=poll_seconds,
            now=utcnow(),
        )
        nudge(session, "fetch")
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


def renew(
    name: NameArgument,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="As with `add`; KEY= alone takes a setting away."),
    ] = None,
    poll_seconds: PollOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a channel new credentials, or other settings; what is not named stays.

    It is tried at once. `hub channels renew help --set password=-` asks for the password.
    """
    from hub.channels.service import find_channel, renew_channel
    from hub.clock import utcnow

    given = {key: None if value == "" else value for key, value in _config(values or []).items()}
    if not given and poll_seconds is None:
        raise fail_usage("say what is new, with --set KEY=VALUE or --poll-seconds")
    with opened(nudging=True) as hub, hub.database.session() as session:
        channel = find_channel(session, name)
        renew_channel(session, channel, given, utcnow(), poll_seconds=poll_seconds)
        shown = _told(session, channel, hub.settings)
    if as_json:
        write_json(shown)
    else:
        say(f"Channel {name} has its new settings: hub channels test {name} tries them out.")


def authorize(name: NameArgument, as_json: JsonOption = False) -> None:
    """Sign in to a channel's account in a browser, where its vendor wants that.

    The address to open is printed. When you have agreed there, the browser ends at an address that need not
    open: paste it here, whole.
    """
    from connectors.base import ConnectorError
    from hub.channels.service import find_channel, open_connector, renew_channel
    from hub.clock import utcnow

    with opened() as hub, hub.database.reading() as session:
        channel = find_channel(session, name)
        connector = open_connector(channel)
    try:
        address = connector.authorization_url()
        if address is None:
            raise Invalid(f"channel {name} is not signed in to by a browser", field="channel")
        say("Open this where you are signed in with the brand's account, and agree:")
        # On stdout programs get the channel, and nothing else.
        say(address) if as_json else show(address)
        answer = typer.prompt("The address where the browser ends", hide_input=True, err=True)
        given = connector.authorized(answer)
    except ConnectorError as error:
        raise HubError(f"channel {name}: {error}") from error
    finally:
        connector.close()
    with opened(nudging=True) as hub, hub.database.session() as session:
        channel = find_channel(session, name)
        renew_channel(session, channel, given, utcnow())
        shown = _told(session, channel, hub.settings)
    if as_json:
        write_json(shown)
    else:
        say(f"Channel {name} is signed in: hub channels test {name} tries it out.")


def backfill(
    name: NameArgument,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on, in UTC.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what goes on; what came stays.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in a channel's history, or show how far it is.

    It runs in the background, after whatever is new, and goes on where it was interrupted. Conversations in
    which nobody wrote for a week are filed as solved.
    """
    from hub.channels.api import to_backfill
    from hub.channels.backfilling import start_backfill, stop_backfill
    from hub.channels.queries import find_shown
    from hub.channels.service import find_channel
    from hub.clock import utcnow

    if since is not None and stop:
        raise fail_usage("--since begins, --stop ends; not both")
    now = utcnow()
    with opened(nudging=True) as hub, hub.database.session() as session:
        channel = find_channel(session, name)
        if stop:
            job = stop_backfill(session, channel, now)
        elif since is not None:
            job = start_backfill(session, channel, since.replace(tzinfo=UTC), user=None, now=now)
        else:
            found = find_shown(session, channel.id, now).backfill
            if found is None:
                raise NotFound(f"no history of {name} was asked for yet: --since DATE does")
            job = found
        session.flush()
        told = to_backfill(job)
    if as_json:
        write_json(told.model_dump(mode="json"))
        return
    how = "stopped" if told.cancelled else "done" if told.finished_at else "goes on"
    facts = [
        ("state", f"{how}: {told.error}" if told.error else how),
        ("since", local(told.since)),
        ("stored", f"{told.stored:,} of {plural(told.received, 'message')} that came"),
        ("reached", local(told.reached_at)),
    ]
    show(table(("", ""), facts))


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
    from connectors.registry import connector_type
    from hub.channels.service import find_channel, settings_of, split_config
    from hub.channels.trouble import scrubbed
    from hub.channels.trying import try_out as checked

    with opened() as hub, hub.database.reading() as session:
        channel = find_channel(session, name)
        told, cursor = _told(session, channel, hub.settings), channel.cursor
        kind, settings = channel.connector, settings_of(channel)
    tried = checked(kind, settings)
    if not tried.works:
        raise HubError(f"channel {name}: {tried.text}")
    connector = connector_type(kind)(settings)
    try:
        batch = next(iter(connector.fetch(cursor)), None) if connector.fetches else None
        lookup = _lookup(connector)
    except ConnectorError as error:
        raise HubError(f"channel {name}: {scrubbed(str(error), split_config(settings)[1])}") from error
    finally:
        connector.close()
    items = batch.items if batch else ()
    rejected = sum(isinstance(item, Rejected) for item in items)
    if as_json:
        answer = {"check": tried.text, "read": len(items), "would_reject": rejected, "lookup": lookup}
        write_json({**told, **answer})
        return
    say(tried.text)
    if items:
        say(f"The first {plural(len(items), 'record')} can be read; {rejected:,} would be rejected.")
    else:
        say(f"Messages are pushed to {told['url']}." if "url" in told else "Nothing new is there.")
    say(f"Looking up replies: {lookup}.")


def _state(each: ChannelHealth) -> str:
    said: list[str] = [each.health, "silent"] if each.channel.silent_since else [each.health]
    if each.backfill and each.backfill.finished_at is None:
        said.append(f"history: {each.backfill.stored:,}")
    return f"{', '.join(said)}{': ' if each.detail else ''}{one_line(each.detail, 60)}"


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
        set_paused(session, channel, paused, utcnow())
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
    if text == "-":
        return typer.prompt(key, hide_input=True, err=True)
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
    from hub.channels.service import push_address
    from hub.clock import utcnow

    told = to_item(find_shown(session, channel.id, utcnow())).model_dump(mode="json")
    told["config"] = channel.config
    if address := push_address(channel, settings.public_url):
        told["url"] = address
    return told
