from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.inbox.ingest import unanalysed
from hub.runtime import Hub
from sentiment.types import Analysis
from tests.factories import WordScorer
from tests.hub.cli.conftest import Cli


def last_line(stdout: str) -> object:
    return json.loads(stdout.splitlines()[-1])


def test_files_go_through_the_whole_flow_and_the_second_time_nothing_is_stored(cli: Cli, posts: Path) -> None:
    first = cli("ingest", posts, "--channel", "chirp", "--kind", "social")
    assert last_line(first.stdout) == {"received": 5, "stored": 3, "duplicates": 0, "rejected": 2}
    assert "2 records kept raw" in first.stderr

    again = cli("ingest", posts, "--channel", "chirp")
    assert last_line(again.stdout) == {"received": 5, "stored": 0, "duplicates": 3, "rejected": 2}

    queue = cli.json("queue")
    assert {row["customer"]: row["sentiment"]["label"] for row in queue} == {
        "@anna": "positive",
        "@ben": "negative",
        "@cleo": "neutral",
    }
    assert [row["reply_by"] for row in queue] == sorted(row["reply_by"] for row in queue)
    assert all(row["weight"] > 0 and row["reasons"] for row in queue)
    assert len(cli.json("rejects")) == 2


def test_columns_are_mapped(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("key,who,words,at\nr1,Dora,not good at all,2026-03-01\n")
    cli("ingest", file, "--map", "text=words,author=who,external_id=key,sent_at=at")
    (row,) = cli.json("queue")
    assert (row["customer"], row["preview"]) == ("@Dora", "not good at all")
    assert "no_such_column" in cli.problem("ingest", file, "--map", "text=no_such_column")


def test_a_dry_run_shows_what_would_happen_and_stores_nothing(cli: Cli, posts: Path, hub: Hub) -> None:
    shown = cli.json("ingest", posts, "--dry-run")
    assert {name: shown[name] for name in ("received", "stored", "duplicates", "rejected")} == {
        "received": 5,
        "stored": 3,
        "duplicates": 0,
        "rejected": 2,
    }
    assert [each["external_id"] for each in shown["messages"]] == ["1", "2", "3"]
    assert [each["reason"] for each in shown["rejects"]] == ["missing_author", "bad_json"]
    with hub.database.reading() as session:
        for table in (Channel, Message):
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_what_is_not_analysed_is_said_and_done_the_next_time(cli: Cli, posts: Path, hub: Hub) -> None:
    told = cli("ingest", posts, "--no-analyse")
    assert "3 messages not analysed yet" in told.stderr
    with hub.database.reading() as session:
        assert unanalysed(session) == 3
    assert "not analysed" not in cli("ingest", posts).stderr
    with hub.database.reading() as session:
        assert unanalysed(session) == 0


def test_an_empty_file_is_no_error(cli: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert last_line(cli("ingest", empty).stdout) == {
        "received": 0,
        "stored": 0,
        "duplicates": 0,
        "rejected": 0,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.jsonl",), "there is no such file or folder"),
        (("posts.jsonl", "--channel", "No Name"), "channel name 'No Name'"),
        (("posts.jsonl", "--channel", "shop"), "is a webhook channel, not one for files"),
        (("posts.jsonl", "--channel", "letters", "--kind", "social"), "is of kind mail, not social"),
        (("posts.jsonl", "--map", "txt=text"), "map.txt"),
    ],
)
def test_what_cannot_be_done_is_one_line(cli: Cli, posts: Path, words: Sequence[str], said: str) -> None:
    cli("channels", "add", "shop", "--connector", "webhook")
    cli("channels", "add", "letters", "--connector", "files", "--kind", "mail")
    assert said in cli.problem("ingest", *words)


def test_with_json_an_error_is_a_problem_object(cli: Cli) -> None:
    problem = cli.json("ingest", "nowhere.jsonl", status=1)
    assert (problem["title"], problem["status"], problem["field"]) == ("Invalid", 422, "path")


def test_a_map_that_is_none_is_a_wrong_command(cli: Cli, posts: Path) -> None:
    assert "is not FIELD=COLUMN" in cli("ingest", posts, "--map", "text", status=2).stderr


def test_a_model_that_does_not_load_leaves_the_messages_stored(
    cli: Cli, posts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> WordScorer:
        raise OSError("the heads are missing")

    monkeypatch.setattr("sentiment.load", load)
    told = cli("ingest", posts, status=1)
    assert last_line(told.stdout) == {"received": 5, "stored": 3, "duplicates": 0, "rejected": 2}
    assert "Error: the model 'default' cannot be loaded: the heads are missing" in told.stderr
    assert len(cli.json("queue")) == 3


def test_ctrl_c_ends_after_a_batch_and_the_next_time_goes_on(
    cli: Cli, posts: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(WordScorer):
        def score(self, texts: Sequence[str]) -> list[Analysis]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().score(texts)

    monkeypatch.setenv("HUB_ANALYSIS_BATCH", "2")
    with monkeypatch.context() as patch:
        patch.setattr("sentiment.load", lambda *_, **__: Interrupted())
        told = cli("ingest", posts, status=130)
    assert "1 message not analysed yet" in told.stderr
    with hub.database.reading() as session:
        assert unanalysed(session) == 1
    cli("ingest", posts)
    with hub.database.reading() as session:
        assert unanalysed(session) == 0


def test_where_no_worker_answers_the_broker_s_nudges_it_is_done_here(
    cli: Cli, posts: Path, hub: Hub, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_BROKER_URL", redis_url)
    monkeypatch.setattr("hub.cli.ingest.PATIENCE_SECONDS", 0.1)
    assert "doing it here" in cli("ingest", posts).stderr
    with hub.database.reading() as session:
        assert unanalysed(session) == 0
