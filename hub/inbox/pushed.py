"""Pushed requests: kept raw before the sender is told so, read afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from connectors.base import BadPayload, BadSignature, Batch, Connector, Delivery, Item, Rejected
from hub import log
from hub.channels.fetching import close
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
    """Read some receipts that are not read yet; how many.

    They are read with no transaction open: a connector may ask its vendor for what a push only names. Two who
    read the same store it once.
    """
    unread = Receipt.processed_at.is_(None)
    with hub.database.reading() as session:
        channel_id = session.scalar(
            select(Receipt.channel_id)
            .where(unread, Receipt.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))))
            .order_by(Receipt.id)
            .limit(1)
        )
        if channel_id is None:
            return 0
        channel = session.get_one(Channel, channel_id)
        found = session.scalars(
            select(Receipt).where(unread, Receipt.channel_id == channel_id).order_by(Receipt.id).limit(BATCH)
        ).all()
        session.expunge_all()
    read = _read(channel, found)
    with hub.database.session() as session:
        # Held from the start: who stores two at once may hold what another waits for.
        channel = session.get_one(Channel, channel_id, with_for_update={"key_share": True})
        receipts = session.scalars(
            select(Receipt).where(unread, Receipt.id.in_(read.keys())).order_by(Receipt.id)
        ).all()
        now = utcnow()
        _take(session, channel, [(receipt, read[receipt.id]) for receipt in receipts], now)
        for receipt in receipts:
            receipt.processed_at = now
    # Where another process has just stored them all, there may be more.
    return len(receipts) or 1


def _take(
    session: Session, channel: Channel, read: Sequence[tuple[Receipt, tuple[Item, ...]]], now: datetime
) -> None:
    """All together, which is quick; where that fails one by one, and what fails alone is kept as a reject."""
    try:
        with session.begin_nested():
            receive(session, channel.id, Batch(tuple(item for _, items in read for item in items)), now)
        return
    except OperationalError:
        raise
    except Exception:
        logger.exception("receiving_failed", channel=channel.name, receipts=len(read))
    for receipt, items in read:
        try:
            with session.begin_nested():
                receive(session, channel.id, Batch(items), now)
        except OperationalError:
            raise
        except Exception as error:
            logger.exception("receipt_failed", receipt_id=receipt.id)
            keep_reject(session, channel, _rejected(receipt, "cannot_be_stored", type(error).__name__), now)


def _read(channel: Channel, receipts: Sequence[Receipt]) -> dict[int, tuple[Item, ...]]:
    """What is in each, by one connector, which remembers what it asked for already."""
    try:
        connector = open_connector(channel)
    except Exception as error:
        logger.exception("receipts_failed", channel=channel.name)
        name = type(error).__name__
        return {each.id: (_rejected(each, "connector_failed", name),) for each in receipts}
    try:
        return {each.id: _read_one(connector, each) for each in receipts}
    finally:
        close(connector, channel.name)


def _read_one(connector: Connector, receipt: Receipt) -> tuple[Item, ...]:
    try:
        return connector.receive(Delivery(receipt.headers, receipt.body, receipt.received_at)).items
    except BadPayload as error:
        return (_rejected(receipt, "bad_payload", str(error)),)
    except Exception as error:
        logger.exception("receipt_failed", receipt_id=receipt.id)
        return (_rejected(receipt, "connector_failed", type(error).__name__),)


def _rejected(receipt: Receipt, reason: str, detail: str) -> Rejected:
    return Rejected(receipt.body, reason, detail, f"delivery {receipt.delivery_id}")
