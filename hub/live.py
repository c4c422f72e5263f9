"""The live stream: open pages learn within a second that something changed, whichever process changed it.

One thread of each web process asks the database twice a second which conversations changed. A transaction may
commit later than one that began after it, so each look goes back some seconds and knows what it has told
already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from threading import Event, Thread

from sqlalchemy import select

from hub import log
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.database import Database

logger = log.get(__name__)
EVERY_SECONDS = 0.4
LOOK_BACK = timedelta(seconds=15)
MANY = 1000
KEEP_ALIVE_SECONDS = 15.0
RECONNECT_MS = 1000
"""How long a browser waits before it opens a lost stream again; by itself it takes three seconds."""
AWAY_PAUSE_SECONDS = 2.0

Seen = dict[int, datetime]


class LiveChanges:
    """Tells listeners which conversations changed; an empty set means: too many to name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[asyncio.Queue[frozenset[int] | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="live", daemon=True)

    def start(self) -> None:
        """Begin to watch; to be called where the event loop runs."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End the watch, and every stream."""
        self._stop.set()
        self._thread.join(5)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, None)

    async def changes(self) -> AsyncIterator[frozenset[int] | None]:
        """Sets of changed conversation ids as they come; None from time to time, to keep the line open."""
        queue: asyncio.Queue[frozenset[int] | None] = asyncio.Queue(maxsize=100)
        self._listeners.add(queue)
        try:
            while not self._stop.is_set():
                try:
                    yield await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield None
        finally:
            self._listeners.discard(queue)

    def _watch(self) -> None:
        # The first look tells all it sees: what changed while this process started is news to its pages.
        seen: Seen = {}
        while not self._stop.wait(EVERY_SECONDS):
            try:
                recent = self._recent()
            except Exception:
                logger.exception("live_failed")
                self._stop.wait(AWAY_PAUSE_SECONDS)
                continue
            changed = frozenset(key for key, at in recent.items() if seen.get(key) != at)
            seen = recent
            if changed and self._loop is not None and self._listeners:
                told = frozenset[int]() if len(recent) >= MANY else changed
                self._loop.call_soon_threadsafe(self._tell, told)

    def _recent(self) -> Seen:
        with self._database.reading() as session:
            rows = session.execute(
                select(Conversation.id, Conversation.updated_at)
                .where(Conversation.updated_at > utcnow() - LOOK_BACK)
                .order_by(Conversation.updated_at.desc(), Conversation.id.desc())
                .limit(MANY)
            )
            return dict(rows.all())

    def _tell(self, changed: frozenset[int] | None) -> None:
        for queue in list(self._listeners):
            if queue.full():
                # Who reads so slowly has missed something: one word for all of it.
                while not queue.empty():
                    queue.get_nowait()
                changed = frozenset() if changed is not None else None
            queue.put_nowait(changed)
