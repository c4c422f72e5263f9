"""What is read of Reddit, and how far: the listings of a channel, and a place in each of them.

A listing begins with the newest and has no cursor that survives a deletion (`before` gives nothing once its
thing is gone), so a place is a time, and the names seen around it: a search shows a submission minutes late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from praw.endpoints import API_PATH

from connectors.base import BadPayload
from connectors.reddit import parse
from connectors.reddit.client import RedditClient

OVERLAP_SECONDS = 600.0
MAX_PAGES = 10  # of a hundred: Reddit gives no more of any listing
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Source:
    """One listing. `key` names it in the cursor; `own` are those of the account itself, without which a
    channel is of no use."""

    key: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    addressed: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """How far a listing was read: up to `at` (seconds since 1970), and the names `seen` around it. A thing
    without a time is remembered as long as the place."""

    at: float
    seen: Mapping[str, float | None] = field(default_factory=dict)

    def past(self, things: Sequence[Any]) -> Place:
        """The place behind these."""
        marks = dict(parse.mark(thing) for thing in things)
        at = max([self.at, *(created for created in marks.values() if created is not None)])
        seen = {**self.seen, **marks}
        kept = {name: made for name, made in seen.items() if made is None or made >= at - OVERLAP_SECONDS}
        return Place(at, kept)

    def stored(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"at": self.at, "seen": dict(self.seen)}


def stored_place(found: Any) -> Place:
    """Out of a cursor. Raises: BadPayload."""
    if isinstance(found, dict) and isinstance(found.get("at"), int | float):
        seen = found.get("seen")
        if isinstance(seen, dict):
            return Place(float(found["at"]), seen)
    raise BadPayload("The stored cursor is not one of a reddit channel.")


def sources(
    me: str, searches: Sequence[str], subreddits: Sequence[str], watched: Sequence[str]
) -> tuple[Source, ...]:
    """What is written to the account, what it writes itself, then what others say."""
    where = "+".join(subreddits)
    restricted = "true" if subreddits else "false"
    return (
        Source("inbox", API_PATH["inbox"], addressed=True, own=True),
        comments_of(me),
        SENT,
        *(
            Source(
                f"search:{where}:{query}",
                API_PATH["search"].format(subreddit=where or "all"),
                {"q": query, "sort": "new", "t": "all", "restrict_sr": restricted, "type": "link"},
            )
            for query in searches
        ),
        *(Source(f"r/{name}/{what}", f"r/{name}/{what}") for name in watched for what in ("new", "comments")),
    )


SENT = Source("sent", API_PATH["sent"], addressed=True, own=True)


def comments_of(me: str) -> Source:
    """The account's own comments."""
    return Source("own", f"{API_PATH['user'].format(user=me)}comments", {"sort": "new"}, True, True)


def news(client: RedditClient, source: Source, place: Place) -> Iterator[tuple[list[Any], Place]]:
    """What is new since a place, oldest first, in steps; each with the place behind it.

    The whole listing is read before the first step, as it begins with the newest.
    """
    found: dict[str, tuple[float, Any]] = {}
    earliest = place.at - OVERLAP_SECONDS
    after: str | None = None
    for _ in range(MAX_PAGES):
        page = client.listing(source.path, source.params, after)
        older = False
        for thing in page.things:
            name, created = parse.mark(thing)
            older = older or (created is not None and created < earliest)
            if name not in place.seen and (created is None or created >= earliest):
                found.setdefault(name, (created or 0.0, thing))
        after = page.after
        if older or after is None:
            break
    things = [thing for _, thing in sorted(found.values(), key=lambda each: each[0])]
    for first in range(0, len(things), _BATCH):
        step = things[first : first + _BATCH]
        place = place.past(step)
        yield step, place


def history(
    client: RedditClient, source: Source, after: str | None, since: float
) -> Iterator[tuple[list[Any], str | None]]:
    """A listing from `after` back to `since`, newest first; each page with the name to go on after, None
    where it ends."""
    while True:
        page = client.listing(source.path, source.params, after)
        made = [created for _, created in map(parse.mark, page.things) if created is not None]
        after = page.after if made and min(made) >= since else None
        yield [thing for thing in page.things if (parse.mark(thing)[1] or since) >= since], after
        if after is None:
            return
