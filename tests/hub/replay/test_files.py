"""Traces and staffing from files, whole and damaged."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.errors import Invalid
from hub.replay.files import Names, kind_of, read_staffing, read_trace
from routing.replay.jobs import Abilities

START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = b'{"arrived_at": "2026-03-01T10:00:00Z"}'
FIRST = b'{"arrived_at": "2026-03-01T09:00:00Z"}'


@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_read_in_the_order_of_arrival(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / "trace"
    text = b"\xef\xbb\xbf" + LATER + b"\n\n" + FIRST
    file.write_bytes(gzip.compress(text) if packed else text)
    told: list[tuple[int, int]] = []
    read = read_trace(file, lambda done, total: told.append((done, total)))
    assert [record.ref for record in read.records] == [3, 1]
    assert (read.lines, read.problems.skipped, read.problems.first) == (3, 0, [])
    assert told[-1] == (file.stat().st_size,) * 2


def test_what_cannot_be_read_is_kept_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    unknown = b'{"arrived_at": "2026-03-01T09:00:00Z", "analysis": {"sentiment": {"label": "odd"}}}'
    file.write_bytes(b"\n".join([FIRST, b"oops \xff", b"{}", b"oops", unknown, b"1" * 2_000_000, LATER]))
    read = read_trace(file)
    assert [record.ref for record in read.records] == [1, 5, 7]
    assert read.problems.skipped == 4
    assert [(each.line, each.skipped) for each in read.problems.first] == [
        *((2, True), (3, True), (4, True)),
        *((5, False), (6, True)),
    ]
    assert read.problems.first[0].text == "oops \ufffd"
    assert read.problems.first[1].reason == "arrived_at: is missing"
    assert len(read.problems.first[4].text) == 200
    assert read.problems.by_reason["this is no JSON"] == 2


def test_a_damaged_archive_gives_what_comes_before(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl.gz"
    # Random enough that it is not packed into a single block.
    lines = [f'{{"arrived_at": "2026-03-01T09:00:00.{n * 7919 % 1000003:06}Z"}}' for n in range(50_000)]
    packed = gzip.compress("\n".join(lines).encode())
    file.write_bytes(packed[: len(packed) // 2])
    read = read_trace(file)
    assert 0 < len(read.records) < 50_000
    assert "damaged" in read.problems.first[-1].reason


def test_kinds_of_channels() -> None:
    assert [kind_of(name) for name in ("Email", "zendesk", "x", "social", "whatever")] == [
        *("mail", "ticket"),
        *("social", "social", "social"),
    ]


def test_shifts(tmp_path: Path) -> None:
    file = tmp_path / "staffing.csv"
    file.write_text(
        "\ufeffAgents, from ,to,note\n"
        "2,2026-03-01T01:00:00+01:00,2026-03-01T02:00:00,\n"
        "\n"
        "3,2026-03-01T01:00:00Z,2026-03-01T03:00:00Z,x\n"
        "1.5,2026-03-01T01:00:00Z,2026-03-01T03:00:00Z,x\n"
        "1,2026-03-01T03:00:00Z,2026-03-01T01:00:00Z,x\n"
        "1,monday,2026-03-01T01:00:00Z,x\n"
        "1,2026-03-01T03:00:00Z\n"
    )
    staffing, problems = read_staffing(file, START)
    assert [staffing.at(hour * 3600) for hour in (-1, 0, 1, 2, 3)] == [0, 2, 5, 3, 0]
    assert staffing.groups == ()
    assert [(each.line, each.reason.split(":")[0]) for each in problems.first] == [
        *((5, "agents"), (6, "to is not after from")),
        *((7, "from"), (8, "2 columns, which are too few")),
    ]


NAMES = Names(("Service", "back office"), ("german", "billing", "plain words"))
SPAN = "2026-03-01T01:00:00Z,2026-03-01T02:00:00Z"


@pytest.mark.parametrize(
    ("columns", "cells", "teams", "skills", "capacity"),
    [
        ("teams,skills,capacity", "", [], {}, None),
        ("teams,skills", "service,german:3 billing:2", ["Service"], {"german": 3, "billing": 2}, None),
        ("teams,skills", "back office,GERMAN=5", ["back office"], {"german": 5}, None),
        ("teams", '"Service, back office"', ["Service", "back office"], None, None),
        ("Skills", "plain words: 2; german:1;", None, {"plain words": 2, "german": 1}, None),
        ("skills,capacity", "german:1 german:2,4", None, {"german": 2}, 4),
    ],
)
def test_who_can_do_what(
    tmp_path: Path,
    columns: str,
    cells: str,
    teams: list[str] | None,
    skills: dict[str, int] | None,
    capacity: int | None,
) -> None:
    file = tmp_path / "staffing.csv"
    file.write_text(f"from,to,agents,{columns}\n{SPAN},2,{cells}\n")
    staffing, problems = read_staffing(file, START, NAMES)
    assert problems.first == []
    able = Abilities(
        None if teams is None else frozenset(teams),
        None if skills is None else tuple(sorted(skills.items())),
        capacity,
    )
    assert [(abilities, part.at(3600)) for abilities, part in staffing.groups] == [(able, 2)]
    assert (staffing.times, staffing.counts) == ((3600.0, 7200.0), (2, 0))


def test_what_is_wrong_with_a_skill_is_told_by_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "staffing.csv"
    rows = ["2,service,german:3,x", "1,servise,gernan:2 billing:1,", "1,,german:6,", "1,,german,", "1,,:3,"]
    file.write_text("\n".join(["from,to,agents,teams,skills,skils", *(f"{SPAN},{row}" for row in rows)]))
    staffing, problems = read_staffing(file, START, NAMES)
    assert [(each.line, each.skipped, each.reason) for each in problems.first] == [
        (1, False, "skils: passed over, there is no such column; did you mean skills?"),
        (3, False, "teams: left out, no such team: 'servise'; did you mean Service?"),
        (3, False, "skills: left out, no such skill: 'gernan'; did you mean german?"),
        (4, True, "skills: the level of 'german' is '6', and not 1 to 5"),
        (5, True, "skills: 'german' is no skill with its level, such as german:3"),
        (6, True, "skills: ':3' is no skill with its level, such as german:3"),
    ]
    assert staffing.at(3600) == 3
    assert [abilities.skills for abilities, _ in staffing.groups] == [(("german", 3),), (("billing", 1),)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("from,till,agents\n", "no column to"),
        ("", "no column from, to, agents"),
        ("from,to,agents\n", "no shift that can be read"),
        ("from,to,agents\nx,y,z\n", "line 2: from: 'x' is no ISO time"),
    ],
)
def test_a_file_without_shifts(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "staffing.csv"
    file.write_text(text)
    with pytest.raises(Invalid, match=why):
        read_staffing(file, START)
