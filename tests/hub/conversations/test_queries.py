"""Lists of conversations, their search, and a whole thread."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation
from hub.conversations.queries import find_message, find_thread, list_conversations
from hub.conversations.service import get_conversation, note, reply, set_status, take
from hub.errors import Invalid, NotFound
from tests.factories import NOW, Identity, analyse_as, channel, customer, inbound, receive_one, user


def at(minutes: float) -> object:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def shop(session: Session) -> dict[str, Conversation]:
    """Four conversations by their customers' names; the newest message is dora's."""
    chirp = channel(session)
    customer(session, "Carla Weiß", Identity("handle", "carla", "chirp"), Identity("email", "c@x.example"))
    found = {}
    for minutes, (name, subject, text) in enumerate(
        (
            ("ann", "Parcel", "100% late_again"),
            ("bob", None, "It is 1000 times late again"),
            ("carla", "Ünï", "Straße"),
            ("dora", None, "thanks"),
        )
    ):
        item = inbound(text, author=name, subject=subject, sent_at=at(minutes - 60))
        found[name] = get_conversation(session, receive_one(session, chirp, item).conversation_id)
    return found


def names(session: Session, shop: dict[str, Conversation], **asked: object) -> list[str]:
    session.flush()
    ids = {conversation.id: name for name, conversation in shop.items()}
    return [ids[each.id] for each in list_conversations(session, **asked).items]  # type: ignore[arg-type]


def test_views(session: Session, shop: dict[str, Conversation]) -> None:
    agent = user(session)
    take(session, shop["ann"], user=agent, now=NOW)
    set_status(session, shop["bob"], "solved", user=agent, now=NOW)
    set_status(session, shop["carla"], "closed", user=agent, now=NOW)
    assert names(session, shop) == ["dora", "carla", "bob", "ann"]
    assert names(session, shop, view="open") == ["dora", "ann"]
    assert names(session, shop, view="mine", user_id=agent.id) == ["ann"]
    assert names(session, shop, view="solved") == ["carla", "bob"]
    assert names(session, shop, customer_id=shop["carla"].customer_id) == ["carla"]
    with pytest.raises(Invalid, match="none of all, open, mine, solved"):
        list_conversations(session, view="lost")


def test_the_newest_message_of_either_side_decides(session: Session, shop: dict[str, Conversation]) -> None:
    agent = user(session)
    reply(session, shop["ann"], user=agent, text="Here.", now=NOW)
    assert names(session, shop) == ["ann", "dora", "carla", "bob"]
    # Older than what is there: it moves nothing.
    receive_one(session, shop["bob"].channel, inbound(author="bob", sent_at=at(-90)), now=NOW)
    assert names(session, shop) == ["ann", "dora", "carla", "bob"]


def test_search(session: Session, shop: dict[str, Conversation], subtests: pytest.Subtests) -> None:
    for search, expected in (
        ("", ["dora", "carla", "bob", "ann"]),
        ("  ", ["dora", "carla", "bob", "ann"]),
        ("late", ["bob", "ann"]),
        ("LATE", ["bob", "ann"]),
        ("100%", ["ann"]),
        ("late_again", ["ann"]),
        ("again late", []),
        ("parcel", ["ann"]),
        ("carla", ["carla"]),
        ("@Carla", ["carla"]),
        ("C@X.example", ["carla"]),
        ("weiß", ["carla"]),
        ("\\", []),
        ("'; DROP TABLE messages; --", []),
    ):
        with subtests.test(search):
            assert names(session, shop, search=search) == expected


def test_what_colleagues_noted_is_found_too(session: Session, shop: dict[str, Conversation]) -> None:
    note(session, shop["dora"], user=user(session), text="Ask the warehouse", now=NOW)
    assert names(session, shop, search="warehouse") == ["dora"]


def test_a_thread_is_told_in_order_with_every_promise(session: Session) -> None:
    chirp, agent = channel(session), user(session)
    first = receive_one(session, chirp, inbound("one", thread_key="T", sent_at=at(-60)), now=at(-60))
    conversation = get_conversation(session, first.conversation_id)
    analyse_as(session, first)
    reply(session, conversation, user=agent, text="two", now=at(-50))
    receive_one(session, chirp, inbound("four", thread_key="T", sent_at=at(-30)), now=at(-10))
    note(session, conversation, user=agent, text="three", now=at(-40))
    session.expire_all()
    thread = find_thread(session, conversation.id)
    assert [message.body for message in thread.messages] == ["one", "two", "three", "four"]
    assert [promise.metric for promise in thread.promises] == ["next_reply_time", "first_reply_time"]
    assert thread.messages[0].analysis is not None
    assert thread.conversation.customer.identities[0].value == "ann"


def test_there_is_no_such_thing(session: Session) -> None:
    with pytest.raises(NotFound):
        find_thread(session, 7)
    with pytest.raises(NotFound):
        find_message(session, 7)
