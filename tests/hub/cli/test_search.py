from __future__ import annotations

from pathlib import Path

from tests.hub.cli.conftest import Cli


def test_what_was_said_is_found(cli: Cli, posts: Path) -> None:
    cli("ingest", posts, "--channel", "chirp")
    everything = cli.json("search", "from:*")
    assert everything
    word = everything[0]["text"].split()[0].strip(".,!?")
    assert everything[0] in cli.json("search", f'"{word}"')
    shown = cli("search", "from:*", "--limit", 1)
    assert "chirp" in shown.stdout
    assert "--cursor" in shown.stderr
    assert cli("search", "nobodysaysthis").stderr == "Nobody said that.\n"


def test_a_mistake_is_told(cli: Cli) -> None:
    assert cli.problem("search", "a langg:de") == "no field 'langg'; did you mean lang? (at character 3)"
