"""Lines of a file to messages. Nothing here opens a file or reads a clock."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, get_args

from connectors.base import Author, BadPayload, Identity, InboundMessage, Rejected
from connectors.fields import (
    MAX_FOLLOWERS,
    MAX_ID_LENGTH,
    BadRecord,
    body,
    clean,
    content_id,
    identity,
    known_id,
    moment,
)
from connectors.files.mbox import split_mbox
from connectors.files.sources import MAX_RECORD_BYTES, Format, Line, Lines
from connectors.mime import parse_mail

Field = Literal[
    "text",
    "author",
    "author_name",
    "followers",
    "external_id",
    "sent_at",
    "subject",
    "thread",
    "in_reply_to",
    "language",
    "incoming",
]
FIELDS: tuple[Field, ...] = get_args(Field)

COLUMNS: Mapping[Field, tuple[str, ...]] = {
    "text": ("text", "body", "message", "content"),
    "author": ("author", "author_id", "user", "from"),
    "author_name": ("author_name",),
    "followers": ("followers",),
    "external_id": ("external_id", "id"),
    "sent_at": ("sent_at", "created_at", "date", "timestamp"),
    "subject": ("subject",),
    "thread": ("thread", "thread_id", "conversation_id"),
    "in_reply_to": ("in_reply_to",),
    "language": ("language", "lang"),
    "incoming": ("incoming", "inbound"),
}
"""The columns a field is taken from where the settings name none: the first of these that is there."""

_FIRST_RECORDS = 100
_MAX_NAME_LENGTH = 200
_MAX_ROW_BYTES = 8 * 1024 * 1024  # how far a quotation mark that never closes is followed
_YES = {"true", "1", "yes", "incoming"}
_NO = {"false", "0", "no", "outgoing"}
_DELIMITERS = ",;\t|"

_TOO_LARGE = f"The record is longer than {MAX_RECORD_BYTES:,} bytes; only its beginning is kept."

# The reader's own limit, which is global to the process, would refuse a long text before we can say why.
csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))


@dataclass(frozen=True, slots=True)
class Rules:
    """How the records of a file become messages.

    `columns` maps fields to columns (in JSON also `user.name`); `network` is the place of handles; `zone`
    that of times without an offset; `quotes` says whether quotation marks enclose values (None: in CSV, not
    in TSV).
    """

    columns: Mapping[Field, str]
    network: str
    zone: tzinfo
    max_body_bytes: int
    now: datetime
    quotes: bool | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """One record as it stands: `values` by column, or the `problem` that kept it from being read."""

    line: int
    raw: bytes
    values: Mapping[str, Any]
    problem: BadRecord | None = None


def read(
    lines: Lines, form: Format, name: str, rules: Rules, nth: Callable[[bytes], int]
) -> Iterator[InboundMessage | Rejected]:
    """The items of a file in its order, one per record.

    `nth` counts how often it was asked about the same bytes. Raises: BadPayload where the header does not
    hold what is needed.
    """
    if form in ("eml", "mbox"):
        mails = split_mbox(lines) if form == "mbox" else iter([(1, lines.rest())])
        for number, raw in mails:
            where = f"{name}:{number}" if form == "mbox" else name
            if len(raw) > MAX_RECORD_BYTES:
                yield Rejected(raw[:MAX_RECORD_BYTES], "record_too_large", _TOO_LARGE, where)
            else:
                yield parse_mail(raw, where=where, now=rules.now, max_body_bytes=rules.max_body_bytes)
        return
    if form == "jsonl":
        records, expected = _with_expectation(_json(lines), rules)
    else:
        columns, delimiter, quotes = _header(lines, form, name, rules)
        records = _table(lines, columns, delimiter, quotes)
        expected = frozenset(_resolve(columns, _pairs(rules.columns)))
    for record in records:
        where = f"{name}:{record.line}"
        try:
            if record.problem is not None:
                raise record.problem
            yield _message(record, expected, rules, nth)
        except BadRecord as bad:
            yield Rejected(record.raw, bad.reason, bad.detail, where)


def _message(
    record: _Record, expected: frozenset[Field], rules: Rules, nth: Callable[[bytes], int]
) -> InboundMessage:
    columns = _resolve(tuple(record.values), _pairs(rules.columns))

    def value(field: Field) -> Any:
        path = columns.get(field) or rules.columns.get(field)
        return None if path is None else _pick(record.values, path)

    def words(field: Field) -> str | None:
        found = value(field)
        if found is None:
            return None
        if isinstance(found, bool | dict | list):
            raise BadRecord(f"bad_{field}", f"The {field} is {_kind(found)}, not text.")
        return clean(str(found).strip(), field) or None

    text = value("text")
    if not isinstance(text, str | None):
        raise BadRecord("bad_text", f"The text is {_kind(text)}, not text.")
    author = words("author")
    if author is None and "author" in expected:
        raise BadRecord("missing_author", "The record does not say who wrote it.")
    name = words("author_name")
    sent_at = value("sent_at")
    thread, parent = words("thread"), words("in_reply_to")
    language = words("language")
    external_id = words("external_id")
    return InboundMessage(
        text=body(text or "", rules.max_body_bytes),
        external_id=known_id(external_id) if external_id else content_id(record.raw, nth(record.raw)),
        author=_author(author, name, words("followers"), rules.network) if author else None,
        sent_at=None if sent_at in (None, "") else moment(sent_at, rules.zone, rules.now),
        subject=words("subject"),
        thread_key=known_id(thread) if thread else None,
        in_reply_to=(known_id(parent),) if parent else (),
        incoming=_incoming(value("incoming")),
        meta={"language": language} if language else {},
    )


def _author(value: str, name: str | None, followers: str | None, network: str) -> Author:
    who: Identity = identity(value, network)
    if not who.value or len(who.value) > MAX_ID_LENGTH:
        raise BadRecord(
            "bad_author", f"The author is {len(value)} characters long; at most {MAX_ID_LENGTH} are taken."
        )
    if followers is not None and not (followers.isdecimal() and float(followers) <= MAX_FOLLOWERS):
        raise BadRecord("bad_followers", f"{followers[:60]!r} is not a number of followers.")
    return Author((who,), name[:_MAX_NAME_LENGTH] if name else None, int(followers) if followers else None)


def _incoming(value: Any) -> bool:
    word = "true" if value in (None, "") else str(value).strip().lower()
    if word not in _YES | _NO:
        raise BadRecord("bad_incoming", f"{word[:60]!r} says neither incoming nor outgoing.")
    return word in _YES


def _kind(value: Any) -> str:
    return {bool: "true or false", dict: "an object", list: "a list"}.get(type(value), "a number")


def _pairs(columns: Mapping[Field, str]) -> tuple[tuple[Field, str], ...]:
    return tuple(columns.items())


@lru_cache(maxsize=64)
def _resolve(present: tuple[str, ...], mapped: tuple[tuple[Field, str], ...]) -> Mapping[Field, str]:
    """The column of each field that these columns can give."""
    by_name = {column.strip().casefold(): column for column in reversed(present)}
    chosen: dict[Field, str] = {}
    explicit = dict(mapped)
    for field in FIELDS:
        if field in explicit:
            column = explicit[field]
            found = column if column in present else by_name.get(column.strip().casefold())
            if found is None and column.split(".")[0] in present:
                found = column
        else:
            found = next((by_name[alias] for alias in COLUMNS[field] if alias in by_name), None)
        if found is not None:
            chosen[field] = found
    return chosen


def _pick(values: Mapping[str, Any], path: str) -> Any:
    if path in values:
        return values[path]
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def _with_expectation(records: Iterator[_Record], rules: Rules) -> tuple[Iterator[_Record], frozenset[Field]]:
    """JSON has no header: what the first records have is expected of all, and what is mapped."""
    first = list(islice(records, _FIRST_RECORDS))
    pairs = _pairs(rules.columns)
    seen = {field for record in first for field in _resolve(tuple(record.values), pairs)}

    def all_records() -> Iterator[_Record]:
        yield from first
        yield from records

    return all_records(), frozenset(seen | set(rules.columns))


def _json(lines: Lines) -> Iterator[_Record]:
    for line in lines:
        if not line.raw.strip():
            continue
        try:
            _check(line.raw, line.cut)
            yield _Record(line.number, line.raw, _object(line.raw))
        except BadRecord as bad:
            yield _Record(line.number, line.raw, {}, bad)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRecord("bad_json", f"The line is not JSON: {str(error)[:100]}.") from None
    if not isinstance(found, dict):
        raise BadRecord("not_an_object", f"The line is {_kind(found)}; a record is a JSON object.")
    return found


def _check(raw: bytes, cut: bool) -> str:
    if cut:
        raise BadRecord("record_too_large", _TOO_LARGE)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadRecord("bad_encoding", f"Byte {error.start + 1} of the record is not UTF-8.") from None
    if "\x00" in text:
        raise BadRecord("nul_bytes", "The record contains a NUL byte.")
    return text


def _header(lines: Lines, form: Format, name: str, rules: Rules) -> tuple[tuple[str, ...], str, bool]:
    """The columns, the delimiter, and whether quotation marks enclose values."""
    quotes = form == "csv" if rules.quotes is None else rules.quotes
    line = next(lines, None)
    if line is None:
        return (), ",", quotes
    try:
        text = _check(line.raw, line.cut)
    except BadRecord as bad:
        raise BadPayload(f"{name}: its header cannot be read. {bad.detail}") from None
    delimiter = "\t" if form == "tsv" else max(_DELIMITERS, key=text.count)
    columns = tuple(column.strip() for column in _split(text, delimiter, quotes))
    found = _resolve(columns, _pairs(rules.columns))
    for field, column in rules.columns.items():
        if field not in found:
            raise BadPayload(
                f"{name}: has no column {column!r} for {field}; its columns: {', '.join(columns)[:300]}."
            )
    if "text" not in found:
        raise BadPayload(
            f"{name}: no column is named text; its columns: {', '.join(columns)[:300]}."
            " Map one, as in text=COLUMN."
        )
    return columns, delimiter, quotes


def _split(text: str, delimiter: str, quotes: bool) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter), [""]) if quotes else text.split(delimiter)


def _table(lines: Lines, columns: Sequence[str], delimiter: str, quotes: bool) -> Iterator[_Record]:
    for line in lines:
        if not line.raw.strip():
            continue
        taken = [line]
        try:
            if quotes and b'"' in line.raw and not line.cut:
                values, taken = _quoted(line, lines, len(columns), delimiter)
            else:
                values = _text(line).split(delimiter)
            _check(b"\n".join(part.raw for part in taken), line.cut)
            if len(values) != len(columns):
                raise BadRecord(
                    "wrong_columns", f"The row has {len(values)} values for {len(columns)} columns."
                )
            # Reversed, so that of columns with the same name the first counts.
            named = dict(zip(reversed(columns), reversed(values), strict=True))
            yield _Record(line.number, b"\n".join(part.raw for part in taken), named)
        except BadRecord as bad:
            yield _Record(line.number, b"\n".join(part.raw for part in taken), {}, bad)


def _text(line: Line) -> str:
    return line.raw.decode("utf-8", "surrogateescape")


def _quoted(first: Line, lines: Lines, width: int, delimiter: str) -> tuple[list[str], list[Line]]:
    """The values of a row that may run over several lines, and those lines.

    Where the lines taken do not make a row, a quotation mark is astray: only the first line is to blame,
    and the others are given back. Raises: BadRecord unclosed_quote, wrong_columns, bad_csv.
    """
    taken = [first]
    closed = True

    def texts() -> Iterator[str]:
        nonlocal closed
        yield _text(first) + "\n"
        size = len(first.raw)
        for line in lines:
            taken.append(line)
            size += len(line.raw)
            if size > _MAX_ROW_BYTES:
                break
            yield _text(line) + "\n"
        closed = False

    try:
        values = next(csv.reader(texts(), delimiter=delimiter))
        if not closed:
            raise BadRecord("unclosed_quote", "A quotation mark opens in this row and does not close.")
        if len(values) != width:
            raise BadRecord("wrong_columns", f"The row has {len(values)} values for {width} columns.")
    except csv.Error as error:
        lines.give_back(taken[1:])
        raise BadRecord("bad_csv", f"The row cannot be read: {error}.") from None
    except BadRecord:
        lines.give_back(taken[1:])
        raise
    return values, taken
