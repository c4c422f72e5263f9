"""History is read again, batch by batch, whoever dies on the way; new messages come first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.errors import Conflict, Invalid
from hub.inbox.analyse import analyse
from hub.inbox.service import receive
from hub.learning import reanalysis
from hub.learning.corrections import correct, find_correction, withdraw
from hub.learning.models import Reanalysis
from hub.learning.reanalysis import reanalyse, start_reanalysis, stop_reanalysis
from hub.runtime import Hub
from sentiment.types import Analysis
from tests import factories
from tests.factories import NOW, Batch, WordScorer, analysis, channel, inbound, receive_one, user
from tests.hub.conftest import Clock

HOUR = timedelta(hours=1)
# A worker that reads for ever.
STUCK = """
import sys, time
from pathlib import Path
from hub.learning.reanalysis import reanalyse
from hub.runtime import Hub
from hub.settings import Settings

class Stuck:
    name = "stuck"
    def score(self, texts):
        print("reading", flush=True)
        time.sleep(600)

hub = Hub(Settings(database_url=sys.argv[1], home=Path(sys.argv[2]), secret_key="test key"))
hub._scorer = Stuck()
reanalyse(hub)
"""


class Glad(WordScorer):
    """Another version, to which all is well, but for `poison`, which breaks it."""

    name = "glad-1"

    def __init__(self) -> None:
        self.read: list[list[str]] = []

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        self.read.append(list(texts))
        if any("poison" in text for text in texts):
            raise ZeroDivisionError
        return [
            Analysis(self.name, "en", 0.99, analysis("positive").sentiment, analysis().intents) for _ in texts
        ]


@pytest.fixture
def glad(hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Glad:
    """The version that reads again what the first has read: nine messages, an hour apart, the last now."""
    monkeypatch.setattr(reanalysis, "BATCH", 4)
    with hub.database.session() as session:
        items = tuple(
            inbound(f"bad {n}", author=f"author{n}", sent_at=NOW - (8 - n) * HOUR) for n in range(9)
        )
        receive(session, channel(session).id, Batch(items), NOW)
    while analyse(hub):
        pass
    hub._scorer = glad = Glad()
    return glad


def begin(hub: Hub, **bounds: object) -> None:
    with hub.database.session() as session:
        start_reanalysis(session, user=None, **{"since": None, "until": None, **bounds}, now=NOW)  # type: ignore[arg-type]


def job(hub: Hub) -> Reanalysis:
    with hub.database.reading() as session:
        newest = session.scalars(select(Reanalysis).order_by(Reanalysis.id.desc()).limit(1)).one()
        session.expunge(newest)
    return newest


def models(hub: Hub) -> list[str]:
    """Which version each message was read by, the oldest first."""
    with hub.database.reading() as session:
        rows = session.scalars(select(AnalysisRow.model).join(Message).order_by(Message.sent_at))
        return list(rows)


def drain(hub: Hub) -> int:
    runs = 0
    while reanalyse(hub):
        runs += 1
    return runs


def test_all_of_it_the_newest_first(hub: Hub, glad: Glad) -> None:
    begin(hub)
    assert job(hub).total == 9
    assert reanalyse(hub) == 4
    assert models(hub) == ["test-1"] * 5 + ["glad-1"] * 4
    assert (job(hub).done, job(hub).finished_at) == (4, None)
    assert drain(hub) == 2
    assert [len(texts) for texts in glad.read] == [4, 4, 1]
    assert set(models(hub)) == {"glad-1"}
    assert (job(hub).done, job(hub).skipped, job(hub).finished_at) == (9, 0, NOW)
    assert reanalyse(hub) == 0


def test_nothing_is_read_where_nobody_asked(hub: Hub, glad: Glad) -> None:
    assert reanalyse(hub) == 0
    assert glad.read == []


def test_only_what_was_sent_in_a_time(hub: Hub, glad: Glad) -> None:
    begin(hub, since=NOW - 5 * HOUR, until=NOW - 2 * HOUR)
    drain(hub)
    assert models(hub) == ["test-1"] * 3 + ["glad-1"] * 3 + ["test-1"] * 3
    assert (job(hub).done, job(hub).total) == (3, 3)


def test_waiting_conversations_are_placed_by_it(hub: Hub, glad: Glad) -> None:
    with hub.database.reading() as session:
        before = set(session.scalars(select(Conversation.weight)))
    begin(hub)
    drain(hub)
    with hub.database.reading() as session:
        after = set(session.scalars(select(Conversation.weight)))
    assert max(after) < min(before)


def test_corrections_stay(hub: Hub, glad: Glad) -> None:
    with hub.database.session() as session:
        message = session.scalars(select(Message).order_by(Message.sent_at)).first()
        assert message is not None
        made = correct(session, message, user=user(session), now=NOW, sentiment="neutral")
    begin(hub)
    drain(hub)
    with hub.database.session() as session:
        row = session.scalars(select(AnalysisRow).where(AnalysisRow.message_id == message.id)).one()
        assert (row.model, row.sentiment) == ("glad-1", "neutral")
        # What is taken back now is the new version's word.
        withdraw(session, find_correction(session, made.id), NOW)
        assert row.sentiment == "positive"


def test_a_new_message_comes_first(hub: Hub, glad: Glad) -> None:
    begin(hub)
    with hub.database.session() as session:
        chirp = session.scalars(select(factories.Channel)).one()
        receive_one(session, chirp, inbound("just now", author="eve"))
    assert reanalyse(hub) == 0
    assert analyse(hub) == 1
    assert reanalyse(hub) == 4


def test_who_dies_in_the_middle_loses_and_repeats_nothing(hub: Hub, clock: Clock, glad: Glad) -> None:
    begin(hub)
    reanalyse(hub)
    # Claimed and never stored, as after kill -9.
    assert reanalysis._claim(hub) is not None
    assert reanalyse(hub) == 0
    clock.advance(seconds=hub.settings.analysis_lease_seconds + 1)
    glad.read.clear()
    drain(hub)
    assert set(models(hub)) == {"glad-1"}
    # The one that may have been the cause goes alone, the rest together.
    assert [len(texts) for texts in glad.read] == [1, 4]
    assert job(hub).done == 9


def test_a_process_that_is_killed_leaves_its_batch_to_the_next(hub: Hub, clock: Clock, glad: Glad) -> None:
    begin(hub)
    reanalyse(hub)
    killed = subprocess.Popen(
        [sys.executable, "-c", STUCK, hub.database.url, str(hub.settings.home)],
        cwd=Path(reanalysis.__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.stdout is not None
    assert killed.stdout.readline() == "reading\n"
    killed.kill()
    killed.wait(30)
    killed.stdout.close()
    assert (job(hub).done, models(hub).count("glad-1")) == (4, 4)
    # Its lease is by its own clock.
    lease = job(hub).leased_until
    assert lease is not None
    clock.now = lease + timedelta(seconds=1)
    drain(hub)
    assert (job(hub).done, set(models(hub))) == (9, {"glad-1"})


def test_who_comes_back_late_stores_nothing(hub: Hub, clock: Clock, glad: Glad) -> None:
    class Slow(Glad):
        def score(self, texts: Sequence[str]) -> list[Analysis]:
            clock.advance(hours=1)
            hub._scorer = glad
            assert reanalyse(hub) == 1
            return super().score(texts)

    begin(hub)
    hub._scorer = Slow()
    assert reanalyse(hub) == 4
    assert (models(hub).count("glad-1"), job(hub).done) == (1, 1)


def test_what_breaks_the_model_keeps_its_analysis(hub: Hub, glad: Glad) -> None:
    with hub.database.session() as session:
        session.scalars(select(Message).where(Message.body == "bad 7")).one().body = "poison"
    begin(hub)
    drain(hub)
    assert models(hub) == ["glad-1"] * 7 + ["test-1", "glad-1"]
    assert (job(hub).done, job(hub).skipped) == (9, 1)


def test_what_kills_the_process_is_given_up(hub: Hub, clock: Clock, glad: Glad) -> None:
    begin(hub)
    for _ in range(reanalysis.ATTEMPTS):
        assert reanalysis._claim(hub) is not None
        clock.advance(seconds=hub.settings.analysis_lease_seconds + 1)
    drain(hub)
    assert models(hub) == ["glad-1"] * 8 + ["test-1"]
    assert (job(hub).done, job(hub).skipped) == (9, 1)


def test_one_at_a_time_and_it_can_be_stopped(hub: Hub, glad: Glad) -> None:
    begin(hub)
    with pytest.raises(Conflict, match="already"):
        begin(hub)
    reanalyse(hub)
    with hub.database.session() as session:
        assert stop_reanalysis(session, NOW).done == 4
    assert drain(hub) == 0
    assert job(hub).stopped
    with hub.database.session() as session, pytest.raises(Conflict, match="no messages"):
        stop_reanalysis(session, NOW)
    begin(hub)
    assert drain(hub) == 3


def test_what_is_stopped_in_the_middle_of_a_batch_stays_stopped(hub: Hub, glad: Glad) -> None:
    class Stopping(Glad):
        def score(self, texts: Sequence[str]) -> list[Analysis]:
            with hub.database.session() as session:
                stop_reanalysis(session, NOW)
            return super().score(texts)

    begin(hub)
    hub._scorer = Stopping()
    reanalyse(hub)
    assert (job(hub).done, set(models(hub))) == (0, {"test-1"})


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ({"since": NOW, "until": NOW}, "the end must come after"),
        ({"since": NOW + HOUR}, "no message came in that time"),
    ],
)
def test_a_time_in_which_nothing_is(hub: Hub, glad: Glad, bounds: dict[str, object], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        begin(hub, **bounds)
