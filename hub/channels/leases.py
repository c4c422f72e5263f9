"""Leases: one process at a time works at a feed or a back-fill, and whoever dies is followed by another.

A lease is short, and renewed by a heartbeat for as long as the process lives, so that a slow vendor costs no
lease and a dead process soon does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, Generic, TypeVar
from uuid import uuid4

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from hub import log
from hub.channels.models import Backfill, Channel, Feed
from hub.channels.trouble import Trouble
from hub.clock import utcnow
from hub.database import Database

Work = TypeVar("Work", Feed, Backfill)

logger = log.get(__name__)
# Two beats may be missed.
BEATS_A_LEASE = 3
# A vendor that has brought nothing for so long hangs, and somebody else may have better luck.
HANGING_SECONDS = 900.0


class Lost(Exception):
    """Somebody else has taken over, or a person stopped it: what was about to be stored is left alone."""


def claim_due(
    database: Database,
    ready: Select[Work],
    lease_seconds: float,
    provided: Callable[[Session], bool] = lambda session: True,
) -> tuple[Work, Channel] | None:
    """Claim with the channel, in a transaction of its own; None where there is nothing to claim, or what is
    `provided` does not hold."""
    # Looked first, so that nobody waits for one who finds nothing.
    with database.reading() as session:
        if session.scalar(_first(ready, utcnow())) is None or not provided(session):
            return None
    with database.session() as session:
        found = claim(session, ready, utcnow(), lease_seconds)
        if found is None:
            return None
        if isinstance(found, Feed):
            found.asked = False
        return found, session.get_one(Channel, found.channel_id)


def claim(session: Session, ready: Select[Work], now: datetime, lease_seconds: float) -> Work | None:
    """Take what has been due longest of `ready`, for so long, on a channel that is not paused.

    However many ask at once, no two get the same: PostgreSQL skips what another transaction holds, SQLite has
    one writer.
    """
    found = session.scalar(_first(ready, now).with_for_update(skip_locked=True))
    if found is not None:
        found.lease, found.leased_until = uuid4().hex, now + timedelta(seconds=lease_seconds)
    return found


class Hold(Generic[Work]):
    """What this process has claimed, and how it holds on to it: by storing, and by `beat` in between."""

    def __init__(
        self,
        database: Database,
        work: Work,
        now: datetime,
        lease_seconds: float,
        hanging_seconds: float = HANGING_SECONDS,
    ) -> None:
        self.work: Work = work
        self.lease_seconds = lease_seconds
        self._database = database
        self._patience = timedelta(seconds=hanging_seconds)
        self._hangs_at = now + self._patience

    def renew(self, session: Session, now: datetime, **values: Any) -> None:
        """Hold on from `now`, since something came, and store `values`. Raises: Lost."""
        self._hangs_at = now + self._patience
        _write(session, self.work, leased_until=now + timedelta(seconds=self.lease_seconds), **values)

    def give_back(self, session: Session, **values: Any) -> None:
        """Let go, and store `values`. Raises: Lost."""
        _write(session, self.work, lease=None, leased_until=None, **values)

    def fail(self, session: Session, trouble: Trouble, failures: int, now: datetime, **values: Any) -> None:
        """Let go after so many failures in a row until the next try, and store `values`. Raises: Lost."""
        self.give_back(
            session,
            failures=failures,
            trouble=trouble.kind,
            error=trouble.error,
            error_at=now,
            due_at=now + timedelta(seconds=trouble.pause_seconds),
            **values,
        )

    def beat(self, now: datetime) -> bool:
        """Hold on from `now` although nothing came; whether there is anything to hold any more."""
        if now >= self._hangs_at:
            logger.warning("lease_given_up", channel_id=self.work.channel_id)
            return False
        try:
            with self._database.session() as session:
                _write(session, self.work, leased_until=now + timedelta(seconds=self.lease_seconds))
        except Lost:
            return False
        except Exception as error:
            # The database is away, most of all. It may be back before the lease has run out.
            logger.warning("lease_not_renewed", error=type(error).__name__)
        return True


@contextmanager
def holding(
    database: Database, work: Work, lease_seconds: float, hanging_seconds: float = HANGING_SECONDS
) -> Iterator[Hold[Work]]:
    """Hold on to what was just claimed, with a heartbeat, until the end of the block."""
    hold = Hold(database, work, utcnow(), lease_seconds, hanging_seconds)
    ended = Event()

    def beat() -> None:
        while not ended.wait(lease_seconds / BEATS_A_LEASE) and hold.beat(utcnow()):
            pass

    thread = Thread(target=beat, name=f"lease-{work.channel_id}", daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        ended.set()


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


def _write(session: Session, held: Feed | Backfill, **values: Any) -> None:
    work: type[Feed] | type[Backfill] = type(held)
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
