"""Channels for programs."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.orm import Session

from hub.channels.queries import ChannelHealth, Health, find_shown, list_channels
from hub.channels.service import find_channel, set_paused
from hub.clock import utcnow
from hub.http import ApiUser, SessionDep

router = APIRouter(prefix="/channels", tags=["channels"])


class ChannelOut(BaseModel):
    """A channel and how it is; its configuration and its secrets are not shown."""

    id: int
    name: str
    connector: str
    kind: str
    health: Health
    detail: str
    paused_at: datetime | None
    last_received_at: datetime | None
    last_sent_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    replies: bool
    received_today: int
    unread: int
    pending: int
    failed: int
    unknown: int
    rejects: int
    waiting: int


class ChannelList(BaseModel):
    items: list[ChannelOut]


@router.get("")
def get_channels(user: ApiUser, session: SessionDep) -> ChannelList:
    """Every channel by name, with its health and what waits in it."""
    return ChannelList(items=[to_item(each) for each in list_channels(session, utcnow())])


@router.post("/{name}/pause")
def pause(user: ApiUser, session: SessionDep, name: str) -> ChannelOut:
    """Stop a channel: what it is sent is kept and not read, and nothing leaves."""
    return _set_paused(session, name, True)


@router.post("/{name}/resume")
def resume(user: ApiUser, session: SessionDep, name: str) -> ChannelOut:
    """Let a channel go on."""
    return _set_paused(session, name, False)


def _set_paused(session: Session, name: str, paused: bool) -> ChannelOut:
    now = utcnow()
    channel = find_channel(session, name)
    set_paused(channel, paused, now)
    return to_item(find_shown(session, channel.id, now))


def to_item(each: ChannelHealth) -> ChannelOut:
    """A channel as the API and `hub channels list --json` show it."""
    channel = each.channel
    return ChannelOut(
        id=channel.id,
        name=channel.name,
        connector=channel.connector,
        kind=channel.kind,
        health=each.health,
        detail=each.detail,
        paused_at=channel.paused_at,
        last_received_at=channel.last_received_at,
        last_sent_at=channel.last_sent_at,
        last_error=channel.last_error,
        last_error_at=channel.last_error_at,
        replies=each.replies,
        received_today=each.received_today,
        unread=each.unread,
        pending=each.pending,
        failed=each.failed,
        unknown=each.unknown,
        rejects=each.rejects,
        waiting=each.waiting,
    )
