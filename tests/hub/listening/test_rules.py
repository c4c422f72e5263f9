"""What was overheard becomes a conversation by the policy's rules, once a model has read it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Author, Batch, Identity
from hub.conversations.models import Conversation, Message
from hub.conversations.queries import list_conversations
from hub.inbox.analyse import analyse
from hub.inbox.service import receive
from hub.listening.rules import hear
from hub.policies.service import activate
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from sentiment.types import Analysis
from tests.factories import (
    NOW,
    analyse_as,
    analysis,
    channel,
    conversation_of,
    customer,
    inbound,
    receive_one,
)
from tests.hub.conftest import Clock

QUIET = analysis("neutral", intents=("other",), expects_reply=0.1)
COMPLAINT = analysis("negative", intents=("complaint",), expects_reply=0.1)
QUESTION = analysis("neutral", intents=("product_question",))


def read(session: Session, message: Message, said: Analysis = QUIET) -> Conversation:
    analyse_as(session, message, said)
    hear(session, [message], NOW)
    return conversation_of(session, message)


def lines(session: Session) -> list[str]:
    return list(session.scalars(select(Message.body).where(Message.direction == "activity")))


def loud(followers: int) -> Author:
    return Author((Identity("handle", "ann"),), name="Ann", followers=followers)


@pytest.mark.parametrize(
    ("followers", "said", "rule"),
    [
        (5000, COMPLAINT, "A complaint with reach"),
        (50, COMPLAINT, None),
        (50, QUESTION, "A question"),
        (5000, QUIET, None),
        (5000, analysis("neutral", intents=("spam_irrelevant",)), None),
    ],
)
def test_the_rules_decide(session: Session, followers: int, said: Analysis, rule: str | None) -> None:
    message = receive_one(session, channel(session), inbound(author=loud(followers), addressed=False))
    assert conversation_of(session, message).listening
    conversation = read(session, message, said)
    assert conversation.listening is (rule is None)
    assert lines(session) == ([f"Overheard; somebody should answer: {rule}"] if rule else [])
    if rule:
        assert (conversation.waiting_since, conversation.status) == (NOW, "new")
        assert conversation.reply_by is not None
        assert conversation.promise is not None
        assert list_conversations(session).items == [conversation]
    else:
        assert (conversation.waiting_since, conversation.reply_by) == (None, None)


@pytest.mark.parametrize("spoke", [False, True], ids=["of the CRM", "who has spoken with us"])
def test_a_known_customer_is_heard_wherever_they_speak(session: Session, spoke: bool) -> None:
    chirp, search = channel(session), channel(session, "search", network="chirp")
    if spoke:
        receive_one(session, chirp, inbound(author="ann"))
    else:
        customer(session, "Ann", Identity("handle", "ann", "chirp"))
    heard = read(session, receive_one(session, search, inbound(author="ann", addressed=False)))
    assert (heard.listening, heard.waiting_since) == (False, NOW)
    assert lines(session) == ["Overheard; somebody should answer: A known customer"]


def test_only_to_have_been_overheard_makes_nobody_known(session: Session) -> None:
    chirp = channel(session)
    batch = Batch(tuple(inbound(author="ann", addressed=False, thread_key=str(n)) for n in range(2)))
    receive(session, chirp.id, batch, NOW)
    messages = session.scalars(select(Message).order_by(Message.id)).all()
    assert [read(session, message).listening for message in messages] == [True, True]


def test_a_query_of_the_policy(session: Session) -> None:
    rules = "\nlistening:\n  - {name: By name, query: '@acme OR from:ann', then: conversation}\n"
    start, end = (
        DEFAULT_POLICY.index("\nlistening:"),
        DEFAULT_POLICY.index("\n# What a conversation is worth"),
    )
    activate(session, DEFAULT_POLICY[:start] + rules + DEFAULT_POLICY[end:], NOW)
    chirp = channel(session)
    found = [
        read(session, receive_one(session, chirp, inbound(text, author=author, addressed=False))).listening
        for text, author in (("hi @Acme", "bob"), ("hi acme", "cid"), ("hi", "ann"))
    ]
    assert found == [False, True, False]


def test_the_wait_begins_with_the_message_that_matched(session: Session) -> None:
    chirp = channel(session)
    early = inbound("A thought", thread_key="T", addressed=False, sent_at=NOW - timedelta(hours=2))
    late = inbound("Why?", thread_key="T", addressed=False, sent_at=NOW - timedelta(hours=1))
    receive(session, chirp.id, Batch((early, late)), NOW)
    first, second = session.scalars(select(Message).order_by(Message.sent_at)).all()
    analyse_as(session, first, QUIET)
    analyse_as(session, second, QUESTION)
    hear(session, [second, first], NOW)
    conversation = conversation_of(session, first)
    assert (conversation.listening, conversation.waiting_since) == (False, second.sent_at)
    assert len(lines(session)) == 1


def test_history_is_only_counted(session: Session) -> None:
    chirp = channel(session)
    ages = [timedelta(days=1), timedelta(days=3)]
    heard = [
        read(
            session,
            receive_one(session, chirp, inbound(author=f"a{age.days}", addressed=False, sent_at=NOW - age)),
            QUESTION,
        ).listening
        for age in ages
    ]
    assert heard == [False, True]


def test_what_no_person_wrote_stays_overheard(session: Session) -> None:
    item = inbound(addressed=False, nature="list", automatic=True)
    assert read(session, receive_one(session, channel(session), item), QUESTION).listening


def test_what_was_written_to_us_is_asked_no_rule(session: Session) -> None:
    message = receive_one(session, channel(session), inbound())
    read(session, message, analysis("neutral", intents=("spam_irrelevant",)))
    assert conversation_of(session, message).listening is False
    assert lines(session) == []


def test_reading_asks_the_rules(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        message = receive_one(session, channel(session), inbound(addressed=False))
        assert conversation_of(session, message).reply_by is None
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        conversation = conversation_of(session, message)
        assert (conversation.listening, conversation.waiting_since) == (False, NOW)
        assert conversation.reply_by is not None
        assert lines(session) == ["Overheard; somebody should answer: A question"]
