"""Two messages that their senders gave one id are two, however often and in whatever order they are read."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Batch, InboundMessage
from hub.conversations.models import Message
from hub.inbox.service import receive
from tests.factories import NOW, channel, inbound


def mail(text: str, external_id: str = "constant@form.example") -> InboundMessage:
    return replace(inbound(text, external_id=external_id), fingerprint=f"{text}-{'0' * 20}")


def stored(session: Session) -> list[tuple[str, str]]:
    return [(each.external_id, each.body) for each in session.scalars(select(Message).order_by(Message.id))]


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_every_one_is_kept_once(session: Session, order: tuple[str, ...]) -> None:
    box = channel(session, "box")
    receive(session, box.id, Batch((mail("a"), mail("b"))), NOW)
    receive(session, box.id, Batch(tuple(mail(text) for text in order)), NOW)
    again = receive(session, box.id, Batch(tuple(mail(text) for text in reversed(order))), NOW)
    assert (again.stored, again.duplicates) == (0, 3)
    first, *others = stored(session)
    assert first == ("constant@form.example", "a")
    assert sorted(others) == [(f"constant@form.example#{text}-{'0' * 14}", text) for text in ("b", "c")]


def test_without_a_fingerprint_the_id_decides(session: Session) -> None:
    box = channel(session, "box")
    receive(session, box.id, Batch((inbound("a", external_id="1"),)), NOW)
    assert receive(session, box.id, Batch((mail("b", "1"),)), NOW).duplicates == 1
    assert stored(session) == [("1", "a")]
