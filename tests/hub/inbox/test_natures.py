"""What no person wrote for us, and what was only overheard: stored, and nobody's clock runs for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Author, Identity, Nature
from hub.conversations.models import Message
from hub.conversations.queries import list_conversations
from hub.conversations.service import get_conversation, reply, set_status
from hub.listening.queries import moods
from tests.factories import NOW, analyse_as, channel, conversation_of, customer, inbound, receive_one, user
from tests.hub.conftest import ON_SQLITE

NATURES: tuple[Nature, ...] = ("bounce", "auto_reply", "list", "loop")


@ON_SQLITE
@pytest.mark.parametrize("nature", NATURES)
def test_what_no_person_wrote_opens_nothing_that_waits(session: Session, nature: Nature) -> None:
    message = receive_one(session, channel(session), inbound(nature=nature))
    conversation = conversation_of(session, message)
    assert (message.nature, message.automatic) == (nature, True)
    assert (conversation.waiting_since, conversation.reply_by, conversation.promise) == (None, None, None)


@ON_SQLITE
@pytest.mark.parametrize("nature", NATURES)
@pytest.mark.parametrize("status", ["new", "pending", "on_hold", "solved", "closed"])
def test_what_no_person_wrote_moves_no_clock_and_reopens_nothing(
    session: Session, nature: Nature, status: str
) -> None:
    post = channel(session, kind="mail")
    asked = receive_one(session, post, inbound(thread_key="T", sent_at=NOW - timedelta(minutes=5)))
    conversation = get_conversation(session, asked.conversation_id)
    if status != "new":
        set_status(session, conversation, status, user=None, now=NOW)
    before = (conversation.status, conversation.waiting_since, conversation.reply_by)
    told = receive_one(session, post, inbound("Out of office", thread_key="T", nature=nature))
    assert told.conversation_id == conversation.id
    assert (conversation.status, conversation.waiting_since, conversation.reply_by) == before
    assert conversation.newest_message is asked


def test_a_bounce_of_nothing_we_know_stands_alone(session: Session) -> None:
    post = channel(session, kind="mail")
    asked = receive_one(session, post, inbound(external_id="1"))
    told = receive_one(session, post, inbound(author="daemon", nature="bounce", in_reply_to=("9",)))
    assert told.conversation_id != asked.conversation_id
    assert told.answers_id is None


def test_what_was_overheard_is_read_and_counted_and_in_no_queue(session: Session) -> None:
    chirp = channel(session)
    message = receive_one(session, chirp, inbound("What a bad shop", addressed=False))
    conversation = conversation_of(session, message)
    assert (message.addressed, conversation.listening) == (False, True)
    assert message.analysed_at is None  # which is what has it read
    analyse_as(session, message)
    assert (conversation.waiting_since, conversation.reply_by, conversation.promise) == (None, None, None)
    assert moods(session, "7d", NOW + timedelta(minutes=1)).totals.negative == 1
    assert [list_conversations(session, view=view).items for view in ("all", "open")] == [[], []]
    assert list_conversations(session, view="listening").items == [conversation]


def test_who_then_writes_to_us_waits_from_then_on(session: Session) -> None:
    chirp = channel(session)
    heard = inbound("A thought", thread_key="T", addressed=False, sent_at=NOW - timedelta(hours=1))
    conversation = conversation_of(session, receive_one(session, chirp, heard))
    receive_one(session, chirp, inbound("Hey brand", thread_key="T"))
    assert (conversation.listening, conversation.waiting_since) == (False, NOW)
    # And what is said in it now is said to us.
    receive_one(session, chirp, inbound("And?", thread_key="T", addressed=False))
    assert conversation.listening is False
    assert len(session.scalars(select(Message)).all()) == 3


def test_who_answers_what_was_overheard_has_a_conversation(session: Session) -> None:
    chirp = channel(session)
    conversation = conversation_of(session, receive_one(session, chirp, inbound(addressed=False)))
    reply(session, conversation, user=user(session), text="May we help?", now=NOW)
    assert (conversation.listening, conversation.status) == (False, "pending")


def test_the_same_customer_from_a_second_address_goes_on_where_they_were(session: Session) -> None:
    post = channel(session, kind="mail")
    home, work = Identity("email", "ann@home.example"), Identity("email", "ann@work.example")
    customer(session, "Ann", home, work)
    first = receive_one(session, post, inbound(author=Author((home,)), external_id="1", subject="Parcel"))
    answers = receive_one(
        session, post, inbound(author=Author((work,)), in_reply_to=("1",), subject="Re: Parcel")
    )
    by_subject = receive_one(session, post, inbound(author=Author((work,)), subject="Re: Parcel"))
    assert {answers.conversation_id, by_subject.conversation_id} == {first.conversation_id}
    assert answers.answers_id == first.id


@ON_SQLITE
@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://chirp.example/p/1", True),
        ("http://chirp.example/p/1", True),
        ("javascript:alert(1)", False),
        ("https:///nowhere", False),
        ("https://chirp.example/" + "x" * 3000, False),
        ("https://[half", False),
    ],
)
def test_only_an_address_on_the_web_is_kept_as_the_source(session: Session, url: str, kept: bool) -> None:
    message = receive_one(session, channel(session), inbound(url=url))
    assert message.url == (url if kept else None)
