"""Mentions, replies, private messages, searches and whole subreddits in; comments and messages out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field, HttpUrl, PositiveFloat, PositiveInt, SecretStr, StringConstraints

from connectors.base import (
    AuthExpired,
    BadPayload,
    Batch,
    Budget,
    ChannelKind,
    Config,
    Connector,
    ConnectorError,
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
from connectors.fields import MAX_BODY_BYTES
from connectors.media import MediaHosts
from connectors.reddit import media, parse, reading
from connectors.reddit.client import Credentials, RedditClient
from connectors.reddit.reading import MAX_PAGES, SENT, Place, Source

_BACKFILL_SHARE = 0.3
_LOOK_BACK = timedelta(hours=1)  # how far the clocks of the hub and of Reddit may be apart
_MAX_WATCHED = 1_000  # ten requests a look
_MAX_PROFILES = 30  # a fetch

Subreddit = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{2,50}$")]
Query = Annotated[str, StringConstraints(min_length=1, max_length=512, strip_whitespace=True)]


class RedditConfig(Config):
    """Settings of a `reddit` channel; the README explains each."""

    client_id: str = Field(default="", description="the id of the app, below its name")
    client_secret: SecretStr | None = Field(default=None, description="the secret of the app")
    username: str = Field(default="", description="the account, for an app of the type script")
    password: SecretStr | None = Field(default=None, description="the account's password, for a script app")
    refresh_token: SecretStr | None = Field(
        default=None, description="a permanent token of a web app, instead of username and password"
    )
    user_agent: str = Field(
        default="python:cem-hub:v1 (customer service of the account that signs in)",
        min_length=7,
        description="what Reddit is told of this client; name yourself in it",
    )
    searches: tuple[Query, ...] = Field(default=(), description="searches of Reddit for submissions")
    subreddits: tuple[Subreddit, ...] = Field(
        default=(), description="where the searches look; empty: everywhere"
    )
    watched: tuple[Subreddit, ...] = Field(
        default=(), description="subreddits of which every submission and comment is read"
    )
    profiles: bool = Field(
        default=True, description="ask for karma and followers of who writes to the account"
    )
    first_hours: PositiveInt = Field(default=24, description="how far back the first fetch looks")
    recheck_hours: int = Field(
        default=48, ge=0, description="how long edits and deletions are looked for; 0: not at all"
    )
    recheck_minutes: PositiveInt = Field(default=10, description="how often they are looked for")
    max_body_bytes: PositiveInt = Field(default=MAX_BODY_BYTES, description="a longer text is rejected")
    timeout_seconds: PositiveFloat = Field(default=16.0, description="for connecting, and for each wait")
    reddit_url: HttpUrl = Field(default=HttpUrl("https://www.reddit.com"), description="where tokens are had")
    oauth_url: HttpUrl = Field(default=HttpUrl("https://oauth.reddit.com"), description="where the API is")
    short_url: HttpUrl = Field(default=HttpUrl("https://redd.it"), description="where short links lead")


class RedditConnector(Connector):
    """Reads and answers as one account."""

    name: ClassVar[str] = "reddit"
    kind: ClassVar[ChannelKind] = "social"
    config_type: ClassVar[type[Config]] = RedditConfig
    max_length: ClassVar[int | None] = 10_000
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "done",
        "push": "exempt: Reddit offers none; what looks like a stream elsewhere is asking again",
        "backfill": "done",
        "threads": "done",
        "profile": "done",
        "edits": "done",
        "deletions": "done",
        "attachments": "done",
        "send": "done",
        "media": "exempt: a comment made by the API carries text alone",
        "length": "done",
        "idempotent": "done",
        "budget": "done",
        "auth": "done",
        "tickets": "exempt: a post has neither",
    }
    steps: ClassVar[tuple[str, ...]] = (
        "Sign in to Reddit as the brand's account, without two-factor login for a script app.",
        "Ask for API access under Reddit's Responsible Builder Policy; a brand's use may need a contract.",
        "Open `https://www.reddit.com/prefs/apps`, choose *create another app* and the type *script*; the "
        "redirect address is not used.",
        "Copy the id below the app's name and the secret, and enter both with the account's name and "
        "password.",
        "Or, with a web app, enter a permanent refresh token with the scopes identity, read, history, "
        "privatemessages and submit.",
    )

    def __init__(
        self, config: RedditConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._clock = clock
        self._opened: RedditClient | None = None
        self._name: str | None = None
        self._profiles: dict[str, parse.Profile] = {}
        self._lookups = 0

    def check(self) -> str:
        """Ask Reddit who we are. Raises: RetryLater, AuthExpired, BadPayload."""
        try:
            return f"reads and answers as u/{self._me()}"
        except Refused as refused:
            raise _of_the_settings(refused) from refused

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """What is new in the inbox, of the account itself, in searches and watched subreddits; then what
        became of what was fetched lately. A search that Reddit refuses stops only itself, and is told last.
        """
        now = self._clock()
        begins = Place((now - timedelta(hours=self._config.first_hours)).timestamp())
        places = {key: reading.stored_place(found) for key, found in _member(cursor or {}, "places").items()}
        recent = dict(_member(cursor or {}, "recent"))
        looked_at = (cursor or {}).get("looked_at") or now.timestamp()
        self._lookups = 0
        wrong: list[str] = []
        sources = self._sources()
        places = {source.key: begins for source in sources} | places
        if cursor is None:
            # The beginning is stored even where nothing is new: it must not move with the clock.
            yield Batch((), _cursor(places, recent, looked_at))
        for source in sources:
            try:
                for things, place in reading.news(self._client, source, places[source.key]):
                    items = self._items(things, source.addressed)
                    places[source.key] = place
                    recent = self._remembered(recent, things, items)
                    yield Batch(tuple(items), _cursor(places, recent, looked_at))
            except Refused as refused:
                if source.own:
                    raise _of_the_settings(refused) from refused
                wrong.append(f"{source.key} ({refused})")
        if now.timestamp() - looked_at >= self._config.recheck_minutes * 60:
            yield self._looked(places, recent)
        if wrong:
            raise BadPayload(f"Reddit does not show these; see to the settings: {'; '.join(wrong)}")

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """The same listings back to `since`, as far as Reddit goes: the newest thousand of each. It stops
        with RetryLater where it would take the last third of the limit."""
        number, after = (cursor or {}).get("source", 0), (cursor or {}).get("after")
        if not isinstance(number, int) or not isinstance(after, str | None):
            raise BadPayload("The stored cursor is not one of a reddit channel.")
        for place, source in enumerate(self._sources()):
            if place < number:
                continue
            pages = reading.history(
                self._client, source, after if place == number else None, since.timestamp()
            )
            try:
                for things, following in pages:
                    goes_on = {"source": place + (following is None), "after": following}
                    yield Batch(tuple(self._items(things, source.addressed)), goes_on)
                    self._client.spare(_BACKFILL_SHARE)
            except Refused as refused:
                raise _of_the_settings(refused) from refused

    def download(self, url: str, max_bytes: int) -> Media:
        """From the hosts where Reddit keeps what was uploaded to it. Raises: RetryLater, Refused."""
        config = self._config
        hosts = MediaHosts(media.HOSTS, str(config.oauth_url))
        # Who does not say who they are is asked to come back later.
        named = {"User-Agent": config.user_agent}
        return hosts.fetch(url, max_bytes, config.timeout_seconds, headers=lambda _: named)

    def budgets(self) -> tuple[Budget, ...]:
        """The requests of this client in ten minutes."""
        return self._opened.budgets() if self._opened else ()

    @property
    def replies(self) -> bool:
        """Whether there are credentials."""
        config = self._config
        signs_in = bool((config.username and config.password) or config.refresh_token)
        return bool(config.client_id and config.client_secret) and signs_in

    def send(self, message: OutboundMessage) -> Sent:
        """Comment on a submission or comment, or answer a private message; unless we have said just that
        there already, as Reddit knows no keys.

        Raises: RetryLater, AuthExpired, Refused (locked, archived, deleted, too long, with files),
        OutcomeUnknown.
        """
        parent = self._parent(message)
        if message.attachments:
            raise Refused("A comment on Reddit carries text alone; put an address into it.")
        if self.length(message.text) > (self.max_length or 0):
            raise Refused(f"A comment has at most {self.max_length:,} characters.")
        try:
            found = self._find(message, parent)
        except (BadPayload, OutcomeUnknown) as error:
            raise RetryLater(f"Nothing was sent: {error}") from error
        return found or Sent(self._client.comment(parent, message.text), f"below {parent}")

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Look for the same text below the same parent in what we said since. Raises: OutcomeUnknown."""
        try:
            return self._find(message, self._parent(message))
        except OutcomeUnknown:
            raise
        except ConnectorError as error:
            raise OutcomeUnknown(f"Our own comments cannot be looked through: {error}") from error

    def close(self) -> None:
        """Give connections back."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _client(self) -> RedditClient:
        config = self._config
        if not self.replies:
            raise BadPayload("Set client_id, client_secret, and username and password or refresh_token.")
        if self._opened is None:
            self._opened = RedditClient(
                Credentials(
                    client_id=config.client_id,
                    client_secret=_secret(config.client_secret),
                    username=config.username,
                    password=_secret(config.password),
                    refresh_token=_secret(config.refresh_token),
                    user_agent=config.user_agent,
                ),
                reddit_url=str(config.reddit_url).rstrip("/"),
                oauth_url=str(config.oauth_url).rstrip("/"),
                short_url=str(config.short_url).rstrip("/"),
                timeout_seconds=config.timeout_seconds,
                clock=self._clock,
            )
        return self._opened

    def _me(self) -> str:
        if self._name is None:
            self._name = self._client.me()
        return self._name

    def _sources(self) -> tuple[Source, ...]:
        try:
            me = self._me()
        except Refused as refused:
            raise _of_the_settings(refused) from refused
        return reading.sources(me, self._config.searches, self._config.subreddits, self._config.watched)

    def _items(self, things: Sequence[Any], addressed: bool) -> list[Item]:
        me, now = self._me(), self._clock()
        items = (
            parse.message(
                thing,
                me=me,
                addressed=addressed,
                about=self._profile(thing, me) if addressed else parse.Profile(),
                site=str(self._config.reddit_url),
                now=now,
                max_body_bytes=self._config.max_body_bytes,
            )
            for thing in things
        )
        return [item for item in items if item is not None]

    def _profile(self, thing: Any, me: str) -> parse.Profile:
        """Karma and followers, asked for once; a message without them is better than none."""
        name = parse.author_of(thing)
        if not self._config.profiles or name is None or name.lower() == me.lower():
            return parse.Profile()
        if name not in self._profiles:
            if self._lookups >= _MAX_PROFILES:
                return parse.Profile()
            self._lookups += 1
            try:
                self._profiles[name] = parse.profile(self._client.about(name))
            except Refused:
                # Suspended, or gone since.
                self._profiles[name] = parse.Profile()
            except (RetryLater, BadPayload):
                return parse.Profile()
        return self._profiles[name]

    def _remembered(
        self, recent: Mapping[str, Any], things: Sequence[Any], items: Sequence[Item]
    ) -> dict[str, Any]:
        """What is to be looked at again: its time and digest, by full name. Nobody can edit a message."""
        brought = {item.external_id for item in items if isinstance(item, InboundMessage) and item.incoming}
        added = {
            name: [created, parse.digest(thing)]
            for thing in things
            for name, created in [parse.mark(thing)]
            if name in brought and created is not None and not name.startswith("t4_")
        }
        earliest = (self._clock() - timedelta(hours=self._config.recheck_hours)).timestamp()
        kept = [(name, seen) for name, seen in {**recent, **added}.items() if seen[0] > earliest]
        kept.sort(key=lambda each: float(each[1][0]))
        return dict(kept[-_MAX_WATCHED:])

    def _looked(self, places: Mapping[str, Place], recent: Mapping[str, Any]) -> Batch:
        now = self._clock()
        remaining = self._remembered(recent, (), ())
        items: list[Item] = []
        for thing in self._client.info(list(remaining)) if remaining else ():
            name, created = parse.mark(thing)
            if name not in remaining:
                continue
            found = parse.changed(thing, remaining[name][1], now, self._config.max_body_bytes)
            if found is None:
                continue
            items.append(found)
            if isinstance(found, Deleted):
                del remaining[name]
            else:
                remaining[name] = [created, parse.digest(thing)]
        return Batch(tuple(items), _cursor(places, remaining, now.timestamp()))

    def _parent(self, message: OutboundMessage) -> str:
        if not self.replies:
            raise Refused("This channel has no credentials; set them, or answer elsewhere.")
        for name in (message.in_reply_to, message.answered.get("name")):
            if isinstance(name, str) and parse.is_name(name):
                return name
        raise Refused("The message that this answers is none of Reddit's.")

    def _find(self, message: OutboundMessage, parent: str) -> Sent | None:
        source = SENT if parent.startswith("t4_") else reading.comments_of(self._me())
        earliest = (message.created_at - _LOOK_BACK).timestamp() if message.created_at else 0.0
        pages = reading.history(self._client, source, None, earliest)
        for number, (things, _) in enumerate(pages, 1):
            for ours in map(parse.said, things):
                if ours is not None and ours[1] == parent and ours[2] == parse.plain(message.text):
                    return Sent(ours[0], "found by its text and place")
            if number == MAX_PAGES:
                # Reddit goes no further back, and that may be too little.
                raise OutcomeUnknown("The account has said too much since to look through.")
        return None


def _cursor(places: Mapping[str, Place], recent: Mapping[str, Any], looked_at: float) -> dict[str, Any]:
    stored = {key: place.stored() for key, place in places.items()}
    return {"places": stored, "recent": dict(recent), "looked_at": looked_at}


def _member(cursor: Cursor, name: str) -> Mapping[str, Any]:
    found = cursor.get(name, {} if not cursor else None)
    if not isinstance(found, dict):
        raise BadPayload("The stored cursor is not one of a reddit channel.")
    return found


def _of_the_settings(refused: Refused) -> ConnectorError:
    if refused.status == 403:
        return AuthExpired(f"The account or its token may not do this: {refused}")
    return BadPayload(f"Reddit does not answer this; see to the settings: {refused}")


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
