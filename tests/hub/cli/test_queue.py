from __future__ import annotations

from pathlib import Path

import pytest

from hub.assignment.claiming import claim_next
from hub.clock import utcnow
from hub.runtime import Hub
from tests import factories
from tests.hub.cli.conftest import Cli


@pytest.fixture
def waiting(cli: Cli, posts: Path) -> None:
    cli("ingest", posts, "--channel", "chirp", "--kind", "social")


def test_an_empty_queue_says_so(cli: Cli) -> None:
    told = cli("queue")
    assert (told.stdout, told.stderr) == ("", "Nobody is waiting.\n")
    assert cli.json("queue") == []


@pytest.mark.usefixtures("waiting")
def test_a_list_for_people_says_by_when_and_why(cli: Cli) -> None:
    told = cli("queue").stdout
    assert told.index("@anna") < told.index("@ben") < told.index("@cleo")
    assert "× " in told
    assert "promised by 2026-03-01" in told


@pytest.mark.usefixtures("waiting")
def test_what_a_customer_wrote_cannot_drive_the_terminal(cli: Cli) -> None:
    told = cli("queue").stdout
    assert "\x1b" not in told
    assert "\\u001b[31mparcel" in told


@pytest.mark.usefixtures("waiting")
def test_pages_follow_each_other(cli: Cli) -> None:
    first = cli("queue", "--limit", 2)
    assert "@cleo" not in first.stdout
    cursor = first.stderr.split("--cursor ")[1].strip()
    rest = cli("queue", "--cursor", cursor)
    assert "@cleo" in rest.stdout
    assert "@ben" not in rest.stdout
    assert len(cli.json("queue", "--limit", 0)) == len(cli.json("queue")) == 3
    assert len(cli.json("queue", "--limit", 2)) == 2


@pytest.mark.usefixtures("waiting")
def test_of_one_s_own_and_of_nobody(cli: Cli, hub: Hub) -> None:
    with hub.database.session() as session:
        agent = factories.user(session, at=utcnow())
        claim_next(session, agent.id, utcnow())
        email = agent.email
    assert [row["customer"] for row in cli.json("queue", "--owner", email)] == ["@anna"]
    assert [row["customer"] for row in cli.json("queue", "--unowned")] == ["@ben", "@cleo"]
    assert "Nobody of these" in cli("queue", "--tier", "platinum").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--channel", "nowhere"), "no channel 'nowhere'"),
        (("--owner", "nobody@brand.example"), "no user nobody@brand.example"),
        (("--cursor", "xyz"), "this cursor is not one of ours"),
    ],
)
def test_a_name_that_is_not_known_is_one_line(cli: Cli, words: tuple[str, str], said: str) -> None:
    assert cli.problem("queue", *words) == said


@pytest.mark.usefixtures("waiting")
def test_what_was_decided_of_one(cli: Cli) -> None:
    told = cli("decisions", 1).stdout
    assert "first reply within" in told
    assert "version 1 of the policy" in told
    (first, *_) = cli.json("decisions", 1)
    assert {"metric", "version", "reasons", "due_at"} <= first.keys()
    assert "there is no conversation 99" in cli.problem("decisions", 99)
