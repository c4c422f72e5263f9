"""Pushed requests: kept raw before the sender is told so, read afterwards."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import BadPayload, Batch, Delivery, Rejected
from hub import log
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.clock import utcnow
from hub.database import nudge
from hub.inbox.models import Receipt
from hub.inbox.service import receive
from hub.runtime import Hub

logger = log.get(__name__)
BATCH = 20


def accept(session: Session, channel: Channel, delivery: Delivery) -> bool:
    """Keep a pushed request; whether it is new. Raises: connectors.base.BadSignature."""
    delivery_id = open_connector(channel).verify(delivery)
    # Two tries of one delivery at once: the second waits for the first, and finds it.
    session.get_one(Channel, channel.id, with_for_update=True)
    known = select(Receipt.id).where(Receipt.channel_id == channel.id, Receipt.delivery_id == delivery_id)
    if session.scalar(known) is not None:
        return False
    session.add(
        Receipt(
            channel_id=channel.id,
            delivery_id=delivery_id,
            headers={name.lower(): value for name, value in delivery.headers.items()},
            body=delivery.body,
            received_at=delivery.received_at,
        )
    )
    nudge(session, "receive")
    return True


def receive_pushed(hub: Hub) -> int:
    """Read some receipts that are not read yet; how many."""
    now = utcnow()
    with hub.database.session() as session:
        receipts = session.scalars(
            select(Receipt)
            .where(
                Receipt.processed_at.is_(None),
                Receipt.channel_id.in_(select(Channel.id).where(Channel.paused_at.is_(None))),
            )
            .order_by(Receipt.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for receipt in receipts:
            channel = session.get_one(Channel, receipt.channel_id)
            delivery = Delivery(receipt.headers, receipt.body, receipt.received_at)
            where = f"delivery {receipt.delivery_id}"
            try:
                batch = open_connector(channel).receive(delivery)
            except BadPayload as error:
                batch = Batch((Rejected(receipt.body, "bad_payload", str(error), where),))
            receive(session, channel.id, batch, now)
            receipt.processed_at = now
        return len(receipts)
