"""Channels for people: how they are, connecting one, renewing its credentials, bringing in its history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from connectors.registry import about, connector_names, connector_type
from hub.channels.backfilling import start_backfill, stop_backfill
from hub.channels.queries import ChannelHealth, list_channels
from hub.channels.service import find_channel, may_change, set_paused
from hub.clock import utcnow
from hub.errors import Invalid
from hub.http import PageUser, SessionDep
from hub.pages import go, page, toast

router = APIRouter()


@router.get("/channels")
def channels_page(request: Request, session: SessionDep, user: PageUser) -> Response:
    now = utcnow()
    return page(
        request,
        session,
        user,
        "channels.html",
        "channels",
        now=now,
        manages=user.role in ("manager", "admin"),
        month_ago=(now - timedelta(days=30)).date().isoformat(),
        today=now.date().isoformat(),
        channels=[_view(each) for each in list_channels(session, now)],
    )


@router.get("/channels/new")
def choose_page(request: Request, session: SessionDep, user: PageUser) -> Response:
    may_change(user)
    return page(
        request,
        session,
        user,
        "channel_choose.html",
        "channels",
        connectors=[{"name": name, "about": about(name)} for name in connector_names()],
    )


@router.post("/channels/{name}/pause")
def pause(request: Request, session: SessionDep, user: PageUser, name: str) -> Response:
    set_paused(session, find_channel(session, name), True, utcnow())
    toast(request, f"{name} is paused.", undo=(f"/channels/{name}/resume", {}))
    return go("/channels")


@router.post("/channels/{name}/resume")
def resume(request: Request, session: SessionDep, user: PageUser, name: str) -> Response:
    set_paused(session, find_channel(session, name), False, utcnow())
    toast(request, f"{name} goes on.", undo=(f"/channels/{name}/pause", {}))
    return go("/channels")


@router.post("/channels/{name}/backfill")
def begin_backfill(
    request: Request, session: SessionDep, user: PageUser, name: str, since: Annotated[str, Form()]
) -> Response:
    may_change(user)
    try:
        begins = datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid("history begins at a day, as 2026-01-31", field="since") from None
    start_backfill(session, find_channel(session, name), begins, user=user, now=utcnow())
    toast(
        request, f"The history of {name} is being brought in.", undo=(f"/channels/{name}/backfill/stop", {})
    )
    return go("/channels")


@router.post("/channels/{name}/backfill/stop")
def end_backfill(request: Request, session: SessionDep, user: PageUser, name: str) -> Response:
    may_change(user)
    stop_backfill(session, find_channel(session, name), utcnow())
    toast(request, f"No more of the history of {name} is brought in; what came stays.", "info")
    return go("/channels")


def _view(each: ChannelHealth) -> dict[str, Any]:
    channel, connector = each.channel, _type(each)
    running = each.backfill if each.backfill and each.backfill.finished_at is None else None
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "connector": channel.connector,
        "local": connector is None or connector.local,
        "steps": connector.steps if connector else (),
        "health": each.health,
        "detail": each.detail,
        "paused": channel.paused_at is not None,
        "last_received_at": channel.last_received_at,
        "last_sent_at": channel.last_sent_at,
        "received_today": each.received_today,
        "unread": each.unread,
        "pending": each.pending,
        "failed": each.failed,
        "unknown": each.unknown,
        "rejects": each.rejects,
        "waiting": each.waiting,
        "refused": each.refused,
        "refused_id": each.refused_id,
        "replies": each.replies,
        "fetched_at": each.fetched_at,
        "next_try_at": each.next_try_at,
        "streaming": each.streaming,
        "lag_seconds": channel.lag_seconds,
        "silent_since": channel.silent_since,
        "budgets": [
            {
                **budget,
                "resets_at": datetime.fromisoformat(budget["resets_at"]) if budget["resets_at"] else None,
            }
            for budget in channel.budgets or ()
        ],
        "backfills": each.backfills,
        "backfill": each.backfill,
        "running": running,
    }


def _type(each: ChannelHealth) -> Any:
    return connector_type(each.channel.connector) if each.channel.connector in connector_names() else None
