"""Open pages learn within a second what changed, whoever changed it and however late it was committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from hub import live
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.database import Database
from hub.live import LiveChanges
from hub.runtime import Hub
from tests.factories import channel, inbound, receive_one

# The hub looks more than twice a second; a busy machine may need longer to come round to it.
assert live.EVERY_SECONDS < 0.5
SECONDS = 10.0
LONG_AGO = timedelta(hours=1)


@pytest.fixture
def ids(hub: Hub) -> list[int]:
    """Three conversations that changed long ago."""
    with hub.database.session() as session:
        chirp = channel(session)
        made = [receive_one(session, chirp, inbound(author=f"writer {n}")).conversation_id for n in range(3)]
        session.execute(update(Conversation).values(updated_at=utcnow() - LONG_AGO))
    return made


@pytest.fixture
def elsewhere(hub: Hub) -> Iterator[Database]:
    """The same database, as another process has it."""
    database = Database(hub.database.url)
    yield database
    database.close()


def touch(database: Database, *ids: int, ago: float = 0.0) -> None:
    with database.session() as session:
        changed = update(Conversation).where(Conversation.id.in_(ids))
        session.execute(changed.values(updated_at=utcnow() - timedelta(seconds=ago)))


@asynccontextmanager
async def listening(hub: Hub) -> AsyncIterator[Callable[[], AsyncIterator[frozenset[int] | None]]]:
    changes = LiveChanges(hub.database)
    changes.start()
    try:
        yield changes.changes
    finally:
        await asyncio.to_thread(changes.stop)


async def heard(stream: AsyncIterator[frozenset[int] | None]) -> frozenset[int] | None:
    return await asyncio.wait_for(anext(stream), SECONDS)


async def open_stream(
    changes: Callable[[], AsyncIterator[frozenset[int] | None]],
) -> tuple[AsyncIterator[frozenset[int] | None], asyncio.Task[frozenset[int] | None]]:
    """A stream, and its first word to come."""
    stream = changes()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    return stream, first


def test_a_change_by_another_process_is_told_to_everybody(
    hub: Hub, elsewhere: Database, ids: list[int]
) -> None:
    async def story() -> None:
        async with listening(hub) as changes:
            one, first = await open_stream(changes)
            two, second = await open_stream(changes)
            await asyncio.to_thread(touch, elsewhere, ids[0])
            assert await asyncio.wait_for(asyncio.gather(first, second), SECONDS) == [frozenset(ids[:1])] * 2
            await asyncio.to_thread(touch, elsewhere, *ids[1:])
            assert await heard(one) == await heard(two) == frozenset(ids[1:])

    asyncio.run(story())


def test_a_commit_that_comes_late_is_not_missed(hub: Hub, elsewhere: Database, ids: list[int]) -> None:
    """Its transaction began, and took its time, before another one that was told already."""

    async def story() -> None:
        async with listening(hub) as changes:
            stream, first = await open_stream(changes)
            await asyncio.to_thread(touch, elsewhere, ids[0])
            assert await asyncio.wait_for(first, SECONDS) == frozenset(ids[:1])
            await asyncio.to_thread(touch, elsewhere, ids[1], ago=10)
            assert await heard(stream) == frozenset({ids[1]})
            # And of one row twice, the older moment last.
            await asyncio.to_thread(touch, elsewhere, ids[0], ago=5)
            assert await heard(stream) == frozenset(ids[:1])

    asyncio.run(story())


def test_too_much_to_name_is_told_in_one_word(
    hub: Hub, elsewhere: Database, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MANY", 3)

    async def story() -> None:
        async with listening(hub) as changes:
            _, first = await open_stream(changes)
            await asyncio.to_thread(touch, elsewhere, *ids)
            assert await asyncio.wait_for(first, SECONDS) == frozenset()

    asyncio.run(story())


def test_who_reads_slowly_is_told_that_something_changed(hub: Hub, ids: list[int]) -> None:
    async def story() -> None:
        changes = LiveChanges(hub.database)
        stream, first = await open_stream(changes.changes)
        for _ in range(1000):
            changes._tell(frozenset(ids))
        told = [await first]
        while frozenset() not in told:
            told.append(await heard(stream))
        assert len(told) < 200

    asyncio.run(story())


def test_a_silent_line_is_kept_open(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE_SECONDS", 0.01)

    async def story() -> None:
        async with listening(hub) as changes:
            stream = changes()
            assert [await heard(stream) for _ in range(3)] == [None, None, None]

    asyncio.run(story())


def test_streams_end_with_the_process(hub: Hub) -> None:
    async def story() -> None:
        async with listening(hub) as changes:
            stream, first = await open_stream(changes)
        assert await asyncio.wait_for(first, SECONDS) is None
        with pytest.raises(StopAsyncIteration):
            await heard(stream)

    asyncio.run(story())


def test_the_watch_survives_a_database_that_is_away(
    hub: Hub, elsewhere: Database, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its first look on, too."""
    away = iter([True, True])

    class Flaky(LiveChanges):
        def _recent(self) -> live.Seen:
            if next(away, False):
                raise OperationalError("SELECT", {}, Exception("away"))
            return super()._recent()

    monkeypatch.setattr(live, "AWAY_PAUSE_SECONDS", 0.01)

    async def story() -> None:
        changes = Flaky(hub.database)
        changes.start()
        try:
            _, first = await open_stream(changes.changes)
            for number in range(40):
                await asyncio.to_thread(touch, elsewhere, ids[number % 3])
                if (await asyncio.wait([first], timeout=0.1))[0]:
                    return
            raise AssertionError("nothing was told")
        finally:
            await asyncio.to_thread(changes.stop)

    asyncio.run(story())


def test_what_changed_long_ago_is_no_news(hub: Hub, ids: list[int]) -> None:
    assert LiveChanges(hub.database)._recent() == {}
    touch(hub.database, ids[0])
    assert set(LiveChanges(hub.database)._recent()) == {ids[0]}
