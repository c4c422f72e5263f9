from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.conversations.models import Message
from hub.inbox.analyse import analyse
from hub.learning.corrections import correct
from hub.learning.reanalysis import reanalyse
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.cli.conftest import Cli
from tests.hub.learning.pupil import LUGGAGE, Pupil, Student


@pytest.fixture
def learning(cli: Cli, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line over a hub whose model learns."""
    monkeypatch.setattr("sentiment.load", lambda *_, **__: Pupil())
    return cli


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    path = tmp_path / "luggage.txt"
    path.write_text("\n".join(LUGGAGE) + "\n\n")
    return path


def stored(hub: Hub, *texts: str) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        for number, text in enumerate(texts):
            receive_one(session, chirp, inbound(text, author=f"author{number}"))
    while analyse(hub):
        pass


def test_an_intent_is_taught_shown_and_forgotten(learning: Cli, lesson: Path) -> None:
    assert "Nothing was taught yet" in learning("intents", "list").stderr
    told = learning("intents", "teach", "Lost luggage", "--examples", lesson).stderr
    assert told == "'Lost luggage' is taught by 5 examples: version 1 reads now.\n"
    assert "Lost luggage" in learning("intents", "list").stdout
    (taught,) = learning.json("intents", "list")
    assert (taught["name"], taught["examples"]) == ("Lost luggage", list(LUGGAGE))
    assert learning("intents", "show", "lost luggage").stdout.splitlines() == list(LUGGAGE)
    assert learning.json("intents", "show", "Lost luggage") == taught
    assert learning.json("intents", "forget", "Lost luggage") == {"name": "Lost luggage", "version": 2}
    assert learning.json("intents", "list") == []
    assert learning.problem("intents", "forget", "Parking") == "no intent named 'Parking' is taught"
    assert learning.problem("intents", "show", "Parking") == "no intent named 'Parking' is taught"


@pytest.mark.parametrize(
    "written",
    [
        "\r\n".join(LUGGAGE),
        "\n".join(json.dumps(text) for text in LUGGAGE),
        "\n".join(json.dumps({"text": text, "id": 7}) for text in LUGGAGE),
    ],
)
def test_examples_as_lines_and_as_json(learning: Cli, written: str) -> None:
    taught = learning.json("intents", "teach", "Lost luggage", given=written)
    assert (taught["examples"], taught["version"]) == (list(LUGGAGE), 1)


def test_a_quotation_is_no_json(learning: Cli) -> None:
    lines = ['"No bag", they said', *LUGGAGE]
    assert learning.json("intents", "teach", "Lost luggage", given="\n".join(lines))["examples"] == lines


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("one\ntwo", "5 different example messages or more, these are 2"),
        ('{"text": "a"}\nb', "line 2 is not JSON"),
        ('{"body": "a"}', "line 1 has no text in `text`"),
    ],
)
def test_examples_that_cannot_be_read(learning: Cli, tmp_path: Path, written: str, why: str) -> None:
    file = tmp_path / "examples"
    file.write_text(written)
    assert why in learning.problem("intents", "teach", "Lost luggage", "--examples", file)


def test_versions_are_listed_shown_and_used(learning: Cli, lesson: Path) -> None:
    assert "* base" in " ".join(learning("model", "list").stdout.split())
    learning("intents", "teach", "Lost luggage", "--examples", lesson)
    assert "Lost luggage" in learning("model", "list").stdout
    assert learning.json("model", "list")["active"] == 1
    assert "5 examples" in learning("model", "show").stdout
    shown = learning.json("model", "show", "1")
    assert (shown["kind"], shown["taught"], shown["base"]) == ("teach", ["Lost luggage"], "words-1")
    assert learning.json("model", "use", "base") == {"active": None}
    assert "nothing was learnt" in learning("model", "show").stderr
    assert learning.json("model", "show", "active")["id"] is None
    assert learning("model", "use", "1").stderr == "Version 1 reads now.\n"
    assert "no version '9'" in learning.problem("model", "use", "9")


def test_two_versions_are_compared_on_stored_messages(learning: Cli, hub: Hub, lesson: Path) -> None:
    assert "no messages" in learning("model", "compare", "base", "active").stderr
    stored(hub, LUGGAGE[0], "a good day", LUGGAGE[1])
    assert "differ on 0 of 3 messages (0.0%)" in learning("model", "compare", "base", "active").stderr
    learning("intents", "teach", "Lost luggage", "--examples", lesson)
    told = learning("model", "compare", "base", "1")
    assert "differ on 2 of 3 messages (66.7%)" in told.stderr
    assert "none → Lost luggage" in told.stdout
    found = learning.json("model", "compare", "base", "active", "--limit", "2", "--examples", "1")
    assert (found["a"], found["b"]) == ("words-1", "words-1+1")
    assert (found["messages"], found["differing"]) == (2, 1)
    assert found["pairs"] == [{"matter": "taught", "a": "none", "b": "Lost luggage", "messages": 1}]
    assert [each["text"] for each in found["examples"]] == [LUGGAGE[1]]
    assert found["examples"][0]["b"]["taught"] == "Lost luggage"
    assert learning.json("model", "compare", "1", "1", "--limit", "0")["messages"] == 3


def test_history_is_read_again_in_the_background(learning: Cli, hub: Hub) -> None:
    assert "No messages were read again yet" in learning("model", "progress").stderr
    assert learning.json("model", "progress") is None
    stored(hub, "one", "two")
    assert "2 messages will be read again" in learning("model", "reanalyse").stderr
    assert learning("model", "progress").stdout == "0 of 2 messages read again (0%).\n"
    assert "already" in learning.problem("model", "reanalyse")
    while reanalyse(hub):
        pass
    assert learning.json("model", "progress", "--watch")["done"] == 2
    assert "2 of 2 messages read again" in learning("model", "progress").stdout
    assert learning.json("model", "reanalyse", "--since", "2026-11-20")["total"] == 2
    assert "Stopped after 0 of 2 messages." in learning("model", "reanalyse", "--stop").stderr
    assert "Stopped at" in learning("model", "progress").stdout


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--stop", "--since", "2026-11-20")])
def test_what_is_not_understood(learning: Cli, words: tuple[str, ...]) -> None:
    learning("model", "reanalyse", *words, status=2)


@pytest.fixture
def student(cli: Cli, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line over a hub whose model can be calibrated and refitted."""
    monkeypatch.setattr("sentiment.load", lambda *_, **__: Student())
    return cli


JSONL = "\n".join(
    json.dumps({"text": f"text {n}", "sentiment": ("negative", "negative", "neutral", "positive")[n % 4]})
    for n in range(100)
)
CSV = "text,label\n" + "\n".join(f'"text, {n}",{("neg", "NEG", "Neutral", "pos")[n % 4]}' for n in range(100))


@pytest.mark.parametrize("written", [JSONL, CSV])
def test_labels_calibrate(student: Cli, tmp_path: Path, written: str) -> None:
    file = tmp_path / "labels"
    file.write_text(written)
    would = student("model", "calibrate", "--labels", file, "--dry-run")
    assert "It would be kept." in would.stderr
    assert student.json("model", "list")["active"] is None
    told = student("model", "calibrate", "--labels", file)
    assert "Version 1 reads now" in told.stderr
    assert "accuracy" in told.stdout
    assert "100 labels" in told.stderr
    shown = student.json("model", "show", "1")
    assert shown["note"] == "labels"
    assert shown["figures"]["after"]["accuracy"] == pytest.approx(0.5)
    assert "right 25\N{NO-BREAK SPACE}% → 50\N{NO-BREAK SPACE}%" in student("model", "show", "1").stdout


def test_what_makes_nothing_better_is_refused(student: Cli) -> None:
    moods = ("negative", "neutral", "neutral", "neutral", "positive")
    exact = "\n".join(json.dumps({"text": f"text {n}", "sentiment": moods[n % 5]}) for n in range(100))
    words = ("model", "calibrate", "--labels", "-")
    assert "nothing was changed" in student(*words, given=exact, status=1).stderr
    assert "would not be kept" in student(*words, "--dry-run", given=exact).stderr
    assert student.json(*words, given=exact, status=1)["version"] is None
    assert student.json(*words, "--force", given=exact)["version"] == 1


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('{"text": "a", "sentiment": "cross"}', "record 1 has the sentiment 'cross'"),
        ('{"text": "a"}', "record 1 has the sentiment ''"),
        ('{"sentiment": "neutral"}', "record 1 has no `text`"),
        ('{"text": "a", "sentiment": "neutral"}\n{', "record 2 is not JSON"),
        ('{"text": "a", "sentiment": "neutral"}\n7', "record 2 is not a JSON object"),
        ("words,mood\na,neutral", "record 1 has no `text`"),
        ('{"text": "a", "sentiment": "neutral"}', "at least 30 labelled messages, these are 1"),
        ("", "no labelled messages"),
    ],
)
def test_labels_that_cannot_be_used(student: Cli, tmp_path: Path, written: str, why: str) -> None:
    file = tmp_path / "labels"
    file.write_text(written)
    told = student("model", "calibrate", "--labels", file, status=1).stderr
    assert why in told.splitlines()[-1]


