"""What came since a cursor, what was written before, and what became of it since.

A cursor is `{"mentions": id, "tags": {tag: id}, "recent": {id: [seconds, mark]}, "checked": seconds}`: the
notification and the statuses after which to ask next, and the messages whose edits and deletions are
followed, with the mark of the edit we know.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import BadPayload, Batch, Cursor, Deleted, InboundMessage, Item
from connectors.mastodon import parse
from connectors.mastodon.client import Client
from connectors.mastodon.parse import Reader

MENTIONS = ("mention",)

_FIRST = 20
_LOOKUPS_A_MINUTE = 60  # a fifth of the 300 requests in five minutes that a server allows
_KNOWN_THREADS = 5_000
_RECENT = 120
_RECHECK_EVERY = timedelta(minutes=5)
_AT_ONCE = 20
_SPARED = 60
_ARRIVAL = timedelta(minutes=1)
_BEGINNING = "0"


class Threads:
    """What a status answers, up to the beginning of its thread."""

    def __init__(self, client: Client, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._asked: list[datetime] = []

    def of(self, status: Any) -> tuple[str, ...] | None:
        """The ids that it answers, nearest first; None where that would take one question too many now.

        Raises: RetryLater, AuthExpired.
        """
        parent = parse.answered_id(status)
        if parent is None:
            return self._learn(parse.identifier(status), ())
        if parent in self._known:
            return self._learn(parse.identifier(status), (parent, *self._known[parent]))
        own, now = parse.identifier(status), self._clock()
        self._asked = [at for at in self._asked if now - at < timedelta(minutes=1)]
        if own is None or len(self._asked) >= _LOOKUPS_A_MINUTE:
            return None
        self._asked.append(now)
        try:
            before = [parse.identifier(each) for each in self._client.ancestors(own)]
        except BadPayload:
            return None
        chain = tuple(each for each in reversed(before) if each)
        if parent not in chain:
            # Its parent is gone, or not for us to see: as far as we can tell, the thread begins with it.
            return self._learn(own, (parent, *chain))
        for place, each in enumerate(chain):
            self._learn(each, chain[place + 1 :])
        return self._learn(own, chain)

    def _learn(self, status_id: str | None, chain: tuple[str, ...]) -> tuple[str, ...]:
        if status_id is not None:
            self._known[status_id] = chain
            self._known.move_to_end(status_id)
            while len(self._known) > _KNOWN_THREADS:
                self._known.popitem(last=False)
        return chain


@dataclass
class _State:
    """The cursor, while it moves."""

    mentions: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    recent: dict[str, tuple[int, str]] = field(default_factory=dict)
    checked: int = 0

    @classmethod
    def of(cls, cursor: Cursor | None) -> _State:
        """Raises: BadPayload."""
        if cursor is None:
            return cls()
        try:
            recent = {str(key): (int(seen), str(mark)) for key, (seen, mark) in cursor["recent"].items()}
            tags = {str(tag): str(last) for tag, last in cursor["tags"].items()}
            return cls(cursor["mentions"], tags, recent, int(cursor["checked"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadPayload(
                "The stored cursor is none of this connector's; start the channel anew."
            ) from None

    def cursor(self) -> Cursor:
        newest = sorted(self.recent.items(), key=lambda each: each[1][0])[-_RECENT:]
        self.recent = dict(newest)
        return {
            "mentions": self.mentions,
            "tags": dict(self.tags),
            "recent": {key: list(value) for key, value in newest},
            "checked": self.checked,
        }


class Reading:
    """Reads as one account: `reader()` says who reads, and when."""

    def __init__(
        self,
        client: Client,
        reader: Callable[[], Reader],
        threads: Threads,
        *,
        mentions: bool,
        tags: Sequence[str],
        overlap: timedelta,
        followed: timedelta,
    ) -> None:
        self._client = client
        self._reader = reader
        self._threads = threads
        self._mentions = mentions
        self._tags = tags
        self._overlap = overlap
        self._followed = followed

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Mentions, then hashtags, oldest first; then what became of the recent ones."""
        state = _State.of(cursor)
        if self._mentions:
            yield from self._new(state, None)
        for tag in self._tags:
            yield from self._new(state, tag)
        yield from self._changes(state)

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """The same sources, newest first, until `since`; the cursor says how far down each is."""
        sources: list[str | None] = [*([None] if self._mentions else []), *self._tags]
        down: dict[str, str] = {str(key): str(value) for key, value in (cursor or {}).get("down", {}).items()}
        done: list[str] = [str(each) for each in (cursor or {}).get("done", [])]
        for tag in sources:
            name = _name(tag)
            while name not in done:
                page = self._page(tag, before=down.get(name))
                last = next((i for record in reversed(page) if (i := parse.identifier(record))), None)
                wanted = [each for each in page if not self._is_before(each, since)]
                if last is None or len(wanted) < len(page) or last == down.get(name):
                    done.append(name)
                else:
                    down[name] = last
                items = [item for record in wanted if (item := self.item(record, tag)) is not None]
                yield Batch(tuple(items), {"down": dict(down), "done": list(done)})

    def item(self, record: Any, tag: str | None) -> Item | None:
        """A notification (without `tag`), or a status overheard by its hashtag; None for our own words."""
        reader = self._reader()
        status = record.get("status") if tag is None and isinstance(record, dict) else record
        if reader.own_id is not None and parse.author_id(status) == reader.own_id:
            return None
        where = f"{_name(tag)}: {parse.identifier(record) or 'without id'}"
        ancestors = self._threads.of(status)
        return parse.message(status, reader, ancestors=ancestors, overheard=tag is not None, where=where)

    def _new(self, state: _State, tag: str | None) -> Iterator[Batch]:
        known = state.mentions if tag is None else state.tags.get(tag)
        first, after = known is None, known
        while True:
            page = self._page(tag, after=after, limit=_FIRST) if first else self._page(tag, after=after)
            page.reverse()
            ids = [each for record in page if (each := parse.identifier(record))]
            self._resume_at(state, tag, page, ids)
            yield Batch(tuple(self._items(state, page, tag)), state.cursor())
            if first or not ids or ids[-1] == after:
                return
            after = ids[-1]

    def _items(self, state: _State, page: Iterable[Any], tag: str | None) -> Iterator[Item]:
        for record in page:
            item = self.item(record, tag)
            if item is None:
                continue
            yield item
            if isinstance(item, InboundMessage):
                status = record.get("status") if tag is None else record
                yield from self._seen(state, status, item)

    def _seen(self, state: _State, status: Mapping[str, Any], item: InboundMessage) -> Iterator[Item]:
        """Follow it from now on; and where it was edited, say so: we may have it as it was before."""
        mark = parse.edit_mark(status)
        before = state.recent.get(item.external_id, (0, ""))
        if mark != before[1]:
            yield parse.edit(status, self._reader(), where=f"status {item.external_id}")
        written = item.sent_at or self._reader().now
        if self._reader().now - written < self._followed:
            state.recent[item.external_id] = (int(written.timestamp()), mark)

    def _resume_at(self, state: _State, tag: str | None, page: Sequence[Any], ids: Sequence[str]) -> None:
        """Where to ask on next time: not after the very last. A status that comes late is sorted in before
        those that are here, and a notification may be stored a moment after the one that follows it."""
        known = state.mentions if tag is None else state.tags.get(tag)
        now = self._reader().now
        settled = now - (_ARRIVAL if tag is None else self._overlap)
        old = [
            found
            for record in page
            if (found := parse.identifier(record)) and (parse.written_at(record, now) or now) <= settled
        ]
        resume = old[-1] if old else known if known is not None else ids[0] if ids else _BEGINNING
        if tag is None:
            state.mentions = resume
        else:
            state.tags[tag] = resume

    def _page(self, tag: str | None, **place: Any) -> list[Any]:
        if tag is None:
            return self._client.notifications(MENTIONS, **place)
        return self._client.tagged(tag, **place)

    def _is_before(self, record: Any, since: datetime) -> bool:
        written = parse.written_at(record, self._reader().now)
        return written is not None and written < since

    def _changes(self, state: _State) -> Iterator[Batch]:
        """Edits and deletions of the messages followed, every few minutes, where the budget has room."""
        now = self._reader().now
        oldest = int((now - self._followed).timestamp())
        state.recent = {key: seen for key, seen in state.recent.items() if seen[0] > oldest}
        if now - datetime.fromtimestamp(state.checked, UTC) < _RECHECK_EVERY or not self._has_room():
            return
        ids = list(state.recent) if state.checked else []
        state.checked = int(now.timestamp())
        for begin in range(0, len(ids), _AT_ONCE):
            items = list(self._changed(state, ids[begin : begin + _AT_ONCE]))
            if items:
                yield Batch(tuple(items), state.cursor())
        yield Batch((), state.cursor())

    def _has_room(self) -> bool:
        left = [each.remaining for each in self._client.budgets() if each.name == "requests"]
        return not left or left[0] is None or left[0] >= _SPARED

    def _changed(self, state: _State, ids: Sequence[str]) -> Iterator[Item]:
        together = self._client.statuses(ids)
        found = {parse.identifier(status): status for status in together or ()}
        for status_id in ids:
            # Missing among many may have other reasons; it is gone if it is not there by itself either.
            status = found.get(status_id) or self._client.status(status_id)
            if status is None:
                del state.recent[status_id]
                yield Deleted(status_id)
                continue
            seconds, known = state.recent[status_id]
            mark = parse.edit_mark(status)
            if mark != known:
                state.recent[status_id] = (seconds, mark)
                yield parse.edit(status, self._reader(), where=f"status {status_id}")


def _name(tag: str | None) -> str:
    return "mentions" if tag is None else f"#{tag}"
