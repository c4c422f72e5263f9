"""Channels for people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from hub.channels.queries import ChannelHealth, list_channels
from hub.channels.service import find_channel, set_paused
from hub.clock import utcnow
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
        channels=[_view(each) for each in list_channels(session, now)],
    )


@router.post("/channels/{name}/pause")
def pause(request: Request, session: SessionDep, user: PageUser, name: str) -> Response:
    set_paused(find_channel(session, name), True, utcnow())
    toast(request, f"{name} is paused.", undo=(f"/channels/{name}/resume", {}))
    return go("/channels")


@router.post("/channels/{name}/resume")
def resume(request: Request, session: SessionDep, user: PageUser, name: str) -> Response:
    set_paused(find_channel(session, name), False, utcnow())
    toast(request, f"{name} goes on.", undo=(f"/channels/{name}/pause", {}))
    return go("/channels")


def _view(each: ChannelHealth) -> dict[str, Any]:
    channel = each.channel
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "connector": channel.connector,
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
        "replies": each.replies,
    }