def test_few_labels_are_warned_of(student: Cli, tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("\n".join(JSONL.splitlines()[:40]))
    assert (
        "40 labelled messages: 100 or more make it sure."
        in student("model", "calibrate", "--labels", file).stderr
    )
    student("model", "calibrate", status=2)
    student("model", "calibrate", "--labels", file, "--corrections", status=2)


def test_corrections_refit_and_calibrate(student: Cli, hub: Hub) -> None:
    assert "so far there are 0" in student.problem("model", "refit")
    stored(hub, *(f"awful thing {n}" for n in range(60)))
    with hub.database.session() as session:
        alex = user(session)
        for message in session.scalars(select(Message)).all():
            # A few are left to the other moods, so that each has its messages.
            mood = {0: "neutral", 1: "positive"}.get(message.id % 20, "negative")
            correct(session, message, user=alex, now=NOW, sentiment=mood)
    assert "60 messages corrected by people" in student("model", "list").stderr
    assert student.json("model", "refit", "--dry-run")["improved"]
    refitted = student.json("model", "refit")
    assert refitted["version"] == 1
    assert refitted["after"]["sentiment_right"] > refitted["before"]["sentiment_right"]
    student("model", "use", "base")
    assert student.json("model", "calibrate", "--corrections")["labels"] == 60
    assert student.json("model", "show")["note"] == "corrections"
