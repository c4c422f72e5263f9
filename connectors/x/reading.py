"""Walks through X's lists from new to old, a page at a time, in a way that can be taken up again.

X gives the newest first. What was paid for is kept: each page goes out as it comes, with a state from which
the walk goes on to older ones; only at its end does the place where the next walk stops move up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

State = Mapping[str, Any]
"""`since`: all up to this id was read. During a walk `newest`, the id it began with, and `next`, where it is:
the id above which all was read, or for direct messages X's token."""

Page = Mapping[str, Any]

_EPOCH_MS = 1_288_834_974_657
# X finds a post a little after it was made, and not strictly in the order of the ids.
_SETTLED = timedelta(seconds=30)
_RECENT = timedelta(days=7) - timedelta(minutes=2)
_FIRST_POSTS = 10
_FIRST_MESSAGES = 20
_PAGE = 100
_NOTHING_BEFORE = "1"


@dataclass(frozen=True, slots=True)
class Source:
    """One list of X's: `ask` gets a page with the given parameters.

    `recent` is True where X refuses to look further back than seven days, `overheard` where nobody has
    written to the brand, and `private` for direct messages.
    """

    name: str
    ask: Callable[..., Page]
    recent: bool = False
    overheard: bool = False
    private: bool = False


def id_at(when: datetime) -> int:
    """The smallest id that a post of this moment can have: ids hold the time in milliseconds."""
    return max(1, (int(when.timestamp() * 1000) - _EPOCH_MS) << 22)


def time_of(number: str) -> datetime:
    """When the post with this id was made."""
    return datetime.fromtimestamp(((int(number) >> 22) + _EPOCH_MS) / 1000, UTC)


def ids(page: Page) -> list[int]:
    """The ids on a page."""
    data = page.get("data")
    return [
        int(value["id"])
        for value in (data if isinstance(data, list) else [])
        if isinstance(value, dict) and isinstance(value.get("id"), str) and value["id"].isdecimal()
    ]


def news(source: Source, state: State, now: datetime) -> Iterator[tuple[Page, State]]:
    """The pages of what is new, each with the state to keep after it. The first time one small page."""
    while True:
        first = state.get("since") is None
        params = _page(source, state.get("next"), first)
        oldest = None
        if not first and not source.private:
            oldest = _bounded(source, params, state["since"], now)
        if oldest is not None and state.get("next") and time_of(state["next"]) <= oldest:
            page: Page = {}
        else:
            page = source.ask(**params)
        if source.private and not first:
            page = _newer(page, int(state["since"]))
        found = ids(page)
        newest = state.get("newest") or (str(max(found)) if found else state.get("since"))
        following = _following(source, page, found)
        if first or following is None:
            yield page, {"since": _settled(newest, now) if newest else _NOTHING_BEFORE}
            return
        state = {"since": state["since"], "newest": newest, "next": following}
        yield page, state


def history(
    source: Source, since: datetime, following: str | None, now: datetime
) -> Iterator[tuple[Page, str | None]]:
    """The pages from now, or from where `following` says, back to `since`; each with where it goes on."""
    while True:
        params = _page(source, following, first=False)
        begin = max(since, now - _RECENT) if source.recent else since
        if not source.private:
            params["start_time"] = begin
            if following is not None and time_of(following) <= begin:
                return
        page = source.ask(**params)
        if source.private:
            page = _newer(page, id_at(since))
        following = _following(source, page, ids(page))
        yield page, following
        if following is None:
            return


def _page(source: Source, following: str | None, first: bool) -> dict[str, Any]:
    size = _PAGE if not first else _FIRST_MESSAGES if source.private else _FIRST_POSTS
    params: dict[str, Any] = {"max_results": size}
    if following is not None:
        params["pagination_token" if source.private else "until_id"] = following
    return params


def _bounded(source: Source, params: dict[str, Any], since: str, now: datetime) -> datetime | None:
    """Say where the walk ends; where X would refuse so old an id, at the oldest moment that it takes."""
    oldest = now - _RECENT
    if source.recent and time_of(since) < oldest:
        params["start_time"] = oldest
        return oldest
    params["since_id"] = since
    return None


def _newer(page: Page, than: int) -> Page:
    """X has no lower end for direct messages: what is older is cut off here, and ends the walk."""
    data = page.get("data")
    if not isinstance(data, list):
        return page
    kept = [
        value
        for value in data
        if not (isinstance(value, dict) and str(value.get("id")).isdecimal() and int(value["id"]) <= than)
    ]
    return {**page, "data": kept} if len(kept) == len(data) else {**page, "data": kept, "meta": {}}


def _following(source: Source, page: Page, found: list[int]) -> str | None:
    meta = page.get("meta")
    token = meta.get("next_token") if isinstance(meta, Mapping) else None
    if not isinstance(token, str) or not token:
        return None
    if source.private:
        return token
    return str(min(found)) if found else None


def _settled(newest: str, now: datetime) -> str:
    return str(min(int(newest), id_at(now - _SETTLED)))
