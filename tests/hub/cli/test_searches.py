from __future__ import annotations

from pathlib import Path

from tests.hub.cli.conftest import Cli


def test_a_search_is_watched(cli: Cli, posts: Path) -> None:
    cli("ingest", posts, "--channel", "chirp")
    assert "Nothing is watched yet" in cli("searches", "list").stderr
    assert "'Everybody' is watched" in cli("searches", "save", "Everybody", "from:*").stderr
    assert cli.json("searches", "save", "Nobody", "from:nobody")["query"] == "from:nobody"
    assert [each["name"] for each in cli.json("searches", "list")] == ["Everybody", "Nobody"]
    assert "from:nobody" in cli("searches", "list").stdout
    assert "is counted no more" in cli("searches", "remove", "Nobody").stderr
    assert cli.problem("searches", "remove", "Nobody") == "no saved search 'Nobody'"
    assert "missing at the end" in cli.problem("searches", "save", "Late", "late AND")
