"""Messages from files and folders; replies into an outbox folder, one JSON file each."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field, PositiveInt, field_validator

from connectors.base import (
    BadPayload,
    Batch,
    ChannelKind,
    Config,
    Connector,
    Cursor,
    InboundMessage,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    Rejected,
    RetryLater,
    Sent,
)
from connectors.fields import MAX_BODY_BYTES
from connectors.files import parse
from connectors.files.sources import Lines, Source, find_sources, format_of, open_source

_BATCH_RECORDS = 500
_BATCH_BYTES = 8 * 1024 * 1024
_SAFE_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_DAMAGED = (OSError, EOFError, zlib.error)
# A file changed in the moment of reading may carry a slightly earlier time than our clock shows.
_CLOCK_SLACK = timedelta(seconds=2)


class FilesConfig(Config):
    """Settings of a `files` channel; the README explains each."""

    paths: tuple[Path, ...] = Field(
        default=(),
        validation_alias=AliasChoices("paths", "path"),
        description="Files and folders to read; without any, `hub ingest` names them.",
    )
    map: dict[parse.Field, str] = Field(
        default_factory=dict, description='Which column or member is what, such as `{"text": "review"}`.'
    )
    network: str = Field(
        default="", description="The network whose handles the authors are; empty: the channel's own."
    )
    time_zone: ZoneInfo = Field(default=ZoneInfo("UTC"), description="The zone of times without one.")
    quotes: bool | None = Field(
        default=None, description="Whether quotes enclose values; empty: yes in CSV, no in TSV."
    )
    max_body_bytes: PositiveInt = Field(
        default=MAX_BODY_BYTES, description="A longer text is rejected, in bytes."
    )
    outbox: Path | None = Field(default=None, description="The folder that replies are written into.")
    kind: ChannelKind = Field(default="ticket", description="What it is to the rules of your policy.")

    @field_validator("paths", mode="before")
    @classmethod
    def _one_is_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path) else value


class FilesConnector(Connector):
    """Reads JSONL, CSV, TSV (each also gzipped), .eml, mbox, Maildir and folders of them."""

    name: ClassVar[str] = "files"
    kind: ClassVar[ChannelKind] = "ticket"
    config_type: ClassVar[type[Config]] = FilesConfig
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "done",
        "push": "exempt: files do not call",
        "backfill": "exempt: a first fetch reads everything",
        "threads": "done",
        "profile": "done",
        "edits": "exempt: a record is known by its id and kept as it came first",
        "deletions": "exempt: a file that goes away takes nothing back",
        "attachments": "todo: only their description is taken",
        "send": "done",
        "media": "done",
        "length": "exempt: a file has no limit",
        "idempotent": "done",
        "budget": "exempt: a disk has none",
        "auth": "exempt: a folder has no credentials",
        "tickets": "exempt: a file has neither",
    }
    local: ClassVar[bool] = True
    steps: ClassVar[tuple[str, ...]] = (
        "Put the files where the hub's own user may read them, on the hub's machine.",
        "Try them first: `hub ingest FILES --dry-run` says what would be taken and what not, and why.",
        "Name them, or their folder, as `paths`: what is added or changed there is read as it comes.",
        "Where columns have names of their own, `map` says which is what.",
        "For replies give a folder that the hub's user may write into, as `outbox`; whatever sends them on"
        " fetches them there.",
    )

    def __init__(
        self, config: FilesConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._clock = clock

    @property
    def fetches(self) -> bool:
        """Whether there are `paths`; without, `hub ingest` names the files."""
        return bool(self._config.paths)

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Read every file that is new or changed; the first one from the record the cursor names.

        The cursor is `{"file", "record", "read_at"}`: all before that record of that file has been read,
        and nothing of it has changed if its change time lies before `read_at`. A changed file is read again
        from its start. Raises: BadPayload where a path, or a file named as path, is nothing that can be read.
        """
        now = self._clock()
        sources = find_sources(self._config.paths, skip=self._config.outbox)
        names = [str(source.path) for source in sources]
        reached, first, read_at = -1, 0, now
        if cursor is not None and cursor["file"] in names:
            reached, first = names.index(cursor["file"]), int(cursor["record"])
            read_at = datetime.fromisoformat(cursor["read_at"])
        for index, source in enumerate(sources):
            unchanged = index <= reached and _changed_at(source.path) < read_at - _CLOCK_SLACK
            if unchanged and index < reached:
                continue
            start = first if unchanged else 0
            for record, items in _batches(self._items(source, now), start):
                place = {"file": str(source.path), "record": record, "read_at": now.isoformat()}
                yield Batch(items, place)

    def _items(self, source: Source, now: datetime) -> Iterator[InboundMessage | Rejected]:
        config = self._config
        rules = parse.Rules(
            columns=config.map,
            network=config.network,
            zone=config.time_zone,
            max_body_bytes=config.max_body_bytes,
            now=now,
            quotes=config.quotes,
        )
        try:
            form = format_of(source)
            with open_source(source.path) as stream, closing(_Occurrences()) as seen:
                yield from parse.read(Lines(stream), form, source.name, rules, seen.count)
        except _DAMAGED as error:
            detail = f"The file cannot be read further: {error}."
            yield Rejected(b"", "damaged_file", detail, source.name)
        except BadPayload as error:
            if source.asked_for:
                raise
            yield Rejected(b"", "unknown_format", str(error), source.name)

    @property
    def replies(self) -> bool:
        """Whether there is an outbox."""
        return self._config.outbox is not None

    def send(self, message: OutboundMessage) -> Sent:
        """Put the reply into the outbox, complete or not at all; the second time finds the first.

        Raises: Refused without an outbox, RetryLater where the disk does not take it.
        """
        outbox = self._config.outbox
        if outbox is None:
            raise Refused("This channel has no outbox folder for replies; set one, or answer elsewhere.")
        content = json.dumps(asdict(message), ensure_ascii=False, indent=2, default=_written) + "\n"
        try:
            outbox.mkdir(parents=True, exist_ok=True)
            found = _in_outbox(outbox, message.idempotency_key)
            if found is not None:
                return found
            target = outbox / _file_name(message.idempotency_key)
            _write_whole(target, content.encode("utf-8", "replace"))
        except OSError as error:
            raise RetryLater(f"The outbox cannot be written: {error.strerror}.") from error
        return _sent(message.idempotency_key)

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """The reply's file in the outbox. Raises: OutcomeUnknown where the folder cannot be looked into."""
        outbox = self._config.outbox
        try:
            return None if outbox is None else _in_outbox(outbox, message.idempotency_key)
        except OSError as error:
            raise OutcomeUnknown(f"The outbox cannot be read: {error.strerror}.") from error


