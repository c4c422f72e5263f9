"""Changes that come before their message are followed when it comes, and forgotten when it never does."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Batch, Deleted, Edited, Undelivered
from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.conversations.service import reply
from hub.inbox import early
from hub.inbox.early import MEMORY, follow_early
from hub.inbox.models import EarlyChange
from hub.inbox.service import Received, receive
from hub.inbox.storable import Change
from tests.factories import NOW, channel, conversation_of, inbound, receive_one, user

MINUTE = timedelta(minutes=1)


@pytest.fixture
def chirp(session: Session) -> Channel:
    return channel(session)


def tell(session: Session, to: Channel, *changes: Change, at: datetime = NOW) -> Received:
    return receive(session, to.id, Batch(changes), at)


def remembered(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(EarlyChange)) or 0


def test_an_edit_waits_for_its_message(session: Session, chirp: Channel) -> None:
    assert tell(session, chirp, Edited("1", "Second", "<p>Second</p>", NOW)) == Received(received=1, early=1)
    message = receive_one(session, chirp, inbound("First", external_id="1", sent_at=NOW - MINUTE))
    assert (message.body, message.html, message.edited_at) == ("Second", "<p>Second</p>", NOW)
    assert [each.body for each in message.versions] == ["First"]
    assert remembered(session) == 0


def test_a_deletion_waits_for_its_message_which_then_waits_for_nobody(
    session: Session, chirp: Channel
) -> None:
    tell(session, chirp, Deleted("1", NOW - MINUTE))
    message = receive_one(session, chirp, inbound("First", external_id="1", sent_at=NOW - 2 * MINUTE))
    assert (message.body, message.deleted_at) == ("", NOW - MINUTE)
    assert conversation_of(session, message).reply_by is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_what_was_said_the_newest_stands(session: Session, chirp: Channel, order: tuple[int, ...]) -> None:
    edits = [Edited("1", text, edited_at=NOW - minutes * MINUTE) for minutes, text in enumerate("cba")]
    for each in order:
        tell(session, chirp, edits[each])
    assert remembered(session) == 1
    assert receive_one(session, chirp, inbound("First", external_id="1")).body == "c"


@pytest.mark.parametrize("deleted_first", [True, False])
def test_what_was_edited_and_deleted_is_gone(session: Session, chirp: Channel, deleted_first: bool) -> None:
    changes: list[Change] = [Deleted("1"), Edited("1", "Second")]
    for each in changes if deleted_first else reversed(changes):
        tell(session, chirp, each)
    message = receive_one(session, chirp, inbound("First", external_id="1"))
    assert (message.body, message.deleted_at) == ("", NOW)
    assert remembered(session) == 0


def test_it_concerns_no_other_message_and_no_other_channel(session: Session, chirp: Channel) -> None:
    tell(session, chirp, Deleted("1"))
    assert receive_one(session, chirp, inbound("Other", external_id="2")).deleted_at is None
    assert receive_one(session, channel(session, "tweets"), inbound("1", external_id="1")).deleted_at is None
    assert remembered(session) == 1


def test_a_thread_that_went_takes_along_what_comes_of_it_later(session: Session, chirp: Channel) -> None:
    before = receive_one(session, chirp, inbound(external_id="1", thread_key="A", sent_at=NOW - 9 * MINUTE))
    tell(session, chirp, Deleted("A", NOW - 5 * MINUTE, thread_key="A"))
    assert before.deleted_at is not None
    for number, minutes in ((2, 8), (3, 7)):
        item = inbound(external_id=str(number), thread_key="A", sent_at=NOW - minutes * MINUTE)
        assert receive_one(session, chirp, item).deleted_at == NOW - 5 * MINUTE
    # It is there again, if somebody writes in it.
    later = inbound(external_id="4", thread_key="A", sent_at=NOW - MINUTE)
    assert receive_one(session, chirp, later).deleted_at is None
    other = inbound(external_id="5", thread_key="B", sent_at=NOW - 9 * MINUTE)
    assert receive_one(session, chirp, other).deleted_at is None


def test_a_bounce_that_is_quicker_than_we_are_is_followed(session: Session, chirp: Channel) -> None:
    asked = receive_one(session, chirp, inbound("Where?", external_id="1", sent_at=NOW - MINUTE))
    sent = reply(session, conversation_of(session, asked), user=user(session), text="Here", now=NOW)
    tell(session, chirp, Undelivered("<ours@brand.example>", "550 no such user"))
    sent.delivery, sent.deliver_at, sent.vendor_id = "sent", None, "<ours@brand.example>"
    follow_early(session, chirp.id, "<ours@brand.example>", NOW)
    assert (sent.delivery, sent.attempts[-1].detail) == ("failed", "550 no such user")
    assert conversation_of(session, asked).waiting_since is not None
    assert remembered(session) == 0


def test_it_is_forgotten_after_a_while(session: Session, chirp: Channel) -> None:
    tell(session, chirp, Deleted("1"))
    tell(session, chirp, Deleted("2"), at=NOW + MEMORY - MINUTE)
    assert remembered(session) == 2
    tell(session, chirp, Deleted("3"), at=NOW + MEMORY)
    assert session.scalars(select(EarlyChange.external_id).order_by(EarlyChange.id)).all() == ["2", "3"]


def test_only_so_many_are_remembered(
    session: Session, chirp: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early, "MOST", 3)
    other = channel(session, "tweets")
    tell(session, other, Deleted("x"))
    tell(session, chirp, *(Deleted(str(number)) for number in range(5)))
    tell(session, chirp, Deleted("5"))
    rows = select(EarlyChange.external_id).where(EarlyChange.channel_id == chirp.id).order_by(EarlyChange.id)
    assert session.scalars(rows).all() == ["3", "4", "5"]
    assert remembered(session) == 4


def test_told_again_and_again_it_is_remembered_once(session: Session, chirp: Channel) -> None:
    for _ in range(3):
        tell(session, chirp, Deleted("1"), Edited("2", "x"), Undelivered("3", "gone"))
    assert remembered(session) == 3


def test_an_id_that_no_message_can_have_is_let_go(session: Session, chirp: Channel) -> None:
    assert tell(session, chirp, Deleted("ä" * 600), Deleted("1", thread_key="k" * 401)).early == 2
    assert remembered(session) == 0


def test_a_change_goes_with_its_channel(session: Session, chirp: Channel) -> None:
    tell(session, chirp, Edited("1", "Second"))
    session.delete(chirp)
    session.flush()
    assert remembered(session) == 0


def test_a_message_that_is_read_again_is_changed_once(session: Session, chirp: Channel) -> None:
    tell(session, chirp, Edited("1", "Second"))
    message = receive_one(session, chirp, inbound("First", external_id="1"))
    again = receive(session, chirp.id, Batch((inbound("First", external_id="1"), Edited("1", "Second"))), NOW)
    assert (again.stored, again.changed, again.duplicates) == (0, 0, 2)
    assert session.get_one(Message, message.id).body == "Second"
