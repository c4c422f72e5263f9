"""Every message gets one analysis, whoever dies on the way, and one that breaks the model stops nobody."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import event, select

from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.conversations.service import get_conversation, reply
from hub.inbox import analyse as module
from hub.inbox.analyse import analyse
from hub.inbox.service import receive
from hub.runtime import Hub
from sentiment.types import Analysis
from tests.factories import NOW, Batch, InboundMessage, WordScorer, channel, inbound, receive_one, user
from tests.hub.conftest import Clock


class Watched(WordScorer):
    """Writes down what it reads; `poison` breaks it."""

    def __init__(self) -> None:
        self.read: list[list[str]] = []
        self._lock = Lock()

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        with self._lock:
            self.read.append(list(texts))
        if any("poison" in text for text in texts):
            raise ZeroDivisionError
        return super().score(texts)


@pytest.fixture
def model(hub: Hub, clock: Clock) -> Watched:
    hub._scorer = model = Watched()
    return model


def fill(hub: Hub, *items: InboundMessage | str) -> None:
    with hub.database.session() as session:
        messages = (inbound(item, author=item) if isinstance(item, str) else item for item in items)
        receive(session, channel(session).id, Batch(tuple(messages)), NOW)


def moods(hub: Hub) -> dict[str, str | None]:
    with hub.database.reading() as session:
        rows = session.execute(select(Message.body, AnalysisRow.sentiment).join(Message.analysis))
        return dict(rows.all())


def drain(hub: Hub) -> int:
    runs = 0
    while analyse(hub):
        runs += 1
    return runs


def test_what_comes_now_is_read_before_history(hub: Hub, model: Watched) -> None:
    hub.settings = hub.settings.model_copy(update={"analysis_batch": 3})
    with hub.database.session() as session:
        chirp = channel(session)

        def bring(*texts: str, history: bool) -> None:
            batch = Batch(tuple(inbound(text, author=text) for text in texts))
            receive(session, chirp.id, batch, NOW, history=history)

        bring(*"abcde", history=True)
        bring("live 1", history=False)
        bring("f", history=True)
        bring("live 2", history=False)
    assert analyse(hub) == 2
    with hub.database.session() as session:
        receive(session, chirp.id, Batch((inbound("live 3", author="x"),)), NOW)
    drain(hub)
    # Nothing of the past delays them: not even within their batch.
    assert model.read == [["live 1", "live 2"], ["live 3"], ["a", "b", "c"], ["d", "e", "f"]]


def test_the_next_to_be_read_are_found_by_an_index_alone(hub: Hub, model: Watched) -> None:
    asked: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "leased_until" in statement and statement.startswith("SELECT"):
            asked.append((statement.partition(" FOR UPDATE")[0], parameters))

    event.listen(hub.database.engine, "before_cursor_execute", listen)
    analyse(hub)
    ((statement, parameters),) = asked
    with hub.database.engine.connect() as connection:
        if hub.database.is_sqlite:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        else:
            # Of an empty table it would read all.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all()
    plan = str(rows)
    assert "ix_messages_to_analyse" in plan
    assert "sort" not in plan.lower()
    assert "TEMP B-TREE" not in plan


def test_messages_are_read_together_and_places_refined(hub: Hub, model: Watched) -> None:
    fill(hub, "good", "bad", "unsure", "plain")
    assert analyse(hub) == 4
    assert analyse(hub) == 0
    assert len(model.read) == 1
    assert moods(hub) == {"good": "positive", "bad": "negative", "unsure": None, "plain": "neutral"}
    with hub.database.reading() as session:
        weights = dict(
            session.execute(
                select(Message.body, Conversation.weight).join(
                    Conversation, Conversation.newest_message_id == Message.id
                )
            ).all()
        )
    assert weights["bad"] > 1 == weights["plain"] > weights["good"]


def test_a_batch_is_as_large_as_the_settings_say(hub: Hub, model: Watched) -> None:
    hub.settings = hub.settings.model_copy(update={"analysis_batch": 3})
    fill(hub, *(f"text {n}" for n in range(7)))
    assert drain(hub) == 3
    assert [len(texts) for texts in model.read] == [3, 3, 1]


def test_what_breaks_the_model_is_found_and_placed_without_a_mood(hub: Hub, model: Watched) -> None:
    fill(hub, "good", "poison", "bad")
    drain(hub)
    assert moods(hub) == {"good": "positive", "poison": None, "bad": "negative"}
    # Together once, and then each alone; a text that nothing can read is tried three times in all.
    alone = [texts for texts in model.read if len(texts) == 1]
    assert [len(texts) for texts in model.read if len(texts) > 1] == [3]
    assert alone.count(["poison"]) == 2
    with hub.database.reading() as session:
        message = session.scalars(select(Message).where(Message.body == "poison")).one()
        assert message.analysis is not None
        assert message.analysis.abstained == ["the model failed on it"]
        conversation = session.get_one(Conversation, message.conversation_id)
        assert conversation.reply_by is not None
        assert conversation.reasons is not None
        assert not any("not read" in reason["text"] for reason in conversation.reasons)


def test_what_kills_the_process_is_given_up_too(hub: Hub, clock: Clock, model: Watched) -> None:
    """A worker that dies stores nothing: only the lease that runs out says so."""
    fill(hub, "deadly", "good")
    assert len(module._claim(hub)) == 2
    for _ in range(module.ATTEMPTS - 1):
        clock.advance(seconds=hub.settings.analysis_lease_seconds + 1)
        (claim,) = module._claim(hub)
        assert claim[2] == "deadly"
    clock.advance(seconds=hub.settings.analysis_lease_seconds + 1)
    drain(hub)
    assert moods(hub) == {"deadly": None, "good": "positive"}
    assert model.read == [["good"]]


def test_what_somebody_reads_is_left_to_them_until_the_lease_runs_out(
    hub: Hub, clock: Clock, model: Watched
) -> None:
    fill(hub, "good")
    assert len(module._claim(hub)) == 1
    assert analyse(hub) == 0
    clock.advance(seconds=hub.settings.analysis_lease_seconds)
    assert analyse(hub) == 0
    clock.advance(seconds=1)
    assert analyse(hub) == 1


def test_who_comes_back_after_the_lease_stores_no_second_analysis(
    hub: Hub, clock: Clock, model: Watched
) -> None:
    fill(hub, "good")

    class Slow(Watched):
        def score(self, texts: Sequence[str]) -> list[Analysis]:
            clock.advance(hours=1)
            hub._scorer = model
            assert analyse(hub) == 1
            return super().score(texts)

    hub._scorer = Slow()
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        assert len(session.scalars(select(AnalysisRow)).all()) == 1


def test_many_workers_read_every_message_once(hub: Hub, model: Watched) -> None:
    hub.settings = hub.settings.model_copy(update={"analysis_batch": 5})
    texts = [f"text {n}" for n in range(60)]
    fill(hub, *texts)
    barrier = Barrier(4)

    def work(_: int) -> None:
        barrier.wait()
        drain(hub)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(text for batch in model.read for text in batch) == sorted(texts)
    assert len(moods(hub)) == 60


def test_only_the_customers_own_words_are_read(hub: Hub, model: Watched) -> None:
    quoted = "\n\nOn 3 Nov 2025, Shop wrote:\n> This is bad."
    fill(
        hub,
        inbound("It is good." + quoted, author="a", subject="Parcel"),
        inbound("It is fine." + quoted, author="b", subject="Re: Parcel"),
        inbound("x" * 100_000, author="c"),
    )
    analyse(hub)
    ((first, second, long),) = model.read
    assert (first, second) == ("Parcel\nIt is good.", "It is fine.")
    assert len(long) == module.LONGEST


def test_what_was_answered_meanwhile_is_read_and_stays_out_of_the_queue(hub: Hub, model: Watched) -> None:
    with hub.database.session() as session:
        message = receive_one(session, channel(session), inbound("bad"))
        conversation = get_conversation(session, message.conversation_id)
        reply(session, conversation, user=user(session), text="Here.", now=NOW)
        # Our own words, and what colleagues note, are nobody's mood.
    assert analyse(hub) == 1
    assert moods(hub) == {"bad": "negative"}
    with hub.database.reading() as session:
        assert session.get_one(Conversation, message.conversation_id).reply_by is None


def test_a_model_that_does_not_load_claims_nothing(
    hub: Hub, model: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(hub, "good")
    hub._scorer = None
    monkeypatch.setattr("sentiment.load", Mock(side_effect=OSError("no such model")))
    with pytest.raises(OSError, match="no such model"):
        analyse(hub)
    with hub.database.reading() as session:
        message = session.scalars(select(Message)).one()
        assert (message.leased_until, message.analysis_attempts) == (None, 0)
        assert session.get_one(Conversation, message.conversation_id).reply_by is not None
    hub._scorer = model
    assert analyse(hub) == 1
