from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest

from tests.hub.cli.conftest import Cli

UNREAD = "no \u202ejson\x07".encode()


@pytest.fixture
def newest_id(cli: Cli, posts: Path) -> int:
    cli("ingest", posts, "--channel", "chirp")
    newest: int = cli.json("rejects")[0]["id"]
    return newest


def test_no_rejects_are_said_so(cli: Cli) -> None:
    assert cli("rejects").stderr == "Nothing was rejected.\n"
    assert cli.json("rejects") == []


@pytest.mark.usefixtures("newest_id")
def test_each_has_its_place_and_reason(cli: Cli) -> None:
    assert [(each["where"], each["reason"]) for each in cli.json("rejects", "--channel", "chirp")] == [
        ("posts.jsonl:5", "bad_json"),
        ("posts.jsonl:4", "missing_author"),
    ]
    told = cli("rejects", "--reason", "missing_author")
    assert "posts.jsonl:4" in told.stdout
    assert "bad_json" not in told.stdout
    assert "There are more" in cli("rejects", "--limit", 1).stderr
    assert cli.problem("rejects", "--channel", "nowhere") == "no channel 'nowhere'"


def test_a_record_is_shown_whole_and_safe(cli: Cli, newest_id: int) -> None:
    shown = cli("rejects", "show", newest_id)
    assert shown.stdout == "no \\u202ejson\\x07\n"
    assert cli("rejects", "show", newest_id, "--raw").stdout_bytes == UNREAD
    assert b64decode(cli.json("rejects", "show", newest_id)["raw_base64"]) == UNREAD
    assert cli.problem("rejects", "show", 999) == "no reject 999"
