"""Bringing in history: small steps with their own cursor, after whatever is new.

A conversation that history brings, and in which nobody wrote for `HISTORY_AGE`, is filed as solved: it is
there to be read and counted, and nobody is owed an answer by a promise that was never made.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Batch, Connector, InboundMessage, Item
from hub import log
from hub.accounts.models import User
from hub.channels.fetching import close
from hub.channels.leases import Hold, Lost, claim_due, holding
from hub.channels.models import Backfill, Channel, Feed
from hub.channels.service import open_connector
from hub.channels.storing import budgets_of, note_budgets, store
from hub.channels.trouble import trouble_of
from hub.clock import utcnow
from hub.conversations.clocks import change_status
from hub.conversations.models import Conversation, Message
from hub.database import nudge
from hub.errors import Conflict, Invalid
from hub.inbox.service import Received
from hub.queue.service import leave_queue
from hub.runtime import Hub

logger = log.get(__name__)
HISTORY_AGE = timedelta(days=7)
# So much at once: a live message of the same channel waits for a fraction of a second.
CHUNK = 100
STEP_BATCHES = 10
PAUSE_SECONDS = 0.2
WAIT_SECONDS = 2.0
# While so many messages wait for the model, history brings no more of them. It reads what comes now first.
MOST_UNREAD = 1_000
# So much of each of the vendor's limits is left for what is new.
RESERVE = 0.2


def start_backfill(
    session: Session, channel: Channel, since: datetime, *, user: User | None, now: datetime
) -> Backfill:
    """Have history brought in. Raises: Conflict while another goes on, Invalid where there is none."""
    if since >= now:
        raise Invalid("history begins before now", field="since")
    if not open_connector(channel).backfills:
        raise Invalid(f"a {channel.connector} channel has no history to be brought in", field="channel")
    if unfinished(session, channel.id) is not None:
        raise Conflict(f"history of {channel.name} is being brought in already; wait for the end, or stop it")
    made = Backfill(
        channel_id=channel.id, user_id=user.id if user else None, since=since, created_at=now, due_at=now
    )
    session.add(made)
    session.flush()
    nudge(session, "backfill")
    return made


def stop_backfill(session: Session, channel: Channel, now: datetime) -> Backfill:
    """End the one that goes on; what it brought stays. Raises: Conflict where none goes on."""
    running = unfinished(session, channel.id, lock=True)
    if running is None:
        raise Conflict(f"no history of {channel.name} is being brought in")
    running.finished_at, running.cancelled = now, True
    running.lease = running.leased_until = None
    return running


def unfinished(session: Session, channel_id: int, *, lock: bool = False) -> Backfill | None:
    """The back-fill of a channel that goes on."""
    query = select(Backfill).where(Backfill.channel_id == channel_id, Backfill.finished_at.is_(None))
    return session.scalar(query.with_for_update() if lock else query)


def backfill(hub: Hub) -> int:
    """Take one step with the history that has waited longest, unless something new waits; how many."""
    ready = select(Backfill).where(Backfill.finished_at.is_(None))
    claimed = claim_due(hub.database, ready, hub.settings.fetch_lease_seconds, _is_calm)
    if claimed is None:
        return 0
    held, channel = claimed
    try:
        with holding(hub.database, held, hub.settings.fetch_lease_seconds) as hold:
            _step(hub, hold, channel)
    except Lost:
        logger.info("backfill_lost", channel=channel.name)
    return 1


def _step(hub: Hub, hold: Hold[Backfill], channel: Channel) -> None:
    connector: Connector | None = None
    try:
        try:
            connector = open_connector(channel)
            batches = connector.backfill(hold.work.since, hold.work.cursor)
            batch = next(batches, None)
        except Exception as error:
            return _failed(hub, hold, channel, error)
        count, wait_until = 0, None
        while batch is not None:
            _keep(hub, hold, channel.id, batch)
            count += 1
            time.sleep(PAUSE_SECONDS)
            # Asked before any rest: a place is inclusive, and the last page would else come for ever.
            try:
                batch = next(batches, None)
            except Exception as error:
                return _failed(hub, hold, channel, error)
            wait_until = _wait_until(hub, channel.id, budgets_of(connector), utcnow())
            if wait_until is not None or count >= STEP_BATCHES:
                break
        _rest(hub, hold, channel, budgets_of(connector), wait_until, more=batch is not None)
    finally:
        if connector is not None:
            close(connector, channel.name)


def _keep(hub: Hub, hold: Hold[Backfill], channel_id: int, batch: Batch) -> None:
    chunks = [batch.items[start : start + CHUNK] for start in range(0, len(batch.items), CHUNK)] or [()]
    for number, chunk in enumerate(chunks, 1):
        now = utcnow()
        with hub.database.session() as session:
            channel = session.get_one(Channel, channel_id, with_for_update={"key_share": True})
            received_at = channel.last_received_at
            result = store(session, channel_id, Batch(chunk), now, history=True)
            # What is old is no sign of life.
            channel.last_received_at = received_at
            _file(session, channel_id, chunk, now)
            values = _progress(result, chunk)
            if number == len(chunks) and batch.cursor is not None:
                values["cursor"] = dict(batch.cursor)
            hold.renew(session, now, **values)


def _progress(result: Received, items: Sequence[Item]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "received": Backfill.received + result.received,
        "stored": Backfill.stored + result.stored,
        "rejected": Backfill.rejected + result.rejected,
        "failures": 0,
        "trouble": None,
        "error": None,
        "error_at": None,
    }
    times = [item.sent_at for item in items if isinstance(item, InboundMessage) and item.sent_at]
    if times:
        values["reached_at"] = times[-1]
    return values


def _file(session: Session, channel_id: int, items: Sequence[Item], now: datetime) -> None:
    """File conversations of these messages that nobody has and nobody wrote in for long."""
    ids = [item.external_id for item in items if isinstance(item, InboundMessage)]
    written = select(Message.conversation_id).where(
        Message.channel_id == channel_id, Message.external_id.in_(ids)
    )
    old = session.scalars(
        select(Conversation)
        .where(
            Conversation.id.in_(written),
            Conversation.last_message_at < now - HISTORY_AGE,
            Conversation.owner_id.is_(None),
            Conversation.status.in_(("new", "open")),
        )
        .order_by(Conversation.id)
        .with_for_update()
    ).all()
    for conversation in old:
        if conversation.promise is not None:
            session.delete(conversation.promise)
        leave_queue(conversation)
        session.flush()
        change_status(session, conversation, "solved", now)
    session.flush()


def _wait_until(
    hub: Hub, channel_id: int, budgets: Sequence[dict[str, Any]], now: datetime
) -> datetime | None:
    """Until when what is new goes first; None where nothing stands in the way."""
    for budget in budgets:
        limit, remaining, resets_at = budget["limit"], budget["remaining"], budget["resets_at"]
        if limit and remaining is not None and remaining < RESERVE * limit and resets_at:
            return max(now, datetime.fromisoformat(resets_at))
    with hub.database.reading() as session:
        due = select(Feed.id).where(
            Feed.channel_id == channel_id,
            Feed.mode == "fetch",
            Feed.due_at <= now,
            Feed.leased_until.is_(None),
        )
        if session.scalar(due) is not None or not _is_calm(session):
            return now + timedelta(seconds=WAIT_SECONDS)
    return None


def _is_calm(session: Session) -> bool:
    """Whether few messages wait for the model."""
    some = (
        select(Message.id)
        .where(Message.direction == "incoming", Message.analysed_at.is_(None))
        .limit(MOST_UNREAD)
        .subquery()
    )
    return (session.scalar(select(func.count()).select_from(some)) or 0) < MOST_UNREAD


def _rest(
    hub: Hub,
    hold: Hold[Backfill],
    channel: Channel,
    budgets: list[dict[str, Any]],
    wait_until: datetime | None,
    *,
    more: bool,
) -> None:
    now = utcnow()
    with hub.database.session() as session:
        current = session.get_one(Channel, channel.id, with_for_update={"key_share": True})
        note_budgets(current, budgets, now)
        hold.give_back(session, worked_at=now, due_at=wait_until or now, finished_at=None if more else now)
    if not more:
        logger.info("backfill_finished", channel=channel.name)


def _failed(hub: Hub, hold: Hold[Backfill], channel: Channel, error: Exception) -> None:
    with hub.database.reading() as session:
        tries = session.get_one(Backfill, hold.work.id).failures + 1
    trouble, now = trouble_of(error, tries, channel), utcnow()
    with hub.database.session() as session:
        hold.fail(session, trouble, tries, now)
    logger.warning("backfill_failed", channel=channel.name, trouble=trouble.kind, failures=tries)
