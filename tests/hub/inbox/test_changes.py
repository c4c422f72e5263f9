"""What a vendor says later of a message: edits, deletions, and replies that did not arrive."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Attachment, Batch, Deleted, Edited, InboundMessage, Undelivered
from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message
from hub.conversations.service import get_conversation, reply, set_status
from hub.inbox.analyse import analyse
from hub.inbox.models import Reject
from hub.inbox.service import Received, receive
from hub.learning.corrections import correct
from hub.runtime import Hub
from tests.factories import (
    NOW,
    WordScorer,
    analyse_as,
    analysis,
    channel,
    conversation_of,
    inbound,
    receive_one,
    user,
)
from tests.hub.conftest import ON_SQLITE, Clock

MINUTE = timedelta(minutes=1)


def follow(
    session: Session, to: Channel, *items: Edited | Deleted | Undelivered | InboundMessage
) -> Received:
    return receive(session, to.id, Batch(items), NOW)


def test_an_edit_keeps_what_was_said_before(session: Session) -> None:
    chirp = channel(session)
    message = receive_one(session, chirp, inbound("First", external_id="1", sent_at=NOW - 9 * MINUTE))
    first = follow(session, chirp, Edited("1", "Second", edited_at=NOW - 5 * MINUTE))
    assert (first.changed, first.duplicates) == (1, 0)
    follow(session, chirp, Edited("1", "Third", "<p>Third</p>", edited_at=NOW - 2 * MINUTE))
    assert (message.body, message.html, message.edited_at) == ("Third", "<p>Third</p>", NOW - 2 * MINUTE)
    assert [(each.body, each.written_at) for each in message.versions] == [
        ("First", NOW - 9 * MINUTE),
        ("Second", NOW - 5 * MINUTE),
    ]


@ON_SQLITE
@pytest.mark.parametrize(
    "again",
    [
        pytest.param(Edited("1", "Second", edited_at=NOW - MINUTE), id="the same again"),
        pytest.param(Edited("1", "Second"), id="the same without a time"),
        pytest.param(Edited("1", "Older", edited_at=NOW - 2 * MINUTE), id="an older one"),
    ],
)
def test_an_edit_that_says_nothing_new_changes_nothing(session: Session, again: Edited) -> None:
    chirp = channel(session)
    message = receive_one(session, chirp, inbound("First", external_id="1"))
    follow(session, chirp, Edited("1", "Second", edited_at=NOW - MINUTE))
    result = follow(session, chirp, again)
    assert (result.changed, result.duplicates) == (0, 1)
    assert (message.body, len(message.versions)) == ("Second", 1)


def test_an_edited_message_is_read_and_placed_anew(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        message = receive_one(session, chirp, inbound("A good shop", external_id="1"))
        row = analyse_as(session, message, analysis("positive", intents=("praise_thanks",)))
        correct(session, message, user=user(session), now=NOW, sentiment="neutral")
        before = conversation_of(session, message).weight
        follow(session, chirp, Edited("1", "This is bad"))
        assert message.analysed_at is None
        assert "analyse" in session.info["nudges"]
        assert row.id is not None
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        message = session.get_one(Message, message.id)
        assert message.analysis is not None
        # Nobody has said anything yet of what it says now.
        assert (message.analysis.sentiment, message.corrections) == ("negative", [])
        after = conversation_of(session, message).weight
        assert before is not None
        assert after is not None
        assert after > before


def test_what_was_edited_while_it_was_read_is_read_again(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        message_id = receive_one(session, chirp, inbound("A good shop", external_id="1")).id

    class Slow(WordScorer):
        def score(self, texts: object) -> list:  # type: ignore[type-arg,override]
            if texts == ["A good shop"]:
                with hub.database.session() as session:
                    follow(session, chirp, Edited("1", "This is bad"))
            return super().score(texts)  # type: ignore[arg-type]

    hub._scorer = Slow()
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        assert session.get_one(Message, message_id).analysis is None
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        read = session.get_one(Message, message_id).analysis
        assert read is not None
        assert read.sentiment == "negative"


def test_a_deleted_message_leaves_its_row_and_no_words(session: Session) -> None:
    chirp = channel(session)
    item = inbound(
        "My address is 5 Elm Road",
        external_id="1",
        subject="My address",
        html="<p>5 Elm Road</p>",
        attachments=(Attachment("me.jpg", "image/jpeg", 3),),
    )
    message = receive_one(session, chirp, item)
    analyse_as(session, message)
    follow(session, chirp, Edited("1", "My address is 6 Elm Road", edited_at=NOW))
    result = follow(session, chirp, Deleted("1", NOW - MINUTE))
    assert result.changed == 1
    session.expire_all()
    assert (message.body, message.html, message.subject) == ("", None, None)
    assert (message.attachments, message.versions, message.analysis) == ([], [], None)
    assert (message.deleted_at, message.analysed_at) == (NOW - MINUTE, NOW)
    assert conversation_of(session, message).subject is None
    again = follow(session, chirp, Deleted("1", NOW), Edited("1", "Back"))
    assert (again.changed, again.duplicates) == (0, 2)
    assert message.body == ""


def test_what_we_said_ourselves_stays_when_it_is_deleted_there(session: Session) -> None:
    chirp = channel(session)
    receive_one(session, chirp, inbound(external_id="1"))
    ours = receive_one(
        session, chirp, inbound("Sorry", external_id="2", author=None, incoming=False, in_reply_to=("1",))
    )
    follow(session, chirp, Deleted("2"))
    assert (ours.body, ours.deleted_at) == ("Sorry", NOW)


@ON_SQLITE
@pytest.mark.parametrize(
    ("story", "waits_for", "status"),
    [
        pytest.param("1 -1", None, "pending", id="the only one"),
        pytest.param("1 2 -1", "2", "new", id="the first of two"),
        pytest.param("1 2 -2", "1", "new", id="the second of two"),
        pytest.param("1 2 -1 -2", None, "pending", id="both"),
        pytest.param("1 2 -2 -1", None, "pending", id="both, the other first"),
        pytest.param("1 reply -1", None, "pending", id="one that was answered"),
        pytest.param("1 reply 2 -1", "2", "open", id="one that was answered, and another waits"),
        pytest.param("1 reply 2 -2", None, "pending", id="one that followed an answer"),
        pytest.param("1 solved -1", None, "solved", id="solved"),
        pytest.param("1 on_hold -1", None, "on_hold", id="on hold"),
        pytest.param("1 -1 2", "2", "open", id="and another came"),
        pytest.param("1 reply -1 bounce", None, "pending", id="its answer did not arrive"),
        pytest.param("1 2 reply -1 bounce", "2", "open", id="the answer to it and to another did not arrive"),
        pytest.param("1 reply bounce -1", None, "pending", id="after its answer did not arrive"),
        pytest.param("2 reply 1 -1", None, "pending", id="one written before the answer, come after it"),
        pytest.param("1 solved -1 open", None, "open", id="solved, and that taken back"),
    ],
)
def test_a_customer_waits_for_an_answer_to_what_is_left(
    session: Session, story: str, waits_for: str | None, status: str
) -> None:
    """`N` comes, written in minute N; `-N` is taken back; a reply is written, and bounces."""
    chirp = channel(session)
    agent = user(session)
    conversation: Conversation | None = None
    for step in story.split():
        if step.isdecimal():
            sent_at = NOW - timedelta(minutes=30 - int(step))
            item = inbound(f"text {step}", external_id=step, thread_key="T", sent_at=sent_at)
            conversation = conversation_of(session, receive_one(session, chirp, item))
            continue
        assert conversation is not None
        if step.startswith("-"):
            follow(session, chirp, Deleted(step[1:]))
        elif step == "reply":
            sent = reply(session, conversation, user=agent, text="Here", now=NOW)
            sent.delivery, sent.deliver_at, sent.vendor_id = "sent", None, "vendor-1"
            session.flush()
        elif step == "bounce":
            follow(session, chirp, Undelivered("vendor-1", "mailbox full"))
        else:
            set_status(session, conversation, step, user=agent, now=NOW)
    assert conversation is not None
    session.flush()
    session.expire_all()
    since = NOW - timedelta(minutes=30 - int(waits_for)) if waits_for else None
    assert (conversation.waiting_since, conversation.status) == (since, status)
    assert (conversation.reply_by is not None) is (waits_for is not None)
    if waits_for:
        assert conversation.promise is not None
        assert conversation.promise.started_at == since
        assert conversation.newest_message is not None
        assert conversation.newest_message.deleted_at is None


def test_a_reply_that_did_not_arrive_has_failed_and_its_bounce_says_so(session: Session) -> None:
    chirp = channel(session, kind="mail")
    asked = receive_one(session, chirp, inbound(external_id="1", sent_at=NOW - 10 * MINUTE))
    conversation = get_conversation(session, asked.conversation_id)
    sent = reply(session, conversation, user=user(session), text="Here", now=NOW)
    sent.delivery, sent.deliver_at, sent.vendor_id = "sent", None, "<ours@brand.example>"
    session.flush()
    bounce = inbound(
        "550 no such user",
        author="mailer-daemon",
        external_id="b",
        nature="bounce",
        in_reply_to=("<ours@brand.example>",),
    )
    result = follow(session, chirp, Undelivered("<ours@brand.example>", "550 no such user"), bounce)
    assert (result.changed, result.stored, result.early) == (1, 1, 0)
    told = session.scalars(select(Message).where(Message.external_id == "b")).one()
    assert (told.conversation_id, told.answers_id) == (conversation.id, sent.id)
    assert (sent.delivery, sent.attempts[-1].detail) == ("failed", "550 no such user")
    assert (conversation.status, conversation.waiting_since) == ("open", NOW - 10 * MINUTE)
    assert conversation.reply_by is not None
    assert conversation.newest_message is asked
    again = follow(session, chirp, Undelivered("<ours@brand.example>", "550 no such user"))
    assert (again.changed, again.duplicates) == (0, 1)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_what_is_said_of_a_message_may_come_before_it(session: Session, order: tuple[int, ...]) -> None:
    """In one batch the order of messages and changes does not matter; that of changes does."""
    chirp = channel(session)
    items = [inbound("First", external_id="1"), Edited("1", "Second"), inbound("Other", external_id="2")]
    result = follow(session, chirp, *(items[each] for each in order))
    assert (result.stored, result.changed) == (2, 1)
    said = {each.external_id: each.body for each in session.scalars(select(Message))}
    assert said == {"1": "Second", "2": "Other"}
    follow(session, chirp, Deleted("3"), inbound("Third", external_id="3"))
    assert session.scalars(select(Message).where(Message.external_id == "3")).one().deleted_at == NOW


def test_what_nobody_here_knows_is_counted_and_no_error(session: Session) -> None:
    chirp = channel(session)
    result = follow(session, chirp, Deleted("x"), Edited("y", "z"), Undelivered("v", "gone"))
    assert result == Received(received=3, early=3)


def test_a_change_that_no_table_can_hold_is_kept_as_a_reject(session: Session) -> None:
    chirp = channel(session)
    receive_one(session, chirp, inbound("First", external_id="1"))
    result = follow(session, chirp, Edited("1", "a\0b"), Edited("1", "\ud800"), Deleted("\0"))
    assert (result.rejected, result.changed) == (3, 0)
    reasons = session.scalars(select(Reject.reason).order_by(Reject.id)).all()
    assert reasons == ["nul_bytes", "bad_encoding", "nul_bytes"]


def test_notes_cannot_be_changed_from_outside(session: Session) -> None:
    chirp = channel(session)
    message = receive_one(session, chirp, inbound(external_id="1"))
    set_status(session, conversation_of(session, message), "open", user=user(session), now=NOW)
    session.flush()
    activity = session.scalars(select(Message).where(Message.direction == "activity")).one()
    assert follow(session, chirp, Deleted(activity.external_id)).early == 1
    assert activity.deleted_at is None


def test_a_thread_that_went_takes_all_its_messages_with_it(session: Session) -> None:
    chirp = channel(session)
    for name, thread, author in (("1", "A", "ann"), ("2", "A", "bob"), ("3", "B", "ann")):
        receive_one(session, chirp, inbound(external_id=name, thread_key=thread, author=author))
    result = follow(session, chirp, Deleted("A", thread_key="A"), Deleted("C", thread_key="C"))
    assert (result.changed, result.early) == (1, 1)
    left = session.scalars(select(Message.external_id).where(Message.deleted_at.is_(None))).all()
    assert left == ["3"]
    waiting = select(Conversation.thread_key).where(Conversation.reply_by.is_not(None))
    assert session.scalars(waiting).all() == ["B"]
