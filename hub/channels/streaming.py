"""Open lines: one thread for each channel whose vendor tells at once, wherever there is a free one.

A channel's line is held by one process, by a lease that is renewed while that lives: after a crash another
process opens it within `LEASE_SECONDS`. When a line opens, the channel is fetched from its cursor, so that
what came before is not missed; what both bring is stored once. A line that moves the cursor itself has told
everything up to there, and nothing is fetched beside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connectors.base import Batch, Connector, RetryLater
from hub import log
from hub.channels.fetching import close, poll_seconds
from hub.channels.leases import Hold, Lost, claim_due, holding
from hub.channels.models import Channel, Feed
from hub.channels.service import look_now, open_connector
from hub.channels.storing import budgets_of, note_budgets, note_lag, store
from hub.channels.trouble import trouble_of
from hub.clock import utcnow
from hub.runtime import Hub

logger = log.get(__name__)
# A line says at least every ten seconds that it is there.
LEASE_SECONDS = 30.0
HANGING_SECONDS = 60.0
RENEW_SECONDS = 5.0
LOOK_SECONDS = 1.0
FAILED_PAUSE_SECONDS = 2.0
MOST_LINES = 100
# A line that stood so long was fine: when it is lost, the first try comes soon.
FINE_SECONDS = 60.0
STOP_SECONDS = 2.0


@dataclass(slots=True)
class _Line:
    """One channel's open line, in this process."""

    feed: Feed
    channel: Channel
    ended: Event = field(default_factory=Event)
    opened_at: float | None = None
    renewed_at: float = 0.0


class Streams:
    """Holds what lines there are to be held."""

    def __init__(self) -> None:
        self._stop = Event()
        self._lines: dict[int, tuple[_Line, Thread]] = {}
        self._thread: Thread | None = None

    def start(self, hub: Hub) -> None:
        """Begin; the threads end with the process at the latest."""
        self._thread = Thread(target=self._supervise, args=(hub,), name="streams", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every line and give it to whoever wants it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS * 3)

    def _supervise(self, hub: Hub) -> None:
        while not self._stop.is_set():
            pause = LOOK_SECONDS
            self._lines = {key: held for key, held in self._lines.items() if held[1].is_alive()}
            try:
                while len(self._lines) < MOST_LINES and (line := _claim(hub)) is not None:
                    thread = Thread(
                        target=self._hold, args=(hub, line), name=f"stream-{line.channel.name}", daemon=True
                    )
                    self._lines[line.feed.id] = (line, thread)
                    thread.start()
            except Exception:
                logger.exception("streams_failed")
                pause = FAILED_PAUSE_SECONDS
            self._stop.wait(pause)
        ends_at = time.monotonic() + STOP_SECONDS
        for _, thread in self._lines.values():
            thread.join(max(0.0, ends_at - time.monotonic()))
        for line, thread in self._lines.values():
            if thread.is_alive():
                # It hangs at its vendor's. What it would still store is not stored.
                line.ended.set()
                _let_go(hub, line)

    def _hold(self, hub: Hub, line: _Line) -> None:
        try:
            with holding(hub.database, line.feed, LEASE_SECONDS, HANGING_SECONDS) as hold:
                _listen(hub, line, hold, self._stop)
        except Lost:
            logger.info("stream_lost", channel=line.channel.name)
        except Exception:
            # The database is away, most of all: the lease runs out, and somebody opens the line again.
            logger.exception("stream_failed", channel=line.channel.name)


def _claim(hub: Hub) -> _Line | None:
    ready = select(Feed).where(Feed.mode == "stream")
    claimed = claim_due(hub.database, ready, LEASE_SECONDS)
    return None if claimed is None else _Line(*claimed)


def _listen(hub: Hub, line: _Line, hold: Hold[Feed], stop: Event) -> None:
    connector: Connector | None = None
    try:
        try:
            connector = open_connector(line.channel)
            batches = connector.stream(line.channel.cursor, lambda: stop.is_set() or line.ended.is_set())
            batch = next(batches, None)
        except Exception as error:
            return _lost(hub, line, hold, connector, error)
        while batch is not None and not line.ended.is_set():
            _keep(hub, line, hold, batch)
            if stop.is_set():
                break
            try:
                batch = next(batches, None)
            except Exception as error:
                return _lost(hub, line, hold, connector, error)
        if stop.is_set():
            _let_go(hub, line)
        else:
            _lost(hub, line, hold, connector, RetryLater("The vendor closed the line."))
    finally:
        line.ended.set()
        if connector is not None:
            close(connector, line.channel.name)


def _keep(hub: Hub, line: _Line, hold: Hold[Feed], batch: Batch) -> None:
    at, first = time.monotonic(), line.opened_at is None
    if not (batch.items or batch.cursor) and not first and at < line.renewed_at + RENEW_SECONDS:
        return
    now = utcnow()
    with hub.database.session() as session:
        values: dict[str, object] = {"worked_at": now, "trouble": None, "error": None, "error_at": None}
        if batch.items or batch.cursor is not None:
            result = store(session, line.channel.id, batch, now)
            if result.stored:
                note_lag(session, line.channel.id, batch.items, now)
        if first:
            values["opened_at"] = now
        hold.renew(session, now, **values)
        if first and batch.cursor is None:
            look_now(session, line.channel.id, now)
    line.renewed_at = at
    if first:
        line.opened_at = at
        logger.info("stream_opened", channel=line.channel.name)


def _lost(hub: Hub, line: _Line, hold: Hold[Feed], connector: Connector | None, error: Exception) -> None:
    was_fine = line.opened_at is not None and time.monotonic() - line.opened_at >= FINE_SECONDS
    tries = 1 if was_fine else line.feed.failures + 1
    trouble = trouble_of(error, tries, line.channel)
    budgets, now = budgets_of(connector) if connector is not None else [], utcnow()
    with hub.database.session() as session:
        channel = session.get_one(Channel, line.channel.id, with_for_update={"key_share": True})
        note_budgets(channel, budgets, now)
        hold.fail(session, trouble, tries, now, opened_at=None)
        _fetch_as_usual(session, channel, now)
    logger.warning("stream_closed", channel=line.channel.name, trouble=trouble.kind, failures=tries)


def _fetch_as_usual(session: Session, channel: Channel, now: datetime) -> None:
    """Have the channel fetched as often as without a line; where that has failed, when it is tried next."""
    latest = now + timedelta(seconds=poll_seconds(session, channel, now))
    session.execute(
        update(Feed)
        .where(
            Feed.channel_id == channel.id,
            Feed.mode == "fetch",
            Feed.trouble.is_(None),
            Feed.due_at > latest,
        )
        .values(due_at=latest)
        .execution_options(synchronize_session=False)
    )


def _let_go(hub: Hub, line: _Line) -> None:
    try:
        with hub.database.session() as session:
            hold = Hold(hub.database, line.feed, utcnow(), LEASE_SECONDS)
            hold.give_back(session, opened_at=None, due_at=utcnow())
    except Exception as error:
        # Then the lease runs out by itself.
        logger.info("stream_not_given_back", channel=line.channel.name, error=type(error).__name__)
