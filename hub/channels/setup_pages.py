"""Connecting a channel and renewing its settings, by a form that the connector's settings describe.

What is typed stays in the browser until it is saved: an answer holds what was wrong, never a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from connectors.registry import connector_names, connector_type
from hub.accounts.models import User
from hub.channels.forms import form_of, read_form
from hub.channels.models import Channel
from hub.channels.service import (
    add_channel,
    find_channel,
    look_now,
    may_change,
    may_push,
    push_address,
    read_config,
    refuse_local_files,
    renew_channel,
    secrets_of,
    webhook_address,
)
from hub.channels.trying import Tried, try_out
from hub.clock import utcnow
from hub.database import Locked
from hub.errors import Forbidden, HubError, Invalid, NotFound
from hub.http import HubDep, PageCaller
from hub.pages import bare_page, go, page, toast
from hub.runtime import Hub

router = APIRouter()


async def _typed(request: Request) -> dict[str, str]:
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


Typed = Depends(_typed)


@router.get("/channels/new/{connector}")
def new_page(request: Request, hub: HubDep, user: PageCaller, connector: str) -> Response:
    may_change(user)
    return _form_page(request, hub, user, _connector(connector), None)


@router.get("/channels/{name}/settings")
def settings_page(request: Request, hub: HubDep, user: PageCaller, name: str) -> Response:
    may_change(user)
    channel = _channel(hub, name)
    return _form_page(request, hub, user, _connector(channel.connector), channel)


@router.post("/channels/new/{connector}/test")
def try_new(
    request: Request, hub: HubDep, user: PageCaller, connector: str, typed: dict[str, str] = Typed
) -> Response:
    may_change(user)
    name = _connector(connector)
    return _answer(request, hub, user, name, None, typed, lambda: _try(name, _read(name, typed)))


@router.post("/channels/{name}/settings/test")
def try_settings(
    request: Request, hub: HubDep, user: PageCaller, name: str, typed: dict[str, str] = Typed
) -> Response:
    may_change(user)
    channel = _channel(hub, name)
    kind = _connector(channel.connector)
    return _answer(
        request,
        hub,
        user,
        kind,
        channel,
        typed,
        lambda: _try(kind, _merged(channel, _read(kind, typed, channel))),
    )


@router.post("/channels/new/{connector}")
def add(
    request: Request, hub: HubDep, user: PageCaller, connector: str, typed: dict[str, str] = Typed
) -> Response:
    may_change(user)
    kind = _connector(connector)

    def save() -> Tried | None:
        config = _read(kind, typed)
        tried = _tried(kind, config, typed)
        if not tried.works:
            return tried
        now = utcnow()
        with hub.database.session() as session:
            made = add_channel(
                session,
                name=typed.get("name", "").strip(),
                connector=kind,
                config=config,
                poll_seconds=_poll(typed),
                now=now,
            )
            look_now(session, made.id, now)
        toast(request, f"{made.name} is connected.")
        return None

    return _answer(request, hub, user, kind, None, typed, save)


@router.post("/channels/{name}/settings")
def renew(
    request: Request, hub: HubDep, user: PageCaller, name: str, typed: dict[str, str] = Typed
) -> Response:
    may_change(user)
    channel = _channel(hub, name)
    kind = _connector(channel.connector)

    def save() -> Tried | None:
        given = _read(kind, typed, channel)
        tried = _tried(kind, _merged(channel, given), typed)
        if not tried.works:
            return tried
        with hub.database.session() as session:
            current = find_channel(session, name)
            renew_channel(session, current, given, utcnow(), poll_seconds=_poll(typed))
        toast(request, f"{name} has its new settings.")
        return None

    return _answer(request, hub, user, kind, channel, typed, save)


def _answer(
    request: Request,
    hub: Hub,
    user: User,
    connector: str,
    channel: Channel | None,
    typed: Mapping[str, str],
    act: Callable[[], Tried | None],
) -> Response:
    """What came of it beside the form, which stays as it is; or on, where it was saved."""
    tried: Tried | None = None
    problems: dict[str, str] = {}
    try:
        tried = act()
    except HubError as error:
        problems = error.extra.get("problems") or {error.extra.get("field", ""): error.detail}
    if tried is None and not problems:
        if "hx-request" in request.headers:
            return Response(headers={"HX-Redirect": "/channels"})
        return go("/channels")
    saving = not request.url.path.endswith("/test")
    outcome: dict[str, Any] = {"tried": tried, "problems": problems, "saving": saving}
    if "hx-request" in request.headers:
        fields = form_of(connector_type(connector).config_type)
        return bare_page(request, "_channel_outcome.html", fields=fields, swaps=True, **outcome)
    return _form_page(request, hub, user, connector, channel, typed, outcome)


def _form_page(
    request: Request,
    hub: Hub,
    user: User,
    connector: str,
    channel: Channel | None,
    typed: Mapping[str, str] | None = None,
    outcome: Mapping[str, Any] | None = None,
) -> Response:
    kind = connector_type(connector)
    current = {**channel.config, **dict.fromkeys(channel.secrets or {})} if channel else None
    with hub.database.reading() as session:
        return page(
            request,
            session,
            user,
            "channel_form.html",
            "channels",
            connector=connector,
            steps=kind.steps,
            push_address=_push_address(hub, connector, channel),
            channel=channel.name if channel else None,
            name=(typed or {}).get("name", ""),
            poll_seconds=(typed or {}).get("poll_seconds", channel.poll_seconds if channel else None) or "",
            usual_seconds=kind.poll_seconds,
            locked=channel is not None and isinstance(channel.secrets, Locked),
            fields=form_of(kind.config_type, current, typed),
            swaps=False,
            **(outcome or {"tried": None, "problems": {}, "saving": False}),
        )


def _push_address(hub: Hub, connector: str, channel: Channel | None) -> str | None:
    if channel is not None:
        return push_address(channel, hub.settings.public_url)
    return webhook_address("…", hub.settings.public_url) if may_push(connector) else None


def _read(connector: str, typed: Mapping[str, str], channel: Channel | None = None) -> dict[str, Any]:
    current = {**channel.config, **(channel.secrets or {})} if channel else None
    given = read_form(connector_type(connector).config_type, typed, current)
    refuse_local_files(connector, given, channel)
    return given


def _merged(channel: Channel, given: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**channel.config, **secrets_of(channel, renewing=given), **given}
    return {name: value for name, value in merged.items() if value is not None}


def _try(connector: str, config: Mapping[str, Any]) -> Tried:
    return try_out(connector, read_config(connector, config))


def _tried(connector: str, config: Mapping[str, Any], typed: Mapping[str, str]) -> Tried:
    """Before it is saved, unless somebody saves it all the same."""
    checked = read_config(connector, config)
    return Tried(True, "") if "untested" in typed else try_out(connector, checked)


def _poll(typed: Mapping[str, str]) -> int | None:
    text = typed.get("poll_seconds", "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise Invalid("a whole number of seconds", problems={"poll_seconds": "A whole number of seconds."})
    return int(text)


def _connector(name: str) -> str:
    if name not in connector_names():
        raise NotFound(f"no connector {name!r}")
    if connector_type(name).local:
        # Who is elsewhere names no files of this machine.
        raise Forbidden(
            f"a {name} channel is set up on the command line: hub channels add NAME --connector {name}"
        )
    return name


def _channel(hub: Hub, name: str) -> Channel:
    with hub.database.reading() as session:
        channel = find_channel(session, name)
        session.expunge(channel)
        return channel
