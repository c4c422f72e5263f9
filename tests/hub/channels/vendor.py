"""A vendor that does what a test has written for it, and a connector that speaks with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from connectors.base import (
    RULES,
    BadPayload,
    Batch,
    Budget,
    ChannelKind,
    Config,
    Connector,
    Cursor,
    InboundMessage,
    Item,
    Media,
)
from tests.factories import inbound

Step = Exception | Callable[[], None]


@dataclass
class Vendor:
    """What the vendor has, and what happens when it is asked.

    `posts` are what a fetch finds from its cursor on, `history` what a back-fill finds, `live` what a line
    tells, batch by batch; a `Batch` in full, which may come first of all, as what opens the line. An
    exception among them is raised, something to call is called. `fetches` are the cursors that came.
    `renewed` is what a renewal gives, or raises. `files` are to be had by their addresses; `downloads` are
    those that were asked for. `overlap` is how many posts each fetch reads again.
    """

    posts: list[Item] = field(default_factory=list)
    history: list[Item] = field(default_factory=list)
    live: list[Sequence[Item] | Batch | Step] = field(default_factory=list)
    before: list[Step | None] = field(default_factory=list)
    fetches: list[Any] = field(default_factory=list)
    backfills: list[Any] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    closed: int = 0
    size: int = 2
    overlap: int = 0
    budgets: tuple[Budget, ...] = ()
    says: str | Exception = "reads as @brand"
    told: Event = field(default_factory=Event)
    tokens: list[str] = field(default_factory=list)
    renewed: Mapping[str, Any] | Step = field(default_factory=dict)
    renewals: list[str] = field(default_factory=list)
    files: dict[str, bytes | Step] = field(default_factory=dict)
    downloads: list[tuple[str, int]] = field(default_factory=list)

    def post(self, *texts: str, **fields: Any) -> None:
        """Have more to be fetched."""
        self.posts += [message(text, **fields) for text in texts]

    def pages(self, items: Sequence[Item], start: int) -> Iterator[tuple[int, tuple[Item, ...]]]:
        """Pages from an item on, inclusive, with the number of the last; before each a step is taken."""
        for first in range(max(0, start), len(items), self.size):
            self.step()
            page = tuple(items[first : first + self.size])
            yield first + len(page) - 1, page
        self.step()

    def step(self) -> None:
        """Do what is to happen next."""
        act(self.before.pop(0) if self.before else None)


def act(step: Step | None) -> None:
    """Raise it, or call it."""
    if isinstance(step, Exception):
        raise step
    if step is not None:
        step()


def message(text: str, **fields: Any) -> InboundMessage:
    """A post whose id is its text."""
    return inbound(text, **{"external_id": text, "author": f"by-{text}", **fields})


VENDOR = Vendor()


class ScriptedConfig(Config):
    """Settings of a scripted channel."""

    handle: str = Field(description="The account's name.")
    token: SecretStr = Field(description="From the account's settings, under *Keys*.")
    words: tuple[str, ...] = Field((), description="What to search for.")
    streams: bool = Field(False, description="Whether to listen too.")
    expires_at: datetime | None = Field(None, description="When the token runs out.")
    depth: int = Field(3, ge=1, le=9, description="How deep to look.")


class ScriptedConnector(Connector):
    """Speaks with `VENDOR`."""

    name: ClassVar[str] = "scripted"
    kind: ClassVar[ChannelKind] = "social"
    config_type: ClassVar[type[Config]] = ScriptedConfig
    scorecard: ClassVar[Mapping[str, str]] = dict.fromkeys(RULES, "done")
    steps: ClassVar[tuple[str, ...]] = ("Open *Keys* in the account's settings.", "Copy the token.")

    def __init__(self, config: ScriptedConfig) -> None:
        self._config = config
        VENDOR.tokens.append(config.token.get_secret_value())

    def check(self) -> str:
        if isinstance(VENDOR.says, Exception):
            raise VENDOR.says
        return VENDOR.says

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        VENDOR.fetches.append(cursor)
        known = cursor["last"] if cursor else 0
        for last, page in VENDOR.pages(VENDOR.posts, known - VENDOR.overlap):
            yield Batch(page, {"last": max(known, last)})

    @property
    def streams(self) -> bool:
        return self._config.streams

    def stream(self, cursor: Cursor | None, stop: Callable[[], bool]) -> Iterator[Batch]:
        VENDOR.lines.append(cursor)
        VENDOR.step()
        first = VENDOR.live[0] if VENDOR.live else None
        if isinstance(first, Batch):
            VENDOR.live.pop(0)
        yield first if isinstance(first, Batch) else Batch(())
        while not stop():
            if not VENDOR.live:
                VENDOR.told.wait(0.02)
                yield Batch(())
                continue
            said = VENDOR.live.pop(0)
            if isinstance(said, Batch):
                yield said
            elif isinstance(said, Sequence):
                yield Batch(tuple(said))
            else:
                act(said)

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        VENDOR.backfills.append((since, cursor))
        for last, page in VENDOR.pages(VENDOR.history, cursor["last"] if cursor else 0):
            yield Batch(page, {"last": last})

    @property
    def renews_at(self) -> datetime | None:
        return self._config.expires_at

    def renew(self) -> Mapping[str, Any]:
        VENDOR.renewals.append(self._config.token.get_secret_value())
        if isinstance(VENDOR.renewed, Mapping):
            return VENDOR.renewed
        act(VENDOR.renewed)
        return {}

    def authorization_url(self) -> str | None:
        return "https://vendor.example/agree"

    def authorized(self, answer_url: str) -> Mapping[str, Any]:
        if "code=" not in answer_url:
            raise BadPayload("This is no answer to what was asked; begin anew.")
        return {"token": answer_url.partition("code=")[2]}

    def download(self, url: str, max_bytes: int) -> Media:
        VENDOR.downloads.append((url, max_bytes))
        found = VENDOR.files[url]
        if isinstance(found, bytes):
            return Media(found, "image/png")
        act(found)
        return Media(b"picture", "image/png")

    def budgets(self) -> tuple[Budget, ...]:
        return VENDOR.budgets

    def close(self) -> None:
        VENDOR.closed += 1
