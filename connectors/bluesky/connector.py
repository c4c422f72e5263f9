"""A brand's account on Bluesky: who writes to it or about it, and its replies."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, HttpUrl, NonNegativeInt, PositiveFloat, SecretStr

from connectors.base import (
    BadPayload,
    Batch,
    Budget,
    ChannelKind,
    Config,
    Connector,
    Cursor,
    Deleted,
    InboundMessage,
    Item,
    Media,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
)
from connectors.bluesky import outgoing, parse, richtext
from connectors.bluesky.client import BlueskyClient, error_name
from connectors.bluesky.parse import Profile
from connectors.bluesky.stream import URLS, Event, opened
from connectors.media import MediaHosts

_PAGE = 100
_AT_ONCE = 25  # how many posts or profiles one question may name
_MOST_PAGES = 200  # kept in memory at once; what is newer is asked for again
_FIRST = {"notifications": timedelta(days=1), "posts": timedelta(hours=1)}
_RECHECK_AFTER = timedelta(minutes=5)
_LONGEST_REPLAY = timedelta(hours=1)
_REPLAY_OVERLAP = timedelta(seconds=10)
_REASONS = ["mention", "reply", "quote"]
_KNOWN_POSTS = 10_000
_KNOWN_PEOPLE = 5_000
_QUIET_SECONDS = 5.0
_LOOK_UP_SECONDS = 0.5


class BlueskyConfig(Config):
    """Settings of a `bluesky` channel; the README explains each."""

    handle: str | None = Field(default=None, description="The account's handle, as acme.example.")
    app_password: SecretStr | None = Field(default=None, description="An app password of this account.")
    service_url: HttpUrl = Field(
        default=HttpUrl("https://bsky.social"), description="The server that the account is at."
    )
    terms: tuple[str, ...] = Field(
        default=(), max_length=50, description="Words and phrases to listen for in everybody's posts."
    )
    stream_format: Literal["jetstream", "jetstream-v1", "firehose", "off"] = Field(
        default="jetstream", description="What is listened to between fetches, if anything."
    )
    stream_url: str | None = Field(
        default=None, pattern=r"^wss?://\S+$", description="Where the stream is; none: Bluesky's own."
    )
    media_url: HttpUrl = Field(
        default=HttpUrl(parse.MEDIA_URL), description="Where Bluesky shows the pictures of posts."
    )
    overlap_minutes: NonNegativeInt = Field(
        default=10, description="How far back each fetch looks again, for posts that are listed late."
    )
    recheck_posts: int = Field(
        default=100, ge=0, le=1_000, description="How many of the newest posts are looked after for deletion."
    )
    timeout_seconds: PositiveFloat = Field(default=20.0, description="For connecting, and for each wait.")


class _Source(NamedTuple):
    """A listing, newest first: its name in a cursor, the method, what it lists, and what is asked with it."""

    name: str
    method: str
    rows: str
    params: Mapping[str, Any]


class BlueskyConnector(Connector):
    """Brings mentions, replies, quotes and what is said about the brand's terms; posts replies."""

    name: ClassVar[str] = "bluesky"
    kind: ClassVar[ChannelKind] = "social"
    config_type: ClassVar[type[Config]] = BlueskyConfig
    max_length: ClassVar[int | None] = richtext.MAX_GRAPHEMES
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "done",
        "push": "done",
        "backfill": "done",
        "threads": "done",
        "profile": "done",
        "edits": "exempt: posts on Bluesky cannot be changed",
        "deletions": "done",
        "attachments": "done",
        "send": "done",
        "media": "done",
        "length": "done",
        "idempotent": "done",
        "budget": "done",
        "auth": "done",
        "tickets": "exempt: a post has neither",
    }
    steps: ClassVar[tuple[str, ...]] = (
        "Sign in at [bsky.app](https://bsky.app) as the account that answers for the brand.",
        "Open **Settings**, **Privacy and security**, **App passwords**, and choose **Add app password**.",
        "Name it `hub`, leave access to direct messages off, and copy what is shown: it is shown once.",
        "Enter it here with the account's handle, without the @.",
    )

    def __init__(
        self, config: BlueskyConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._clock = clock
        self._overlap = timedelta(minutes=config.overlap_minutes)
        self._terms = _any_of(config.terms)
        self._people: dict[str, Profile] = {}
        self._client: BlueskyClient | None = None
        if config.handle and config.app_password:
            self._client = BlueskyClient(
                str(config.service_url),
                config.handle.strip().removeprefix("@"),
                config.app_password.get_secret_value(),
                config.timeout_seconds,
                clock,
            )

    def check(self) -> str:
        """Sign in and say as whom."""
        client = self._account()
        people = self._looked_up(client, [client.did])
        followers = people[client.did].followers if client.did in people else None
        reach = f" ({followers:,} followers)" if followers is not None else ""
        terms = f", listens for {', '.join(self._config.terms)}" if self._config.terms else ""
        return f"reads what is written to @{client.handle}{reach}{terms}"

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Yield what was deleted, and what notifications and searches list since `cursor`, oldest first."""
        client = self._account()
        began = self._clock()
        state: dict[str, Any] = dict(cursor or {})
        state["low"] = dict(state.get("low") or {})
        state["recent"] = list(state.get("recent") or [])
        checked_at = _moment(state.get("rechecked_at"))
        gone: tuple[Item, ...] = ()
        if checked_at is None or began - checked_at >= _RECHECK_AFTER:
            gone = tuple(self._deleted(client, state["recent"]))
            known = {each.external_id for each in gone if isinstance(each, Deleted)}
            state["recent"] = [uri for uri in state["recent"] if uri not in known]
            state["rechecked_at"] = began.isoformat()
        state["at"] = began.isoformat()
        yield Batch(gone, _copied(state))
        for source in self._sources():
            yield from self._caught_up(client, source, state)

    @property
    def fetches(self) -> bool:
        """Whether there is an account."""
        return self._client is not None

    @property
    def backfills(self) -> bool:
        """Whether there is an account."""
        return self._client is not None

    @property
    def streams(self) -> bool:
        """Whether there is an account and a stream to listen to."""
        return self._client is not None and self._config.stream_format != "off"

    def stream(self, cursor: Cursor | None, stop: Callable[[], bool]) -> Iterator[Batch]:
        """Yield posts to us, posts with our terms, and deletions of what is known, as they happen.

        Batches carry no cursor: a fetch covers the same posts, and its cursor holds the time it began, from
        which Jetstream repeats what came since (an hour at most). A firehose begins where it is.
        """
        stream_format = self._config.stream_format
        if stream_format == "off":
            return
        client, me = self._account(), self._account().did
        known = deque((cursor or {}).get("recent") or (), maxlen=_KNOWN_POSTS)
        since = _moment((cursor or {}).get("at"))
        if since is not None:
            since = max(since - _REPLAY_OVERLAP, self._clock() - _LONGEST_REPLAY)
        url = self._config.stream_url or URLS[stream_format]
        with opened(url, stream_format, since, self._config.timeout_seconds) as line:
            yield Batch(())
            told_at = self._clock()
            while not stop():
                items = self._happened(client, me, line.read(_LOOK_UP_SECONDS), known)
                if items or (self._clock() - told_at).total_seconds() >= _QUIET_SECONDS:
                    yield Batch(items)
                    told_at = self._clock()

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """Yield what the listings have since `since`, newest first; the cursor names listing and page."""
        client = self._account()
        sources = self._sources()
        index, page = int((cursor or {}).get("source", 0)), (cursor or {}).get("page")
        while index < len(sources):
            source = sources[index]
            rows, page = self._page(client, source, page, since)
            wanted = [row for row in rows if _not_before(row, since)]
            if page is None or len(wanted) < len(rows):
                index, page = index + 1, None
            yield Batch(self._read(client, wanted, source.name), {"source": index, "page": page})

    def budgets(self) -> tuple[Budget, ...]:
        """What Bluesky's `ratelimit-*` headers said last about reading, writing and signing in."""
        return self._client.budgets() if self._client is not None else ()

    def download(self, url: str, max_bytes: int) -> Media:
        """From where Bluesky shows pictures. Raises: RetryLater, Refused."""
        shown_at = self._config.media_url
        hosts = MediaHosts([shown_at.host or ""], str(shown_at))
        return hosts.fetch(url, max_bytes, self._config.timeout_seconds)

    def length(self, text: str) -> int:
        """Grapheme clusters, as Bluesky counts; what has many bytes counts for more (see the README)."""
        return richtext.length(text)

    @property
    def replies(self) -> bool:
        """Whether there is an account to reply as."""
        return self._client is not None

    def send(self, message: OutboundMessage) -> Sent:
        """Write the reply under a key made of its idempotency key; what is there already is left as it is."""
        client = self._way_out()
        uri = outgoing.uri_of(client.did, message)
        written = outgoing.record(message, client, self._clock())
        try:
            client.post(
                "com.atproto.repo.putRecord",
                {
                    "repo": client.did,
                    "collection": parse.POSTS,
                    "rkey": outgoing.record_key(message),
                    "record": written,
                    "swapRecord": None,  # only where there is none
                },
            )
        except Refused as error:
            if error_name(error.__cause__) != "InvalidSwap":
                raise
        return Sent(uri)

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Ask our own server for the record that this reply would be. Raises: AuthExpired, OutcomeUnknown."""
        if self._client is None:
            raise OutcomeUnknown("This channel has no account; set handle and app_password.")
        try:
            found = self._client.get(
                "com.atproto.repo.getRecord",
                repo=self._client.did,
                collection=parse.POSTS,
                rkey=outgoing.record_key(message),
            )
        except (BadPayload, RetryLater) as error:
            if error_name(error.__cause__) == "RecordNotFound":
                return None
            raise OutcomeUnknown(f"Bluesky does not say whether it has this reply: {error}") from error
        return Sent(str(found.get("uri") or outgoing.uri_of(self._client.did, message)))

    def close(self) -> None:
        """Give the connections back; the session stays for the next connector."""
        if self._client is not None:
            self._client.close()

    def _account(self) -> BlueskyClient:
        if self._client is None:
            raise BadPayload("This channel has no account; set handle and app_password.")
        return self._client

    def _way_out(self) -> BlueskyClient:
        if self._client is None:
            raise Refused("This channel has no account to reply as; set handle and app_password.")
        return self._client

    def _sources(self) -> list[_Source]:
        search, notifications = "app.bsky.feed.searchPosts", "app.bsky.notification.listNotifications"
        return [
            _Source("notifications", notifications, "notifications", {"reasons": _REASONS}),
            *(
                _Source(f"search {term}", search, "posts", {"q": _query(term), "sort": "latest"})
                for term in self._config.terms
            ),
        ]

    def _page(
        self, client: BlueskyClient, source: _Source, page: str | None, since: datetime
    ) -> tuple[list[Any], str | None]:
        """One page of a listing, newest first, and how to ask for the next; None at its end."""
        params = dict(source.params)
        if source.rows == "posts":
            params["since"] = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        answer = client.get(source.method, limit=_PAGE, cursor=page, **params)
        rows = parse.rows(answer, source.rows)
        following = answer.get("cursor")
        return rows, following if isinstance(following, str) and following and rows else None

    def _caught_up(self, client: BlueskyClient, source: _Source, state: dict[str, Any]) -> Iterator[Batch]:
        """What a listing has since the time in `state`, oldest first; `state` goes along."""
        whole = False
        while not whole:
            low = _moment(state["low"].get(source.name))
            floor = self._clock() - _FIRST[source.rows] if low is None else low - self._overlap
            pages: deque[list[Any]] = deque(maxlen=_MOST_PAGES)
            whole, page, more = True, None, True
            while more:
                rows, page = self._page(client, source, page, floor)
                wanted = [row for row in rows if _not_before(row, floor)]
                whole = whole and len(pages) < _MOST_PAGES
                pages.append(wanted)
                more = page is not None and len(wanted) == len(rows)
            found = [row for rows in reversed(pages) for row in reversed(rows)]
            for start in range(0, len(found), _PAGE):
                chunk = found[start : start + _PAGE]
                items = self._read(client, chunk, source.name)
                newest = max((time for row in chunk if (time := parse.listed_at(row))), default=None)
                if newest is not None and (low is None or newest > low):
                    low = newest
                    state["low"][source.name] = low.isoformat()
                _remember(state["recent"], items, self._config.recheck_posts)
                yield Batch(items, _copied(state))

    def _read(self, client: BlueskyClient, rows: Sequence[Any], where: str) -> tuple[Item, ...]:
        if not rows:
            return ()
        authors = [row["author"].get("did") for row in rows if _has_author(row)]
        people = self._looked_up(client, [did for did in authors if isinstance(did, str)])
        return parse.messages(
            rows,
            me=client.did,
            people=people,
            now=self._clock(),
            where=where,
            media_url=str(self._config.media_url).rstrip("/"),
        )

    def _looked_up(self, client: BlueskyClient, dids: Sequence[str]) -> Mapping[str, Profile]:
        unknown = [did for did in dict.fromkeys(dids) if did not in self._people]
        if len(self._people) + len(unknown) > _KNOWN_PEOPLE:
            self._people, unknown = {}, list(dict.fromkeys(dids))
        for start in range(0, len(unknown), _AT_ONCE):
            answer = client.get("app.bsky.actor.getProfiles", actors=unknown[start : start + _AT_ONCE])
            self._people.update({profile.did: profile for profile in parse.profiles(answer)})
        return self._people

    def _deleted(self, client: BlueskyClient, uris: Sequence[str]) -> Iterator[Deleted]:
        """Which of these posts the vendor does not show any more."""
        for start in range(0, len(uris), _AT_ONCE):
            asked = uris[start : start + _AT_ONCE]
            answer = parse.rows(client.get("app.bsky.feed.getPosts", uris=list(asked)), "posts")
            there = {row.get("uri") for row in answer if isinstance(row, Mapping)}
            yield from (Deleted(uri, self._clock()) for uri in asked if uri not in there)

    def _happened(
        self, client: BlueskyClient, me: str, events: Sequence[Event], known: deque[str]
    ) -> tuple[Item, ...]:
        gone: list[Item] = []
        rows: list[dict[str, Any]] = []
        for event in events:
            if event.kind == "created" and self._concerns(event, me):
                at = (event.at or self._clock()).isoformat()
                author = {"did": event.did}
                rows.append(
                    {
                        "uri": event.uri,
                        "cid": event.cid,
                        "author": author,
                        "record": event.record,
                        "indexedAt": at,
                    }
                )
                known.append(event.uri)
            elif event.kind == "deleted" and event.uri in known:
                gone.append(Deleted(event.uri, event.at))
            elif event.kind == "gone":
                gone += (Deleted(uri, event.at) for uri in known if uri.startswith(f"at://{event.did}/"))
        return (*self._read(client, rows, "stream"), *gone)

    def _concerns(self, event: Event, me: str) -> bool:
        record = event.record or {}
        if event.did == me:
            return False
        text = record.get("text")
        spoken_of = self._terms is not None and isinstance(text, str) and self._terms.search(text)
        return bool(spoken_of) or parse.addressed(record, me)


def _any_of(terms: Sequence[str]) -> re.Pattern[str] | None:
    """Finds any of these words and phrases, as words of their own, in whatever case."""
    words = [r"\s+".join(map(re.escape, term.split())) for term in terms if term.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None


def _query(term: str) -> str:
    words = term.replace('"', " ").split()
    return f'"{" ".join(words)}"' if len(words) > 1 else " ".join(words)


def _not_before(row: Any, floor: datetime) -> bool:
    # What has no time that can be read is brought along, to be rejected where it can be seen.
    time = parse.listed_at(row)
    return time is None or time >= floor


def _has_author(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("author"), Mapping)


def _remember(recent: list[str], items: Sequence[Item], most: int) -> None:
    found = [item.external_id for item in items if isinstance(item, InboundMessage)]
    together = list(dict.fromkeys([*recent, *found]))
    recent[:] = together[len(together) - min(most, len(together)) :]


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {**state, "low": dict(state["low"]), "recent": list(state["recent"])}


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None
