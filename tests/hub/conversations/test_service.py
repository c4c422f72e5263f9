"""What people do with a conversation; for clocks see `test_clocks.py`, for sending `test_delivery.py`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.files.connector import FilesConnector
from hub.accounts.models import User
from hub.conversations.models import Conversation, Message
from hub.conversations.service import get_conversation, note, release, reply, set_status, take
from hub.errors import Conflict, Invalid, NotFound
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user

LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def conversation(session: Session) -> Conversation:
    return get_conversation(session, receive_one(session, channel(session)).conversation_id)


@pytest.fixture
def agent(session: Session) -> User:
    return user(session)


def bodies(session: Session, direction: str) -> list[str]:
    session.flush()
    found = select(Message.body).where(Message.direction == direction).order_by(Message.id)
    return list(session.scalars(found))


def test_a_reply_waits_to_be_sent_and_its_writer_owns_the_conversation(
    session: Session, conversation: Conversation, agent: User
) -> None:
    message = reply(session, conversation, user=agent, text="It left today.", now=LATER)
    assert (message.direction, message.delivery, message.deliver_at) == ("outgoing", "pending", LATER)
    assert (message.author_name, message.sent_at, message.private) == (agent.name, LATER, False)
    assert (conversation.owner_id, conversation.owned_since) == (agent.id, LATER)
    assert (conversation.status, conversation.last_message_at) == ("pending", LATER)
    assert "deliver" in session.info["nudges"]


def test_a_reply_by_somebody_else_leaves_the_owner(
    session: Session, conversation: Conversation, agent: User
) -> None:
    take(session, conversation, user=agent, now=NOW)
    reply(session, conversation, user=user(session, "Other"), text="Here.", now=LATER)
    assert conversation.owner_id == agent.id


@pytest.mark.parametrize("write", [reply, note])
@pytest.mark.parametrize("text", ["", " \n\t", "a\0b", "\ud800"])
def test_a_text_that_is_none_is_refused(
    session: Session, conversation: Conversation, agent: User, write: Callable[..., Message], text: str
) -> None:
    with pytest.raises(Invalid):
        write(session, conversation, user=agent, text=text, now=NOW)


def test_a_text_too_long_for_the_channel_is_refused(
    session: Session, conversation: Conversation, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesConnector, "max_length", 10)
    # As its vendor counts, which is not as we do.
    monkeypatch.setattr(FilesConnector, "length", lambda self, text: text.count("x"))
    with pytest.raises(Invalid, match="11 characters; this channel takes at most 10"):
        reply(session, conversation, user=agent, text="x" * 11, now=NOW)
    assert reply(session, conversation, user=agent, text="x" * 10 + "...", now=NOW).body == "x" * 10 + "..."


def test_nobody_replies_to_what_is_closed(session: Session, conversation: Conversation, agent: User) -> None:
    set_status(session, conversation, "closed", user=agent, now=NOW)
    with pytest.raises(Conflict, match="closed"):
        reply(session, conversation, user=agent, text="Here.", now=LATER)
    assert note(session, conversation, user=agent, text="Look.", now=LATER).private


@pytest.mark.parametrize("write", [reply, note])
def test_one_key_writes_once(
    session: Session, conversation: Conversation, agent: User, write: Callable[..., Message]
) -> None:
    def again(text: str, where: Conversation) -> Message:
        return write(session, where, user=agent, text=text, now=NOW, idempotency_key="k")

    first = again("Here.", conversation)
    assert again("Here.", conversation) is first
    with pytest.raises(Conflict, match="another text"):
        again("There.", conversation)
    other = receive_one(session, conversation.channel, inbound(author="bob")).conversation_id
    with pytest.raises(Conflict, match="another text"):
        again("Here.", get_conversation(session, other))
    assert len(bodies(session, "outgoing")) == 1


def test_one_key_from_two_tabs_at_once_writes_once(hub: Hub) -> None:
    with hub.database.session() as session:
        conversation_id = receive_one(session, channel(session)).conversation_id
        agent = user(session)
    barrier = Barrier(4)

    def send(_: int) -> int:
        barrier.wait()
        with hub.database.session() as session:
            conversation = get_conversation(session, conversation_id)
            return reply(session, conversation, user=agent, text="Here.", now=NOW, idempotency_key="k").id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(send, range(4)))) == 1


def test_a_note_is_for_colleagues_only(session: Session, conversation: Conversation, agent: User) -> None:
    before = (conversation.status, conversation.waiting_since, conversation.reply_by, conversation.owner_id)
    message = note(session, conversation, user=agent, text="Careful.", now=LATER)
    assert (message.private, message.delivery) == (True, None)
    after = (conversation.status, conversation.waiting_since, conversation.reply_by, conversation.owner_id)
    assert before == after
    assert conversation.updated_at == LATER


def test_taking_and_giving_back(session: Session, conversation: Conversation, agent: User) -> None:
    colleague = user(session, "Col League")
    take(session, conversation, user=agent, now=NOW)
    take(session, conversation, user=agent, now=LATER)
    assert (conversation.owner_id, conversation.owned_since) == (agent.id, NOW)
    with pytest.raises(Conflict, match="Alex Agent has this"):
        take(session, conversation, user=colleague, now=NOW)
    release(session, conversation, user=agent, now=LATER)
    release(session, conversation, user=agent, now=LATER)
    assert (conversation.owner_id, conversation.owned_since) == (None, None)
    take(session, conversation, user=colleague, now=LATER)
    assert bodies(session, "activity") == [
        "Alex Agent took it",
        "Alex Agent gave it back",
        "Col League took it",
    ]


@pytest.mark.parametrize(
    ("status", "fields", "error"),
    [
        ("new", {}, Invalid),
        ("gone", {}, Invalid),
        ("", {}, Invalid),
        ("snoozed", {}, Conflict),
        ("snoozed", {"snoozed_until": NOW}, Conflict),
        ("snoozed", {"snoozed_until": NOW + timedelta(days=367)}, Invalid),
    ],
)
def test_a_status_that_cannot_be(
    session: Session,
    conversation: Conversation,
    agent: User,
    status: str,
    fields: dict[str, Any],
    error: type,
) -> None:
    with pytest.raises(error):
        set_status(session, conversation, status, user=agent, now=NOW, **fields)
    assert conversation.status == "new"


def test_a_status_is_written_down_once(session: Session, conversation: Conversation, agent: User) -> None:
    for _ in range(2):
        set_status(session, conversation, "on_hold", user=agent, now=NOW)
    set_status(session, conversation, "open", user=None, now=LATER)
    assert bodies(session, "activity") == ["Alex Agent: new → on hold", "The hub: on hold → open"]


def test_a_snooze_can_be_prolonged(session: Session, conversation: Conversation, agent: User) -> None:
    for hours in (1, 2):
        until = NOW + timedelta(hours=hours)
        set_status(session, conversation, "snoozed", user=agent, now=NOW, snoozed_until=until)
    assert conversation.snoozed_until == NOW + timedelta(hours=2)


def test_there_is_no_such_conversation(session: Session) -> None:
    with pytest.raises(NotFound):
        get_conversation(session, 7)
