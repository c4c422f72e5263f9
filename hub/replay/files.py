"""Traces and staffing from files: what cannot be read is kept with its reason, and the rest goes on."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from hub.errors import Invalid
from routing.assignment_rules import HIGHEST_LEVEL
from routing.policy import Policy
from routing.policy_problems import no_such
from routing.replay.jobs import Abilities, Staffing
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
_ABILITIES = ("teams", "skills", "capacity")
_MOST_UNITS = 1000
# A name may have spaces in it: a level ends each skill.
_SKILL = re.compile(r"\s*[;,]?\s*([^:=;,]+?)\s*[:=]\s*([^\s;,]+)")


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


@dataclass(frozen=True, slots=True)
class Names:
    """The teams and skills that the policies on trial know."""

    teams: Collection[str] = ()
    skills: Collection[str] = ()

    @classmethod
    def of(cls, policies: Iterable[Policy]) -> Names:
        """Of all of them together."""
        teams = [team for policy in policies for team in policy.teams]
        skills = [skill for policy in policies for skill in policy.skills]
        return cls(tuple(dict.fromkeys(teams)), tuple(dict.fromkeys(skills)))


def read_staffing(path: Path, start: datetime, names: Names | None = None) -> tuple[Staffing, Problems]:
    """Read shifts, `from,to,agents` with ISO times (UTC where no zone is named), as seconds since `start`.

    Three more columns may say who can do what: `teams`, `skills` as in `german:3 billing:2`, and `capacity`.
    A name that no policy knows is left out and told; its shift stays. What a file has no column for stands in
    nobody's way. Raises: OSError; hub.errors.Invalid for a file without the first three or without a shift.
    """
    problems = Problems()
    shifts: dict[Abilities, list[tuple[float, float, int]]] = {}
    with path.open("rb") as raw, TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(text)
        try:
            header = [name.strip().casefold() for name in next(reader, [])]
            if missing := [name for name in _COLUMNS if name not in header]:
                raise Invalid(
                    f"{path}: no column {', '.join(missing)}; the first line is to be {','.join(_COLUMNS)}"
                    f" and may go on with {','.join(_ABILITIES)}",
                    field="staffing",
                )
            for name in header:
                meant = get_close_matches(name, _ABILITIES, n=1)
                if meant and name not in _ABILITIES:
                    why = f"{name}: passed over, there is no such column; did you mean {meant[0]}?"
                    problems.add(1, why, ",".join(header), skipped=False)
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                try:
                    cells = _cells(header, row)
                    shift = _shift(cells, start)
                    abilities, notes = _abilities(cells, names or Names())
                except ValueError as error:
                    problems.add(reader.line_num, str(error), ",".join(row))
                    continue
                shifts.setdefault(abilities, []).append(shift)
                for note in notes:
                    problems.add(reader.line_num, note, ",".join(row), skipped=False)
        except csv.Error as error:
            problems.add(reader.line_num, f"this is no CSV: {error}", "")
    if not shifts:
        first = f"; line {problems.first[0].line}: {problems.first[0].reason}" if problems.first else ""
        raise Invalid(f"{path}: there is no shift that can be read{first}", field="staffing")
    groups = [(abilities, Staffing.of_shifts(some)) for abilities, some in shifts.items()]
    if shifts.keys() == {Abilities()}:
        return groups[0][1], problems
    return Staffing.of_groups(groups), problems


def _cells(header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if len(row) <= max(header.index(name) for name in _COLUMNS):
        raise ValueError(f"{len(row)} columns, which are too few")
    # Of a column that is there twice the first counts; what ends too early is empty.
    cells = {name: "" for name in _ABILITIES if name in header}
    for name, cell in reversed(list(zip(header, row, strict=False))):
        cells[name] = cell.strip()
    return cells


def _shift(cells: Mapping[str, str], start: datetime) -> tuple[float, float, int]:
    begin, end = (_moment(name, cells[name]) for name in _COLUMNS[:2])
    if end <= begin:
        raise ValueError("to is not after from")
    agents = _whole("agents", cells["agents"], _MOST_AGENTS)
    return (begin - start).total_seconds(), (end - start).total_seconds(), agents


def _whole(name: str, given: str, most: int) -> int:
    if not (given.isascii() and given.isdigit() and int(given) <= most):
        raise ValueError(f"{name}: {given!r} is no whole number up to {most:,}")
    return int(given)


def _abilities(cells: Mapping[str, str], names: Names) -> tuple[Abilities, list[str]]:
    """What the agents of a row can do, and what of it was left out. Raises: ValueError."""
    notes: list[str] = []
    teams = skills = capacity = None
    if "teams" in cells:
        teams = frozenset(_known("team", _team_names(cells["teams"], names), names.teams, notes).values())
    if "skills" in cells:
        levels = _skills(cells["skills"])
        known = _known("skill", levels, names.skills, notes)
        skills = tuple(sorted((spelt, levels[given]) for given, spelt in known.items()))
    if cells.get("capacity"):
        capacity = _whole("capacity", cells["capacity"], _MOST_UNITS)
    return Abilities(teams, skills, capacity), notes


def _team_names(cell: str, names: Names) -> list[str]:
    """Parted by semicolons or commas; by spaces where there are none and this is no name of a team."""
    whole = {team.casefold() for team in names.teams}
    if cell.casefold() in whole:
        return [cell]
    parts = re.split("[;,]", cell) if re.search("[;,]", cell) else cell.split()
    return [part.strip() for part in parts if part.strip()]


def _skills(cell: str) -> dict[str, int]:
    found: dict[str, int] = {}
    end = 0
    while end < len(cell.rstrip(" ;,")):
        match = _SKILL.match(cell, end)
        if match is None:
            raise ValueError(f"skills: {cell[end:].strip()!r} is no skill with its level, such as german:3")
        name, level = match.groups()
        if not (level.isascii() and level.isdigit() and 1 <= int(level) <= HIGHEST_LEVEL):
            raise ValueError(f"skills: the level of {name!r} is {level!r}, and not 1 to {HIGHEST_LEVEL}")
        found[name] = int(level)
        end = match.end()
    return found


def _known(what: str, given: Iterable[str], known: Collection[str], notes: list[str]) -> dict[str, str]:
    """Of the names that are known, how the policy spells them."""
    spelt = {name.casefold(): name for name in known}
    found = {}
    for name in given:
        if name.casefold() in spelt:
            found[name] = spelt[name.casefold()]
        else:
            notes.append(f"{what}s: left out, {no_such(what, name, known)}")
    return found


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: {text!r} is no ISO time such as 2026-01-05T09:00:00Z") from None