class _Occurrences:
    """Counts contents in a temporary database on disk, so that no file is too long for the memory."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")

    def count(self, raw: bytes) -> int:
        """How often these bytes were counted, this time included."""
        row = self._database.execute(
            "INSERT INTO seen VALUES (?, 1)"
            " ON CONFLICT (digest) DO UPDATE SET times = times + 1 RETURNING times",
            (hashlib.sha256(raw).digest()[:16],),
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Drop the temporary database."""
        self._database.close()


def _batches(
    items: Iterator[InboundMessage | Rejected], start: int
) -> Iterator[tuple[int, tuple[InboundMessage | Rejected, ...]]]:
    """The items from number `start` on, in portions, each with the number of its last one."""
    portion: list[InboundMessage | Rejected] = []
    size = 0
    record = start
    for record, item in enumerate(items):
        if record < start:
            continue
        portion.append(item)
        size += len(item.raw) if isinstance(item, Rejected) else len(item.text) + len(item.html or "")
        if len(portion) >= _BATCH_RECORDS or size >= _BATCH_BYTES:
            yield record, tuple(portion)
            portion, size = [], 0
    if portion:
        yield record, tuple(portion)


def _changed_at(path: Path) -> datetime:
    # The time of the last change to the inode: unlike that of the content it cannot be set back by moving
    # or copying.
    try:
        return datetime.fromtimestamp(path.stat().st_ctime, UTC)
    except OSError:
        return datetime.max.replace(tzinfo=UTC)


def _file_name(key: str) -> str:
    # A key that is no plain file name (a slash, dots, too long) must not leave the folder.
    plain = _SAFE_KEY.fullmatch(key) is not None
    return f"{key if plain else hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}.json"


def _in_outbox(outbox: Path, key: str) -> Sent | None:
    try:
        (outbox / _file_name(key)).stat()
    except FileNotFoundError:
        return None
    return _sent(key)


def _sent(key: str) -> Sent:
    return Sent(external_id=key, detail=f"written to {_file_name(key)}")


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not written to the outbox")


def _write_whole(target: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
