"""What a reply tells its vendor: what it answers, and what was said before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from connectors.base import Batch, Deleted, OutboundMessage, Sent
from connectors.files.connector import FilesConnector
from hub.conversations import delivery
from hub.conversations.delivery import deliver
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, note, reply
from hub.inbox.service import receive
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.conftest import Clock


def test_a_reply_tells_what_was_said_before(hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the vendor's ids, oldest first; notes, bounces and what never arrived are no part of it."""
    told: list[OutboundMessage] = []
    monkeypatch.setattr(
        FilesConnector, "send", lambda self, message: told.append(message) or Sent(f"v-{len(told)}")
    )
    with hub.database.session() as session:
        chirp, agent = channel(session), user(session)

        def hears(name: str, minute: int, **fields: Any) -> Conversation:
            sent_at = NOW + timedelta(minutes=minute - 60)
            item = inbound(external_id=name, thread_key="T", sent_at=sent_at, **fields)
            return get_conversation(session, receive_one(session, chirp, item).conversation_id)

        conversation = hears("c-1", 1, meta={"cid": 1})
        reply(session, conversation, user=agent, text="one", now=NOW)
    assert deliver(hub) == 1
    with hub.database.session() as session:
        conversation = hears("c-2", 61, meta={"cid": 2})
        hears("b-1", 62, nature="bounce", author="daemon")
        note(session, conversation, user=agent, text="hm", now=NOW)
        reply(session, conversation, user=agent, text="two", now=NOW + timedelta(minutes=5))
    clock.advance(minutes=6)
    assert deliver(hub) == 1
    assert [(each.in_reply_to, dict(each.answered), each.references) for each in told] == [
        ("c-1", {"cid": 1}, ("c-1",)),
        ("c-2", {"cid": 2}, ("c-1", "v-1", "c-2")),
    ]


def test_of_a_long_conversation_the_first_and_the_newest_are_told(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[OutboundMessage] = []
    monkeypatch.setattr(FilesConnector, "send", lambda self, message: told.append(message) or Sent())
    with hub.database.session() as session:
        chirp = channel(session)
        for number in range(40):
            sent_at = NOW - timedelta(minutes=50 - number)
            last = receive_one(
                session, chirp, inbound(external_id=f"c-{number}", thread_key="T", sent_at=sent_at)
            )
        conversation = get_conversation(session, last.conversation_id)
        reply(session, conversation, user=user(session), text="Here", now=NOW)
    deliver(hub)
    (sent,) = told
    assert len(sent.references) == delivery.MOST_REFERENCES
    assert (sent.references[0], sent.references[1], sent.references[-1]) == ("c-0", "c-11", "c-39")


def test_nobody_answers_a_bounce_or_what_was_taken_back(session: Session) -> None:
    chirp = channel(session)
    first = receive_one(session, chirp, inbound(external_id="1", thread_key="T"))
    for name, fields in (("2", {}), ("3", {"nature": "bounce"}), ("4", {"nature": "auto_reply"})):
        receive_one(session, chirp, inbound(external_id=name, thread_key="T", **fields))  # type: ignore[arg-type]
    receive(session, chirp.id, Batch((Deleted("2"),)), NOW)
    conversation = get_conversation(session, first.conversation_id)
    assert reply(session, conversation, user=user(session), text="Here", now=NOW).answers_id == first.id
