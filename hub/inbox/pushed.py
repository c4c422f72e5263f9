"""Pushed requests: kept raw before the sender is told so, read afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from connectors.base import BadPayload, BadSignature, Batch, Delivery, Item, Rejected
from hub import log
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.clock import utcnow
from hub.database import nudge
from hub.inbox.models import Receipt
from hub.inbox.service import keep_reject, receive
from hub.runtime import Hub

logger = log.get(__name__)
BATCH = 50
LONGEST_ID = 300


def accept(session: Session, channel: Channel, delivery: Delivery) -> bool:
    """Keep a pushed request; whether it is new. Raises: connectors.base.BadSignature."""
    delivery_id = open_connector(channel).verify(delivery)
    if len(delivery_id) > LONGEST_ID:
        raise BadSignature(f"webhook-id is longer than {LONGEST_ID} characters.")
    known = select(Receipt.id).where(Receipt.channel_id == channel.id, Receipt.delivery_id == delivery_id)
    if session.scalar(known) is not None:
        return False
    receipt = Receipt(
        channel_id=channel.id,
        delivery_id=delivery_id,
        headers={name.lower(): value for name, value in delivery.headers.items()},
        body=delivery.body,
        received_at=delivery.received_at,
    )
    try:
        with session.begin_nested():
            session.add(receipt)
    except IntegrityError:
        # Two tries of one delivery at once: the second has waited for the first.
        return False
    nudge(session, "receive")
    return True


def receive_pushed(hub: Hub) -> int:
    """Read some receipts that are not read yet; how many."""
    unread = Receipt.processed_at.is_(None)
    with hub.database.session() as session:
        channel_id = session.scalar(
            select(Receipt.channel_id)
            .where(unread, Receipt.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))))
            .order_by(Receipt.id)
            .limit(1)
        )
        if channel_id is None:
            return 0
        # Of one channel, and that held from the start: who reads two at once may hold what another waits for.
        channel = session.get_one(Channel, channel_id, with_for_update={"key_share": True})
        receipts = session.scalars(
            select(Receipt).where(unread, Receipt.channel_id == channel_id).order_by(Receipt.id).limit(BATCH)
        ).all()
        now = utcnow()
        _take(session, channel, receipts, now)
        for receipt in receipts:
            receipt.processed_at = now
        # One where another process has just read them all: there may be more of other channels.
        return len(receipts) or 1


def _take(session: Session, channel: Channel, receipts: Sequence[Receipt], now: datetime) -> None:
    """All together, which is quick; where that fails one by one, and what fails alone is kept as a reject."""
    read = [_read(channel, receipt) for receipt in receipts]
    try:
        with session.begin_nested():
            receive(session, channel.id, Batch(tuple(item for items in read for item in items)), now)
        return
    except OperationalError:
        raise
    except Exception:
        logger.exception("receiving_failed", channel=channel.name, receipts=len(receipts))
    for receipt, items in zip(receipts, read, strict=True):
        try:
            with session.begin_nested():
                receive(session, channel.id, Batch(items), now)
        except OperationalError:
            raise
        except Exception as error:
            logger.exception("receipt_failed", receipt_id=receipt.id)
            keep_reject(session, channel, _rejected(receipt, "cannot_be_stored", type(error).__name__), now)


def _read(channel: Channel, receipt: Receipt) -> tuple[Item, ...]:
    delivery = Delivery(receipt.headers, receipt.body, receipt.received_at)
    try:
        return open_connector(channel).receive(delivery).items
    except BadPayload as error:
        return (_rejected(receipt, "bad_payload", str(error)),)
    except Exception as error:
        logger.exception("receipt_failed", receipt_id=receipt.id)
        return (_rejected(receipt, "connector_failed", type(error).__name__),)


def _rejected(receipt: Receipt, reason: str, detail: str) -> Rejected:
    return Rejected(receipt.body, reason, detail, f"delivery {receipt.delivery_id}")
