"""Storing what a channel brought: a record that breaks the storing stops none of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from connectors.base import Batch, Connector, InboundMessage, Item, Rejected
from hub import log
from hub.channels.models import Channel
from hub.inbox.service import Received, keep_reject, receive
from hub.inbox.storable import name_of

logger = log.get(__name__)


def store(
    session: Session, channel_id: int, batch: Batch, now: datetime, *, history: bool = False
) -> Received:
    """Store a batch and its cursor; together, and where that fails record by record.

    The model reads `history` after all else. What fails alone is kept as a reject. Raises:
    sqlalchemy.exc.OperationalError, when nothing was stored.
    """
    try:
        with session.begin_nested():
            return receive(session, channel_id, batch, now, history=history)
    except OperationalError:
        raise
    except Exception:
        logger.exception("batch_failed", channel_id=channel_id, items=len(batch.items))
    result = Received()
    for item in batch.items:
        result.add(_store_alone(session, channel_id, item, now, history))
    receive(session, channel_id, Batch((), batch.cursor), now)
    return result


def note_lag(session: Session, channel_id: int, items: Sequence[Item], now: datetime) -> None:
    """Remember how old the newest of these messages is."""
    times = [item.sent_at for item in items if isinstance(item, InboundMessage) and item.incoming]
    newest = max((at for at in times if at is not None), default=None)
    if newest is not None:
        session.get_one(Channel, channel_id).lag_seconds = max(0.0, (now - newest).total_seconds())


def budgets_of(connector: Connector) -> list[dict[str, Any]]:
    """What is left of the vendor's limits, as JSON; nothing where the connector cannot say."""
    try:
        return [to_jsonable_python(asdict(budget)) for budget in connector.budgets()]
    except Exception:
        logger.exception("budgets_failed", connector=connector.name)
        return []


def note_budgets(channel: Channel, budgets: list[dict[str, Any]], now: datetime) -> None:
    """Remember what is left, where the vendor said anything."""
    if budgets:
        channel.budgets, channel.budgets_at = budgets, now


def _store_alone(session: Session, channel_id: int, item: Item, now: datetime, history: bool) -> Received:
    try:
        with session.begin_nested():
            return receive(session, channel_id, Batch((item,)), now, history=history)
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("record_failed", channel_id=channel_id)
        where = item.where if isinstance(item, Rejected) else name_of(item)
        raw = item.raw if isinstance(item, Rejected) else repr(item).encode(errors="backslashreplace")
        detail = f"It could not be stored: {type(error).__name__}."
        rejected = Rejected(raw, "cannot_be_stored", detail, where)
        keep_reject(session, session.get_one(Channel, channel_id), rejected, now)
        return Received(received=1, rejected=1)
