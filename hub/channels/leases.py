"""Leases: one process at a time works at a feed or a back-fill, and whoever dies is followed by another."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from hub.channels.models import Backfill, Channel, Feed

Work = TypeVar("Work", Feed, Backfill)


class Lost(Exception):
    """Somebody else has taken over, or a person stopped it: what was about to be stored is left alone."""


def claim(session: Session, ready: Select[Work], now: datetime, lease_seconds: float) -> Work | None:
    """Take what has been due longest of `ready`, for so long, on a channel that is not paused.

    However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has
    one writer.
    """
    found = session.scalar(_first(ready, now).with_for_update(skip_locked=True))
    if found is not None:
        found.lease, found.leased_until = uuid4().hex, now + timedelta(seconds=lease_seconds)
    return found


def is_due(session: Session, ready: Select[Work], now: datetime) -> bool:
    """Whether there is anything to claim: asked first, so that nobody waits for one who finds nothing."""
    return session.scalar(_first(ready, now)) is not None


def renew(session: Session, held: Work, now: datetime, lease_seconds: float, **values: Any) -> None:
    """Hold on for so long from now, and store `values`. Raises: Lost."""
    _write(session, held, leased_until=now + timedelta(seconds=lease_seconds), **values)


def give_back(session: Session, held: Work, **values: Any) -> None:
    """Let go, and store `values`. Raises: Lost."""
    _write(session, held, lease=None, leased_until=None, **values)


def _first(ready: Select[Work], now: datetime) -> Select[Work]:
    work: type[Work] = ready.column_descriptions[0]["entity"]
    return (
        ready.where(
            work.due_at <= now,
            or_(work.leased_until.is_(None), work.leased_until <= now),
            work.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))),
        )
        .order_by(work.due_at, work.id)
        .limit(1)
    )


def _write(session: Session, held: Work, **values: Any) -> None:
    work = type(held)
    # Asked of the row, not of what was read before: this is what keeps two from storing the same.
    written = session.execute(
        update(work)
        .where(work.id == held.id, work.lease == held.lease)
        .values(**values)
        .returning(work.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if written is None:
        raise Lost
