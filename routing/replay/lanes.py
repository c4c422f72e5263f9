"""Who waits, by lanes: however long the queue, the first that somebody can answer heads a lane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", int, tuple[datetime, int])


class Lanes(Generic[K]):
    """A heap for each lane, of keys that stand for who waits and say their order.

    Where nobody asks for lanes, all are in the one that is None.
    """

    def __init__(self) -> None:
        self._heaps: defaultdict[int | None, list[K]] = defaultdict(list)
        # Where those wait who were moved: what is left of them in another lane is passed over.
        self._moved: dict[K, int] = {}

    def heap(self, lane: int | None) -> list[K]:
        """The heap of a lane out of which nothing is moved."""
        return self._heaps[lane]

    def push(self, key: K, lane: int | None) -> None:
        heappush(self._heaps[lane], key)

    def fill(self, keys: Iterable[tuple[K, int | None]]) -> None:
        """Put in many, which come in their order; for lanes without anybody."""
        for key, lane in keys:
            self._heaps[lane].append(key)

    def move(self, key: K, lane: int) -> None:
        """From the lane in which it is to another one."""
        self._moved[key] = lane
        heappush(self._heaps[lane], key)

    def first(self, lanes: Sequence[int] | None) -> K | None:
        """The first of these lanes, None where nobody waits in them."""
        if lanes is None:
            waiting = self._heaps[None]
            return waiting[0] if waiting else None
        heads = [head for lane in lanes if (head := self._head(lane)) is not None]
        return min(heads, default=None)

    def pop(self, lanes: Sequence[int] | None) -> K:
        """Remove the first of these lanes."""
        if lanes is None:
            return heappop(self._heaps[None])
        _, lane = min((head, lane) for lane in lanes if (head := self._head(lane)) is not None)
        return heappop(self._heaps[lane])

    def waits(self, lanes: Sequence[int]) -> bool:
        """Whether anybody waits in these lanes."""
        return any(self._head(lane) is not None for lane in lanes)

    def _head(self, lane: int) -> K | None:
        waiting = self._heaps[lane]
        while waiting and self._moved.get(waiting[0], lane) != lane:
            heappop(waiting)
        return waiting[0] if waiting else None
