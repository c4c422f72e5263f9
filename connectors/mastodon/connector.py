"""A Mastodon account: mentions and hashtags in, replies out."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, PositiveFloat, SecretStr, StringConstraints

from connectors.base import (
    BadPayload,
    Batch,
    Budget,
    ChannelKind,
    Config,
    Connector,
    ConnectorError,
    Cursor,
    Deleted,
    Item,
    Media,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    Rejected,
    RetryLater,
    Sent,
)
from connectors.mastodon import parse
from connectors.mastodon.client import Client
from connectors.mastodon.parse import Reader
from connectors.mastodon.reading import Reading, Threads
from connectors.mastodon.sending import Sending
from connectors.mastodon.streaming import Event, Lines
from connectors.mastodon.writing import DEFAULT_LIMIT, LONGEST_MENTION, Visibility, counted
from connectors.media import MediaHosts

_LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
_MAX_TAGS = 10
_HEARTBEAT_SECONDS = 5.0
_LOOK_UP_SECONDS = 0.25
_AT_ONCE = 50


def _encrypted(server: HttpUrl) -> HttpUrl:
    if server.scheme == "http" and server.host not in _LOOPBACK:
        raise ValueError("a token goes over https only")
    return server


Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}$", to_lower=True)]
Tag = Annotated[
    str,
    StringConstraints(pattern=r"^#?\w{1,100}$"),
    AfterValidator(lambda tag: tag.removeprefix("#").casefold()),
]


class MastodonConfig(Config):
    """Settings of a `mastodon` channel; the README explains each."""

    server: Annotated[HttpUrl, AfterValidator(_encrypted)] = Field(
        description="The server's address, https://mastodon.example."
    )
    access_token: SecretStr | None = Field(
        default=None,
        description="The token of an application of the brand's account; without it, only hashtags.",
    )
    mentions: bool = Field(default=True, description="Whether to take what is written to the account.")
    hashtags: tuple[Tag, ...] = Field(
        default=(), max_length=_MAX_TAGS, description="Hashtags to listen to, without #."
    )
    streaming: bool = Field(
        default=True, description="Whether to be told at once, over a connection kept open."
    )
    visibility: Visibility = Field(
        default="public",
        description="The most public a reply may be; it is never more so than what it answers.",
    )
    follow_hours: float = Field(
        default=24,
        ge=0,
        le=24 * 30,
        description="How long a message is looked at again for edits and deletion.",
    )
    overlap_seconds: float = Field(
        default=600,
        ge=0,
        le=86_400,
        description="How late a post with a hashtag may arrive from another server.",
    )
    media_hosts: tuple[Host, ...] = Field(
        default=(), max_length=10, description="Where the server keeps files, besides where it is itself."
    )
    timeout_seconds: PositiveFloat = Field(
        default=20.0, description="For connecting, and for each wait on the server."
    )
    media_timeout_seconds: PositiveFloat = Field(
        default=60.0, description="How long the server may work on an upload before a reply is tried later."
    )


class MastodonConnector(Connector):
    """One account on one server; without a token, somebody who listens to hashtags."""

    name: ClassVar[str] = "mastodon"
    kind: ClassVar[ChannelKind] = "social"
    config_type: ClassVar[type[Config]] = MastodonConfig
    max_length: ClassVar[int | None] = DEFAULT_LIMIT
    scorecard: ClassVar[dict[str, str]] = {
        "fetch": "done",
        "push": "done",
        "backfill": "done",
        "threads": "done",
        "profile": "done",
        "edits": "done",
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
        "Log in to the brand's account on its server, in a browser.",
        "Open **Preferences → Development → New application** (`/settings/applications/new`).",
        "Give it a name by which you will know it again; leave the redirect address as it is.",
        "Choose the scopes `read:accounts`, `read:notifications`, `read:statuses`, `read:search`, "
        "`write:statuses` and `write:media`, and no others.",
        "Submit, open the application, and copy **Your access token** here, not the two keys above it.",
        "Give the server's address as it stands in the browser, without a path.",
    )

    def __init__(
        self,
        config: MastodonConfig,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._clock = clock
        self._pause = pause
        self._client_made: Client | None = None
        self._instance: dict[str, Any] | None = None
        self._own_id: str | None = None
        self._reading_made: Reading | None = None
        self._sending_made: Sending | None = None

    def check(self) -> str:
        """Ask the server who we are there. Raises: RetryLater, AuthExpired, BadPayload."""
        client = self._client
        limit, domain = self._max_characters(), self._domain
        version = str(self._about.get("version"))[:40]
        tags = ", ".join(f"#{tag}" for tag in self._config.hashtags)
        if self._config.access_token is None:
            if not tags:
                raise BadPayload("There is nothing to read; set access_token, or hashtags.")
            client.tagged(self._config.hashtags[0], limit=1)
            return f"listens to {tags} on {domain} (Mastodon {version}), as nobody"
        account = client.own_account()
        if self._config.mentions:
            client.notifications(("mention",), limit=1)
        who = parse.handle(account, domain)
        also = f", and {tags}" if tags else ""
        return f"reads what is written to @{who}{also} (Mastodon {version}, {limit} characters a post)"

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Mentions and hashtags since the cursor, oldest first, then edits and deletions of recent ones."""
        yield from self._reading.fetch(cursor)

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """Mentions and hashtags back to `since`, newest first."""
        yield from self._reading.backfill(since, cursor)

    @property
    def streams(self) -> bool:
        """Servers open streams only to somebody they know."""
        config = self._config
        return (
            config.streaming and config.access_token is not None and bool(config.mentions or config.hashtags)
        )

    def stream(self, cursor: Cursor | None, stop: Callable[[], bool]) -> Iterator[Batch]:
        """What is written, edited and deleted, as it happens. Its batches carry no cursor: `fetch` brings the
        same again and moves it, so that what happened between two lines is not lost."""
        own: list[str | None] = [None] if self._config.mentions else []
        with Lines(self._connect, [*own, *self._config.hashtags]) as lines:
            items: list[Item] = []
            said_at = -math.inf
            while not stop():
                items += self._next(lines)
                # The first says that all lines are open: what came on one of them has waited for the others.
                if lines.open and (items or time.monotonic() - said_at > _HEARTBEAT_SECONDS):
                    yield Batch(tuple(items))
                    items, said_at = [], time.monotonic()

    def budgets(self) -> tuple[Budget, ...]:
        """The server's limits, by what it said last."""
        return self._client_made.budgets() if self._client_made else ()

    def download(self, url: str, max_bytes: int) -> Media:
        """From the server, from where its own thumbnail lies, or from `media_hosts`; never from the server
        of who wrote it.

        Raises: RetryLater, AuthExpired, Refused.
        """
        server = str(self._config.server)
        hosts = MediaHosts([urlsplit(server).hostname or "", *self._config.media_hosts], server)
        if not hosts.has(url):
            try:
                shown = str(_within(self._about, "thumbnail", "url") or "")
            except BadPayload as error:
                raise RetryLater(str(error)) from None
            beside = urlsplit(shown).hostname if shown.startswith("https://") else None
            hosts = MediaHosts([beside or ""], server)
        return hosts.fetch(url, max_bytes, self._config.timeout_seconds)

    def limit(self, answered: Mapping[str, Any]) -> int:
        """The characters of a post on this server, less those of the content warning that is kept.

        The server is asked once; while it cannot be, its software's own limit stands for it.
        """
        try:
            most = self._max_characters()
        except ConnectorError:
            most = DEFAULT_LIMIT
        return max(0, most - counted(str(answered.get("spoiler_text") or "")))

    def length(self, text: str) -> int:
        """As the server counts, with room for the mention that is put in front."""
        return counted(text) + (0 if text.startswith("@") else LONGEST_MENTION)

    @property
    def replies(self) -> bool:
        """Whether there is an account to write as."""
        return self._config.access_token is not None

    def send(self, message: OutboundMessage) -> Sent:
        """Answer in the thread, to be seen by no more people than what is answered, with its content warning.

        The same key is one status for as long as the server remembers it (an hour). Raises: RetryLater,
        AuthExpired, Refused, OutcomeUnknown.
        """
        if not self.replies:
            raise Refused("This channel has no account to write as; set access_token.")
        try:
            return self._sending.send(message)
        except BadPayload as error:
            raise RetryLater(str(error)) from None

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Look among the account's own statuses for one with these words that answers the same.

        Raises: OutcomeUnknown.
        """
        if not self.replies:
            raise OutcomeUnknown("This channel has no account to look at.")
        try:
            return self._sending.find(message)
        except OutcomeUnknown:
            raise
        except ConnectorError as error:
            raise OutcomeUnknown(f"The server cannot be asked: {error}") from error

    def close(self) -> None:
        """Give the connections back."""
        if self._client_made:
            self._client_made.close()

    def _connect(self) -> Client:
        config = self._config
        token = config.access_token.get_secret_value() if config.access_token else None
        return Client(str(config.server), token, config.timeout_seconds, self._clock)

    @property
    def _client(self) -> Client:
        if self._client_made is None:
            self._client_made = self._connect()
        return self._client_made

    @property
    def _about(self) -> dict[str, Any]:
        if self._instance is None:
            self._instance = self._client.instance()
        return self._instance

    @property
    def _domain(self) -> str:
        """What the handles of this server's people end in; not always where the server is."""
        found = self._about.get("domain")
        fitting = isinstance(found, str) and re.fullmatch(r"[\w\-.]{1,253}(:\d+)?", found)
        return (
            found.lower() if isinstance(found, str) and fitting else urlsplit(str(self._config.server)).netloc
        )

    def _max_characters(self) -> int:
        found = _within(self._about, "configuration", "statuses", "max_characters")
        return found if isinstance(found, int) and found > 0 else DEFAULT_LIMIT

    def _reader(self) -> Reader:
        if self._own_id is None and self._config.access_token is not None:
            self._own_id = parse.identifier(self._client.own_account())
        return Reader(self._domain, self._own_id, self._clock())

    @property
    def _reading(self) -> Reading:
        if self._reading_made is None:
            config = self._config
            self._reading_made = Reading(
                self._client,
                self._reader,
                Threads(self._client, self._clock),
                mentions=config.mentions and config.access_token is not None,
                tags=config.hashtags,
                overlap=timedelta(seconds=config.overlap_seconds),
                followed=timedelta(hours=config.follow_hours),
            )
        return self._reading_made

    @property
    def _sending(self) -> Sending:
        if self._sending_made is None:
            self._sending_made = Sending(
                self._client,
                self._reader,
                lambda: self._about,
                self._max_characters,
                most_public=self._config.visibility,
                patience_seconds=self._config.media_timeout_seconds,
                pause=self._pause,
            )
        return self._sending_made

    def _next(self, lines: Lines) -> list[Item]:
        """What came within a moment, together."""
        items: list[Item] = []
        event = lines.next(_LOOK_UP_SECONDS)
        while event is not None and len(items) < _AT_ONCE:
            items += self._items(event)
            event = lines.next(0) if len(items) < _AT_ONCE else None
        return items

    def _items(self, event: Event) -> Iterator[Item]:
        where = f"stream of {'the account' if event.tag is None else '#' + event.tag}, {event.kind}"
        if event.kind == "delete":
            if re.fullmatch(r"[\w\-]{1,64}", event.data, re.ASCII):
                yield Deleted(event.data)
            return
        # In our own stream, "update" is what those wrote whom the account follows.
        written = "notification" if event.tag is None else "update"
        if event.kind not in (written, "status.update"):
            return
        try:
            record = json.loads(event.data)
        except (ValueError, RecursionError):
            yield Rejected(event.data.encode(), "not_json", "The event's data is no JSON.", where)
            return
        if event.kind == "status.update":
            yield from self._edited(record, where)
        elif event.tag is not None or (isinstance(record, dict) and record.get("type") == "mention"):
            item = self._reading.item(record, event.tag)
            if item is not None:
                yield item

    def _edited(self, status: Any, where: str) -> Iterator[Item]:
        reader = self._reader()
        if reader.own_id is None or parse.author_id(status) != reader.own_id:
            yield parse.edit(status, reader, where=where)


def _within(record: Any, *path: str) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record
