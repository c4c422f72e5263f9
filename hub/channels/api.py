"""Channels for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.orm import Session

from hub.channels.backfilling import start_backfill, stop_backfill
from hub.channels.models import Backfill
from hub.channels.queries import ChannelHealth, Health, find_shown, list_channels
from hub.channels.service import (
    add_channel,
    find_channel,
    look_now,
    may_change,
    refuse_local_files,
    renew_channel,
    set_paused,
    settings_of,
)
from hub.channels.trying import try_out
from hub.clock import utcnow
from hub.http import ApiCaller, ApiUser, HubDep, SessionDep

router = APIRouter(prefix="/channels", tags=["channels"])


class BudgetOut(BaseModel):
    """What is left of a vendor's limit, as it said last."""

    name: str
    limit: int | None
    remaining: int | None
    resets_at: datetime | None


class BackfillOut(BaseModel):
    """History being brought in, or brought in last."""

    since: datetime
    received: int
    stored: int
    rejected: int
    reached_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    cancelled: bool
    error: str | None
    due_at: datetime


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
    refused: int
    fetched_at: datetime | None
    next_try_at: datetime | None
    streaming: bool | None
    lag_seconds: float | None
    silent_since: datetime | None
    budgets: list[BudgetOut]
    backfill: BackfillOut | None


class ChannelList(BaseModel):
    items: list[ChannelOut]


class ChannelIn(BaseModel):
    """An account to connect. Its settings are those of the connector; secrets are never shown again."""

    name: str
    connector: str
    kind: Literal["social", "mail", "ticket"] | None = None
    poll_seconds: int | None = None
    config: dict[str, Any] = Field(default_factory=dict)


class SettingsIn(BaseModel):
    """Settings that change; null takes one away, what is not named stays."""

    config: dict[str, Any] = Field(default_factory=dict)
    poll_seconds: int | None = None


class SinceIn(BaseModel):
    since: Annotated[AwareDatetime, Field(description="History from this moment on.")]


class TriedOut(BaseModel):
    works: bool
    text: str


@router.get("")
def get_channels(user: ApiUser, session: SessionDep) -> ChannelList:
    """Every channel by name, with its health and what waits in it."""
    return ChannelList(items=[to_item(each) for each in list_channels(session, utcnow())])


@router.post("", status_code=201)
def add(user: ApiUser, session: SessionDep, wanted: ChannelIn) -> ChannelOut:
    """Connect an account. For managers and admins."""
    may_change(user)
    now = utcnow()
    refuse_local_files(wanted.connector, wanted.config)
    channel = add_channel(
        session,
        name=wanted.name,
        connector=wanted.connector,
        kind=wanted.kind,
        poll_seconds=wanted.poll_seconds,
        config=wanted.config,
        now=now,
    )
    look_now(session, channel.id, now)
    return to_item(find_shown(session, channel.id, now))


@router.post("/{name}/renew")
def renew(user: ApiUser, session: SessionDep, name: str, wanted: SettingsIn) -> ChannelOut:
    """Give a channel new settings, credentials above all. For managers and admins."""
    may_change(user)
    now = utcnow()
    channel = find_channel(session, name)
    refuse_local_files(channel.connector, wanted.config, channel)
    renew_channel(session, channel, wanted.config, now, poll_seconds=wanted.poll_seconds)
    return to_item(find_shown(session, channel.id, now))


@router.post("/{name}/test")
def test(user: ApiCaller, hub: HubDep, name: str) -> TriedOut:
    """Ask the vendor as whom we are known there. For managers and admins."""
    may_change(user)
    with hub.database.reading() as session:
        channel = find_channel(session, name)
        connector, config = channel.connector, settings_of(channel)
    tried = try_out(connector, config)
    return TriedOut(works=tried.works, text=tried.text)


@router.post("/{name}/pause")
def pause(user: ApiUser, session: SessionDep, name: str) -> ChannelOut:
    """Stop a channel: what it is sent is kept and not read, nothing is fetched, and nothing leaves."""
    return _set_paused(session, name, True)


@router.post("/{name}/resume")
def resume(user: ApiUser, session: SessionDep, name: str) -> ChannelOut:
    """Let a channel go on."""
    return _set_paused(session, name, False)


@router.post("/{name}/backfill", status_code=202)
def begin_backfill(user: ApiUser, session: SessionDep, name: str, wanted: SinceIn) -> BackfillOut:
    """Bring in history, in the background. For managers and admins."""
    may_change(user)
    channel = find_channel(session, name)
    return to_backfill(start_backfill(session, channel, wanted.since, user=user, now=utcnow()))


@router.post("/{name}/backfill/stop")
def end_backfill(user: ApiUser, session: SessionDep, name: str) -> BackfillOut:
    """Stop bringing in history; what came stays. For managers and admins."""
    may_change(user)
    return to_backfill(stop_backfill(session, find_channel(session, name), utcnow()))


def _set_paused(session: Session, name: str, paused: bool) -> ChannelOut:
    now = utcnow()
    channel = find_channel(session, name)
    set_paused(session, channel, paused, now)
    return to_item(find_shown(session, channel.id, now))


def to_backfill(each: Backfill) -> BackfillOut:
    """A back-fill as programs see it."""
    return BackfillOut.model_validate(each, from_attributes=True)


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
        refused=each.refused,
        fetched_at=each.fetched_at,
        next_try_at=each.next_try_at,
        streaming=each.streaming,
        lag_seconds=channel.lag_seconds,
        silent_since=channel.silent_since,
        budgets=[BudgetOut.model_validate(budget) for budget in channel.budgets or ()],
        backfill=to_backfill(each.backfill) if each.backfill else None,
    )
