"""Lists read page by page, for commands that show some rows to people and all of them to programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import typer

if TYPE_CHECKING:
    from hub.paging import Page

Row = TypeVar("Row")
SHOWN = 50
PAGE = 500

LimitOption = Annotated[
    int | None,
    typer.Option(min=0, show_default=f"{SHOWN}; all with --json", help="How many at most; 0 for all."),
]
CursorOption = Annotated[str, typer.Option(help="Go on where an earlier list ended; it says how.")]


class Paged(Generic[Row]):
    """Reads rows by `fetch(cursor, limit)`; after `rows`, `next_cursor` is where another call goes on."""

    def __init__(self, fetch: Callable[[str | None, int], Page[Row]], cursor: str) -> None:
        self._fetch = fetch
        self.next_cursor = cursor or None

    def rows(self, limit: int | None, as_json: bool) -> Iterator[Row]:
        """The rows: as many as `limit` says, else all for programs and the first for people."""
        if limit is None:
            limit = 0 if as_json else SHOWN
        given = 0
        while not limit or given < limit:
            page = self._fetch(self.next_cursor, min(limit - given, PAGE) if limit else PAGE)
            self.next_cursor = page.next_cursor
            yield from page.items
            given += len(page.items)
            if page.next_cursor is None:
                return
