"""Traces and staffing from files: what cannot be read is kept with its reason, and the rest goes on."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from hub.errors import Invalid
from routing.replay.jobs import Staffing
from routing.replay.records import Problem, Reader, Record

_GZIP = b"\x1f\x8b"
_KEPT_PROBLEMS = 1000
_SHOWN_LENGTH = 200
_LONGEST_LINE = 1_000_000
_MOST_AGENTS = 100_000
_STEP = 10_000
_BOM = "\ufeff".encode()
_MAIL = ("mail", "email", "e-mail", "imap")
_TICKET = ("ticket", "tickets", "zendesk", "freshdesk", "intercom", "helpdesk", "rest", "files", "webhook")
_COLUMNS = ("from", "to", "agents")


def kind_of(channel: str) -> str:
    """The kind of a channel that a trace names: by its name, social where the name says nothing."""
    name = channel.casefold()
    return "mail" if name in _MAIL else "ticket" if name in _TICKET else "social"


@dataclass(slots=True)
class Problems:
    """What could not be read: the first thousand with their lines, and all counted by reason."""

    first: list[Problem] = field(default_factory=list)
    by_reason: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    def add(self, line: int, reason: str, text: str, skipped: bool = True) -> None:
        """Keep one."""
        self.by_reason[reason] += 1
        self.skipped += skipped
        if len(self.first) < _KEPT_PROBLEMS:
            self.first.append(Problem(line, reason, text[:_SHOWN_LENGTH], skipped))


@dataclass(frozen=True, slots=True)
class TraceFile:
    """The conversations of a trace in the order of their arrival, and what could not be read of it."""

    records: list[Record]
    lines: int
    problems: Problems


def read_trace(path: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> TraceFile:
    """Read JSON lines, packed by gzip or not; `progress` is told bytes. Raises: OSError."""
    reader, problems = Reader(kind_of), Problems()
    records: list[Record] = []
    number = 0
    size = path.stat().st_size
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        source: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if packed else raw
        for number, line in enumerate(_lines(source, problems), start=1):
            text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
            if number % _STEP == 0:
                progress(min(raw.tell(), size), size)
            if not text:
                continue
            if len(text) >= _LONGEST_LINE:
                problems.add(number, "the line is longer than a million bytes", _shown(text))
                continue
            try:
                record, notes = reader.read(number, text)
            except ValueError as error:
                problems.add(number, str(error), _shown(text))
                continue
            records.append(record)
            for note in notes:
                problems.add(number, note, _shown(text), skipped=False)
    progress(size, size)
    records.sort(key=lambda record: record.arrived_at)
    return TraceFile(records, number, problems)


def _lines(source: IO[bytes] | gzip.GzipFile, problems: Problems) -> Iterator[bytes]:
    """The lines, however long, of a file that may end in the middle."""
    number = 0
    while True:
        try:
            line = source.readline(_LONGEST_LINE)
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = source.readline(_LONGEST_LINE)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            problems.add(number + 1, f"the packed file is damaged from here on: {error}", "")
            return
        if not line:
            return
        number += 1
        yield line


def _shown(text: bytes) -> str:
    return text[:_SHOWN_LENGTH].decode("utf-8", "replace")


def read_staffing(path: Path, start: datetime) -> tuple[Staffing, Problems]:
    """Read shifts, `from,to,agents` with ISO times (UTC where no zone is named), as seconds since `start`.

    Raises: OSError; hub.errors.Invalid for a file without these columns or without a shift.
    """
    problems = Problems()
    shifts: list[tuple[float, float, int]] = []
    with path.open("rb") as raw, TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(text)
        try:
            header = [name.strip().casefold() for name in next(reader, [])]
            if missing := [name for name in _COLUMNS if name not in header]:
                raise Invalid(
                    f"{path}: no column {', '.join(missing)}; the first line is to be {','.join(_COLUMNS)}",
                    field="staffing",
                )
            columns = [header.index(name) for name in _COLUMNS]
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                try:
                    shifts.append(_shift(row, columns, start))
                except ValueError as error:
                    problems.add(reader.line_num, str(error), ",".join(row))
        except csv.Error as error:
            problems.add(reader.line_num, f"this is no CSV: {error}", "")
    if not shifts:
        first = f"; line {problems.first[0].line}: {problems.first[0].reason}" if problems.first else ""
        raise Invalid(f"{path}: there is no shift that can be read{first}", field="staffing")
    return Staffing.of_shifts(shifts), problems


def _shift(row: list[str], columns: list[int], start: datetime) -> tuple[float, float, int]:
    if len(row) <= max(columns):
        raise ValueError(f"{len(row)} columns, which are too few")
    begin, end = (_moment(name, row[column]) for name, column in zip(_COLUMNS[:2], columns[:2], strict=True))
    if end <= begin:
        raise ValueError("to is not after from")
    given = row[columns[2]].strip()
    if not (given.isascii() and given.isdigit() and int(given) <= _MOST_AGENTS):
        raise ValueError(f"agents: {given!r} is no whole number up to {_MOST_AGENTS:,}")
    return (begin - start).total_seconds(), (end - start).total_seconds(), int(given)


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: {text!r} is no ISO time such as 2026-01-05T09:00:00Z") from None
