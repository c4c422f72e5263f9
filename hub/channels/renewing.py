"""Credentials that run out: renewed early, by one process at a time, and stored before they are used.

What is renewed may serve only once: X's refresh tokens do. The vendor is asked with no transaction open; what
it answers is stored in one, together with the end of the lease, and until that is done nobody sees the new
credentials. Who dies between the vendor's answer and our storing has lost it: the old access token serves on
until it runs out, the old refresh token is tried once more, and where the vendor takes it no longer, the
channel says that somebody has to sign in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from connectors.base import Connector
from connectors.registry import connector_type
from hub import log
from hub.channels.fetching import close
from hub.channels.leases import Hold, Lost, claim_due, holding
from hub.channels.models import Channel, Feed
from hub.channels.service import open_connector, read_config, secrets_of, split_config
from hub.channels.trouble import trouble_of
from hub.clock import utcnow
from hub.database import nudge
from hub.runtime import Hub

logger = log.get(__name__)
LEASE_SECONDS = 60.0
# The vendor has given out what it gives only once: a database that is away for a moment must not lose it.
STORE_TRIES = 30
STORE_PAUSE_SECONDS = 1.0


def renew_credentials(hub: Hub) -> int:
    """Renew those that have been due longest; how many there were."""
    ready = select(Feed).where(Feed.mode == "renew")
    claimed = claim_due(hub.database, ready, LEASE_SECONDS)
    if claimed is None:
        return 0
    feed, channel = claimed
    try:
        with holding(hub.database, feed, LEASE_SECONDS) as hold:
            _renew(hub, hold, channel)
    except Lost:
        # Somebody gave the channel new credentials meanwhile.
        logger.info("renewal_lost", channel=channel.name)
    return 1


def _renew(hub: Hub, hold: Hold[Feed], channel: Channel) -> None:
    connector: Connector | None = None
    try:
        connector = open_connector(channel)
        due_at = connector.renews_at
        given = connector.renew() if due_at is not None and due_at <= utcnow() else None
    except Exception as error:
        _failed(hub, hold, channel, error)
        return
    finally:
        if connector is not None:
            close(connector, channel.name)
    for left in reversed(range(STORE_TRIES)):
        try:
            with hub.database.session() as session:
                _store(session, hold, channel.id, given, utcnow())
        except OperationalError:
            if not left:
                raise
            time.sleep(STORE_PAUSE_SECONDS)
        else:
            break
    if given is not None:
        logger.info("renewed", channel=channel.name)


def _store(
    session: Session, hold: Hold[Feed], channel_id: int, given: Mapping[str, Any] | None, now: datetime
) -> None:
    channel = session.get_one(Channel, channel_id, with_for_update={"key_share": True})
    settings = read_config(channel.connector, {**channel.config, **secrets_of(channel), **(given or {})})
    if given is not None:
        channel.config, channel.secrets = split_config(settings)
    due_at = connector_type(channel.connector)(settings).renews_at
    hold.give_back(
        session,
        failures=0,
        trouble=None,
        error=None,
        error_at=None,
        worked_at=now,
        due_at=due_at or datetime.max.replace(tzinfo=now.tzinfo),
    )
    if given is not None:
        # Whoever found the old ones run out need not wait.
        session.execute(
            update(Feed)
            .where(
                Feed.channel_id == channel_id, Feed.mode != "renew", Feed.trouble.in_(("sign_in", "later"))
            )
            .values(due_at=now, asked=True)
            .execution_options(synchronize_session=False)
        )
        nudge(session, "fetch")


def _failed(hub: Hub, hold: Hold[Feed], channel: Channel, error: Exception) -> None:
    failures = hold.work.failures + 1
    trouble, now = trouble_of(error, failures, channel), utcnow()
    with hub.database.session() as session:
        hold.fail(session, trouble, failures, now)
    logger.warning("renewal_failed", channel=channel.name, trouble=trouble.kind, failures=failures)
