from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.hub.cli.conftest import Cli


def scored(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_a_line_of_json_for_each_line_of_text(alone: Cli, tmp_path: Path) -> None:
    told = scored(alone("score", given="all good\r\n\nbad 😡\u2028still the same line").stdout)
    assert [each["text"] for each in told] == ["all good", "", "bad 😡\u2028still the same line"]
    assert [each["sentiment"]["label"] for each in told] == ["positive", None, "negative"]
    assert told[0]["intents"][0]["label"] == "praise_thanks"
    assert {each["sentiment"]["score"] > 0 for each in told if each["text"] == "all good"} == {True}
    assert told[2]["sentiment"]["score"] == pytest.approx(-0.85)
    assert told[2]["emotion"] == {"label": "annoyance", "confidence": 0.7}
    assert (told[2]["sarcasm"], told[2]["expects_reply"]) == (0.05, 0.9)
    assert set(told[0]) == {
        "text",
        "language",
        "sentiment",
        "intents",
        "emotion",
        "sarcasm",
        "expects_reply",
        "taught",
        "model",
    }
    assert set(told[0]["sentiment"]) == {"label", "confidence", "score", "scores"}
    assert not (tmp_path / "var").exists(), "no database is needed"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", 'id\tText\n1\ta "good day\n2\tbad\n'),
        ("a.csv", 'id,text\n1,"a ""good day"\n2,bad\n'),
        ("a.csv", 'text;id\n"a ""good day";1\nbad;2\n'),
        ("a.tsv", '\ufeffid\ttext\r\n1\ta "good day\r\n2\tbad\r\n'),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_column_of_a_table(alone: Cli, tmp_path: Path, name: str, content: str, packed: bool) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    told = scored(alone("score", file, "--column", "text").stdout)
    assert [each["text"] for each in told] == ['a "good day', "bad"]


def test_bytes_that_are_no_text_are_read_as_far_as_they_go(alone: Cli) -> None:
    (only,) = scored(alone("score", "-", given=b"good \xff\n").stdout)
    assert only["text"] == "good \ufffd"


def test_more_texts_than_a_batch_keep_their_order(alone: Cli) -> None:
    texts = [f"text {n}" for n in range(600)]
    assert [each["text"] for each in scored(alone("score", given="\n".join(texts)).stdout)] == texts


def test_nothing_in_is_nothing_out(alone: Cli) -> None:
    assert alone("score", given="").stdout == ""


def test_an_unknown_column_is_a_wrong_command(alone: Cli) -> None:
    told = alone("score", "--column", "words", status=2, given="id,text\n1,x\n")
    assert "the header has id, text" in told.stderr


def test_a_file_that_is_not_there_is_one_line(alone: Cli) -> None:
    assert alone.problem("score", "nowhere.txt") == "nowhere.txt: No such file or directory"


def test_a_damaged_archive_is_one_line(alone: Cli, tmp_path: Path) -> None:
    file = tmp_path / "cut.gz"
    file.write_bytes(gzip.compress(b"good\n" * 1000)[:20])
    assert "damaged" in alone.problem("score", file)


def test_words_that_moved_the_mood_are_listed(alone: Cli) -> None:
    told = alone("score", "--explain", given="good, but bad\x1b[2J\n\n")
    assert told.stdout.splitlines() == [
        "negative, 0.90 sure",
        "   -2.00  good,",
        "",
        "",
        "  not explained: nothing was written",
        "",
    ]


@pytest.mark.parametrize("words", [["--explain"], ["--explain", "sentiment"], ["--explain=sentiment"]])
def test_explanations_stand_beside_the_scores(alone: Cli, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "a.txt").write_text("so bad\n\n")
    bad, blank = scored(alone("score", *words, "a.txt", "--json").stdout)
    assert bad["sentiment"]["label"] == "negative"
    assert bad["explanation"] == {
        "head": "sentiment",
        "label": "negative",
        "confidence": 0.9,
        "total": 2.2,
        "baseline": -0.7,
        "words": [
            {"start": 0, "end": 2, "text": "so", "contribution": 0.0},
            {"start": 3, "end": 6, "text": "bad", "contribution": 2.0},
        ],
    }
    assert (blank["explanation"], blank["not_explained"]) == (None, "nothing was written")


def test_what_is_to_be_explained_may_be_named(alone: Cli) -> None:
    told = alone("score", "--explain", "sentiment:positive", given="bad and good\n").stdout
    assert told.splitlines()[:3] == ["positive, 0.90 sure", "   -2.00  bad", "   +2.00  good"]
    (wish,) = scored(alone("score", "--explain", "intents:complaint", "--json", given="bad\n").stdout)
    assert (wish["explanation"]["head"], wish["explanation"]["label"]) == ("intents", "complaint")


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ("--explain=mood", "there is no head 'mood'"),
        ("--explain=sentiment:angry", "sentiment is never 'angry'"),
    ],
)
def test_what_cannot_be_explained_is_a_wrong_command(alone: Cli, about: str, why: str) -> None:
    assert why in alone("score", about, status=2, given="bad\n").stderr


def test_a_terminal_shows_the_words_in_their_places(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    told = alone("score", "--explain", given="so bad, not good\x07\n").stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told)
    assert plain.splitlines() == ["negative, 0.90 sure: for it, against it", "so bad, not good\\u0007", ""]
    assert re.search(r"\x1b\[1;4;36mbad,\x1b\[0m", told)


def test_the_model_that_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = "This is terrible, I want my money back!\nThank you, I love it!\n\n"
    angry, happy, silent = scored(Cli()("score", given=texts).stdout)
    assert (angry["sentiment"]["label"], happy["sentiment"]["label"]) == ("negative", "positive")
    assert sum(angry["sentiment"]["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert angry["language"] == "en"
    assert "praise_thanks" in [each["label"] for each in happy["intents"]]
    assert silent["sentiment"]["label"] is None
    assert silent["abstained"]
    assert "abstained" not in angry
