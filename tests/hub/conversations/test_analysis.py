"""What a model said is kept whole, and comes back; the embedding only for who asks for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from hub.conversations.analysis import failed, to_analysis, to_row, vectors
from hub.conversations.models import AnalysisRow
from hub.conversations.queries import find_thread
from sentiment.types import Analysis, Emotion, TaughtIntent
from tests.factories import NOW, analyse_as, analysis, channel, receive_one

UNIT = np.eye(384, dtype=np.float32)[7]
EVERYTHING = replace(
    analysis("negative"),
    abstained=("emotion: not sure",),
    emotion=Emotion("annoyance", 0.61),
    sarcasm=0.07,
    expects_reply=0.97,
    taught=(TaughtIntent("Lost luggage", 0.81),),
    embedding=UNIT,
)


@pytest.mark.parametrize(
    "said",
    [EVERYTHING, analysis(None, intents=()), failed("test-1", "it broke")],
    ids=["all", "little", "none"],
)
def test_what_was_said_comes_back(session: Session, said: Analysis) -> None:
    message = receive_one(session, channel(session))
    analyse_as(session, message, said)
    session.expire_all()
    row = session.scalars(select(AnalysisRow)).one()
    assert to_analysis(row) == said
    assert row.score == pytest.approx(said.sentiment.score)


def test_no_list_reads_the_embedding(session: Session) -> None:
    message = receive_one(session, channel(session))
    analyse_as(session, message, EVERYTHING)
    session.expire_all()
    (shown,) = find_thread(session, message.conversation_id).messages
    assert shown.analysis is not None
    to_analysis(shown.analysis)
    assert inspect(shown.analysis).unloaded >= {"embedding"}
    stored = session.scalars(select(AnalysisRow.embedding)).one()
    assert stored is not None
    assert vectors([stored, stored]).tolist() == [UNIT.tolist()] * 2


def test_an_embedding_keeps_its_direction() -> None:
    made = np.random.default_rng(1).normal(size=(50, 384)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    rows = [to_row(1, replace(EVERYTHING, embedding=each), NOW) for each in made]
    kept = vectors([row.embedding for row in rows if row.embedding])
    assert np.abs(made @ made.T - kept @ kept.T).max() < 1e-3


def test_of_no_messages_there_are_no_vectors() -> None:
    assert len(vectors([])) == 0
