"""Fetching: claim a channel that is due, ask its vendor with no transaction open, store batch by batch.

A batch, its cursor and the lease are stored in one transaction: whoever dies is followed by somebody who
begins at the stored cursor, and whoever lost the lease stores nothing any more. Where an open line moves the
cursor itself, it brings what is fetched here, and fetching leaves it to the line.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from sqlalchemy import case, literal, select
from sqlalchemy.orm import Session

from connectors.base import Batch, Connector
from connectors.registry import connector_type
from hub import log
from hub.backoff import spread
from hub.channels.leases import Hold, Lost, claim_due, holding
from hub.channels.models import Channel, Feed
from hub.channels.service import open_connector
from hub.channels.storing import budgets_of, note_budgets, note_lag, store
from hub.channels.trouble import Trouble, trouble_of
from hub.clock import utcnow
from hub.database import UtcDateTime
from hub.inbox.service import Received
from hub.runtime import Hub

logger = log.get(__name__)
# A channel with much to bring lets the others have a turn after so much that is new. What is read again for
# safety does not count: where that is more than a turn, the new behind it would never be reached.
MOST_BATCHES = 20
MOST_SECONDS = 60.0
# While a line is open, fetching only makes sure that it told everything.
STREAMING_POLL_SECONDS = 300
RENEWED_SECONDS = 5.0


def fetch(hub: Hub) -> int:
    """Fetch the channel that has been due longest; how many there were."""
    ready = select(Feed).where(Feed.mode == "fetch")
    claimed = claim_due(hub.database, ready, hub.settings.fetch_lease_seconds)
    if claimed is None:
        return 0
    feed, channel = claimed
    try:
        with holding(hub.database, feed, hub.settings.fetch_lease_seconds) as hold:
            _fetch(hub, hold, channel)
    except Lost:
        logger.info("fetch_lost", channel=channel.name)
    return 1


def _fetch(hub: Hub, hold: Hold[Feed], channel: Channel) -> None:
    connector: Connector | None = None
    try:
        # Only what the connector does is its fault: a database that is away is for whoever runs the job.
        try:
            connector = open_connector(channel)
            batches = connector.fetch(channel.cursor)
            batch = next(batches, None)
        except Exception as error:
            return _failed(hub, hold, channel, connector, error)
        total, ends_at, count = Received(), time.monotonic() + MOST_SECONDS, 0
        while batch is not None:
            kept = _keep(hub, hold, channel, batch)
            if kept is None:
                batch = None
                break
            total.add(kept)
            if kept.news:
                count += 1
                if count >= MOST_BATCHES or time.monotonic() >= ends_at:
                    break
            try:
                batch = next(batches, None)
            except Exception as error:
                return _failed(hub, hold, channel, connector, error)
        _worked(hub, hold, channel, connector, more=batch is not None)
        if total.received:
            logger.info("fetched", channel=channel.name, stored=total.stored, rejected=total.rejected)
    finally:
        if connector is not None:
            close(connector, channel.name)


def _keep(hub: Hub, hold: Hold[Feed], channel: Channel, batch: Batch) -> Received | None:
    """Store a batch that was read from the channel's cursor on, and remember the next in `channel`; None
    where a line has moved the cursor meanwhile."""
    now = utcnow()
    with hub.database.session() as session:
        current = session.get_one(Channel, channel.id, with_for_update={"key_share": True})
        if current.cursor != channel.cursor:
            return None
        result = store(session, channel.id, batch, now)
        if result.stored:
            note_lag(session, channel.id, batch.items, now)
        hold.renew(session, now)
        # As the database gives it back, to be compared with the next time.
        session.flush()
        session.refresh(current, ["cursor"])
    channel.cursor = current.cursor
    return result


def _worked(hub: Hub, hold: Hold[Feed], channel: Channel, connector: Connector, *, more: bool) -> None:
    budgets, now = budgets_of(connector), utcnow()
    with hub.database.session() as session:
        current = session.get_one(Channel, channel.id, with_for_update={"key_share": True})
        note_budgets(current, budgets, now)
        due_at = now if more else now + timedelta(seconds=spread(poll_seconds(session, current, now)))
        asked = case((Feed.asked, literal(now, UtcDateTime)), else_=literal(due_at, UtcDateTime))
        hold.give_back(
            session,
            failures=0,
            trouble=None,
            error=None,
            error_at=None,
            worked_at=now,
            due_at=asked,
            asked=False,
        )


def _failed(
    hub: Hub, hold: Hold[Feed], channel: Channel, connector: Connector | None, error: Exception
) -> None:
    failures = hold.work.failures + 1
    trouble = trouble_of(error, failures, channel)
    budgets, now = budgets_of(connector) if connector is not None else [], utcnow()
    with hub.database.session() as session:
        current = session.get_one(Channel, channel.id, with_for_update={"key_share": True})
        note_budgets(current, budgets, now)
        # What did not serve any more may have been renewed while it was tried.
        stale = trouble.kind == "sign_in" and current.secrets != channel.secrets
        if stale:
            trouble = Trouble("later", trouble.error, spread(RENEWED_SECONDS))
        hold.fail(session, trouble, failures, now)
    logger.warning("fetch_failed", channel=channel.name, trouble=trouble.kind, failures=failures)


def poll_seconds(session: Session, channel: Channel, now: datetime) -> float:
    """How long after a fetch the next one is due, before it is spread."""
    usual = channel.poll_seconds or connector_type(channel.connector).poll_seconds
    # Whoever died holding a line has not said that it is open no more.
    is_open = select(Feed.id).where(
        Feed.channel_id == channel.id,
        Feed.mode == "stream",
        Feed.opened_at.is_not(None),
        Feed.leased_until > now,
    )
    return max(usual, STREAMING_POLL_SECONDS) if session.scalar(is_open) is not None else usual


def close(connector: Connector, channel: str) -> None:
    """Let it give its connections back, whatever comes of that."""
    try:
        connector.close()
    except Exception as error:
        logger.warning("close_failed", channel=channel, error=type(error).__name__)
