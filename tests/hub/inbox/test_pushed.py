"""What was pushed is read together, and what cannot be stored stops nobody."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Batch
from hub.conversations.models import Message
from hub.inbox import pushed
from hub.inbox.models import Receipt, Reject
from hub.inbox.pushed import receive_pushed
from hub.runtime import Hub
from tests.connectors.webhook.peer import SECRET
from tests.factories import NOW, channel


def test_what_cannot_be_stored_is_kept_aside_and_the_rest_is_stored(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong: the next look would only fail again, and everybody would wait behind it."""

    def receive(session: Session, channel_id: int, batch: Batch, now: object) -> None:
        stored(session, channel_id, batch, NOW)
        if any("unlucky" in repr(item) for item in batch.items):
            raise ZeroDivisionError

    stored = pushed.receive
    monkeypatch.setattr(pushed, "receive", receive)
    with hub.database.session() as session:
        shop = channel(session, "shop", connector="webhook", kind="ticket", secrets=[SECRET])
        for number, text in enumerate(["Hello?", "unlucky", "Hello again?"]):
            body = json.dumps({"id": f"m-{number}", "text": text, "author": {"email": "ann@x.example"}})
            session.add(
                Receipt(channel_id=shop.id, delivery_id=f"d-{number}", body=body.encode(), received_at=NOW)
            )
    assert receive_pushed(hub) == 3
    assert receive_pushed(hub) == 0
    with hub.database.reading() as session:
        assert session.scalars(select(Message.external_id).order_by(Message.id)).all() == ["m-0", "m-2"]
        (reject,) = session.scalars(select(Reject))
        assert (reject.reason, reject.source) == ("cannot_be_stored", "delivery d-1")
        assert b"unlucky" in reject.raw
