"""A person's word counts at once, wherever the model's would, and can be taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.analysis import to_analysis
from hub.conversations.models import AnalysisRow, Message
from hub.errors import Conflict, Invalid, NotFound
from hub.inbox.analyse import analyse
from hub.learning.corrections import correct, find_correction, keep_corrections, withdraw
from hub.learning.models import Correction
from hub.runtime import Hub
from sentiment.types import Intent
from tests.factories import (
    NOW,
    analyse_as,
    analysis,
    channel,
    conversation_of,
    inbound,
    receive_one,
    user,
)


@pytest.fixture
def message(session: Session) -> Message:
    """A message that the model holds for a complaint, wrongly."""
    message = receive_one(session, channel(session), inbound("Thanks, I could not be happier"))
    analyse_as(session, message, analysis("negative", 0.9, intents=("complaint", "refund_return")))
    return message


def row_of(message: Message) -> AnalysisRow:
    assert message.analysis is not None
    return message.analysis


def own_columns(row: AnalysisRow) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in AnalysisRow.__table__.columns}


def test_it_stands_where_the_model_s_word_stood(session: Session, message: Message) -> None:
    alex = user(session)
    made = correct(
        session, message, user=alex, now=NOW, sentiment="positive", intents=["praise_thanks", "other"]
    )
    said = to_analysis(row_of(message))
    assert (said.sentiment.label, said.sentiment.confidence, said.sentiment.score) == ("positive", 1.0, 1.0)
    assert said.intents == (Intent("praise_thanks", 1.0), Intent("other", 1.0))
    assert said.model == made.model == "test-1"
    assert made.said == {"sentiment": "negative", "intents": ["complaint", "refund_return"]}
    assert [each.user for each in message.corrections] == [alex]


def test_the_queue_goes_by_it(session: Session, message: Message) -> None:
    conversation = conversation_of(session, message)
    before = conversation.weight
    assert before is not None
    correct(session, message, user=user(session), now=NOW, sentiment="positive", intents=["praise_thanks"])
    assert conversation.weight is not None
    assert conversation.weight < before
    assert not any("negative" in each["text"] for each in conversation.reasons or [])


def test_each_matter_alone(session: Session, message: Message) -> None:
    correct(session, message, user=user(session), now=NOW, intents=["praise_thanks"])
    assert row_of(message).sentiment == "negative"
    correct(session, message, user=user(session), now=NOW, sentiment="positive")
    assert row_of(message).sentiment == "positive"
    assert [each["label"] for each in row_of(message).intents] == ["praise_thanks"]


def test_it_ends_a_silence_about_what_it_says_and_no_other(session: Session) -> None:
    message = receive_one(session, channel(session))
    row = analyse_as(session, message, analysis(None, intents=()))
    row.abstained = ["language: no words", "sentiment: at most 0.40 sure, 0.50 needed", "intents: none"]
    correct(session, message, user=user(session), now=NOW, sentiment="neutral")
    assert row.abstained == ["language: no words", "intents: none"]


def test_taking_it_back_leaves_what_was_before(session: Session, message: Message) -> None:
    row, alex = row_of(message), user(session)
    before = own_columns(row)
    first = correct(session, message, user=alex, now=NOW, sentiment="positive")
    second = correct(session, message, user=alex, now=NOW, sentiment="neutral", intents=["other"])
    assert second.said["sentiment"] == "negative"
    withdraw(session, second, NOW)
    withdraw(session, second, NOW)
    assert (row.sentiment, row.intents) == ("positive", before["intents"])
    withdraw(session, first, NOW)
    assert own_columns(row) == before
    assert message.corrections == []
    assert len(session.scalars(select(Correction)).all()) == 2


def test_taking_back_an_older_one_changes_nothing_to_see(session: Session, message: Message) -> None:
    alex = user(session)
    first = correct(session, message, user=alex, now=NOW, sentiment="positive")
    correct(session, message, user=alex, now=NOW, sentiment="neutral")
    withdraw(session, first, NOW)
    assert row_of(message).sentiment == "neutral"


def test_a_person_may_agree_with_the_model(session: Session, message: Message) -> None:
    correct(session, message, user=user(session), now=NOW, sentiment="negative")
    assert (row_of(message).sentiment, row_of(message).sentiment_confidence) == ("negative", 1.0)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({}, "say what is right"),
        ({"sentiment": "cross"}, "'cross' is none of negative"),
        ({"intents": []}, "at least one"),
        ({"intents": ["refund"]}, "'refund' is none of complaint"),
        ({"intents": ["other", "other"]}, "twice"),
    ],
)
def test_what_cannot_be_right_is_refused(
    session: Session, message: Message, words: dict[str, object], why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        correct(session, message, user=user(session), now=NOW, **words)  # type: ignore[arg-type]
    assert row_of(message).said is None


def test_what_no_model_has_read_cannot_be_corrected(session: Session) -> None:
    message = receive_one(session, channel(session))
    with pytest.raises(Conflict, match="not read"):
        correct(session, message, user=user(session), now=NOW, sentiment="positive")
    with pytest.raises(NotFound):
        find_correction(session, 7)


def test_rows_without_a_correction_stay_the_model_s(session: Session, message: Message) -> None:
    before = own_columns(row_of(message))
    keep_corrections(session, [row_of(message)])
    assert own_columns(row_of(message)) == before


def test_a_new_message_of_the_thread_is_read_as_ever(hub: Hub) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        first = receive_one(session, chirp, inbound("bad", thread_key="t"))
        alex = user(session)
    analyse(hub)
    with hub.database.session() as session:
        first = session.get_one(Message, first.id)
        correct(session, first, user=alex, now=NOW, sentiment="positive")
        second = receive_one(session, chirp, inbound("bad again", thread_key="t"))
    analyse(hub)
    with hub.database.reading() as session:
        moods = [row_of(session.get_one(Message, each.id)).sentiment for each in (first, second)]
    assert moods == ["positive", "negative"]
