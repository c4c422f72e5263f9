"""Files of every kind and state: what comes out, and what is told of the rest."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.base import BadPayload, BadSignature, Delivery, InboundMessage, Rejected, RetryLater
from connectors.files import sources
from tests.connectors.contract import Item, reply
from tests.connectors.files.test_contract import items_of, open_files


def read(folder: Path, name: str, content: str | bytes, **config: Any) -> list[Item]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return items_of(open_files(path=path, **config))


def texts(items: list[Item]) -> list[str]:
    return [
        item.text if isinstance(item, InboundMessage) else f"{item.reason} {item.where}" for item in items
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "text\none\ntwo", ["one", "two"]),
        ("a.csv", "\ufefftext\r\none\r\n\r\ntwo\r\n", ["one", "two"]),
        ("a.csv", 'text,n\n"a, ""b""\nc",1\nd,2\n', ['a, "b"\nc', "d"]),
        ("a.csv", 'text,n\n5" pipe,1\n', ['5" pipe']),
        ("a.csv", " Text ,Author\nhi,jo\n", ["hi"]),
        ("a.csv", "text|n\nhi|1\n", ["hi"]),
        ("a.csv", "text,text\nfirst,second\n", ["first"]),
        ("a.csv", "text,n\nshort\nok,1\n", ["wrong_columns a.csv:2", "ok"]),
        ("a.csv", 'text,n\n"open,1\nnext,2\n"a, b",3\n', ["wrong_columns a.csv:2", "next", "a, b"]),
        ("a.csv", 'text,n\n"open,1\nnext,2\n', ["unclosed_quote a.csv:2", "next"]),
        ("a.csv", 'text,n\n"two\nlines\n",1\nok\n', ["two\nlines\n", "wrong_columns a.csv:5"]),
        ("a.csv", b'text,n\n"two\nl\xefnes",1\nok,2\n', ["bad_encoding a.csv:2", "ok"]),
        ("a.csv", b'text,n\n"a\x00b",1\nok,2\n', ["nul_bytes a.csv:2", "ok"]),
        ("a.tsv", 'text\tn\n"a\t1\nb"\t2\n', ['"a', 'b"']),
        ("a.tsv.gz", gzip.compress(b"text\nhi &amp; bye\n", mtime=0), ["hi &amp; bye"]),
        ("a.csv", gzip.compress(b"text\npacked\n", mtime=0), ["packed"]),
        ("a.jsonl", '{"text": "a"}\r\n\n{"body": "b"}\n', ["a", "b"]),
        ("a.json", '{"text": "a"}', ["a"]),
        ("feed", '{"text": "a"}', ["a"]),
        ("a.jsonl", '{"text": "' + "[" * 9 + '"}\n' + "[" * 99_999, ["[" * 9, "bad_json a.jsonl:2"]),
        ("a.jsonl", '{"text": ' + "9" * 5_000 + "}", ["bad_json a.jsonl:1"]),
        ("a.jsonl", '{"text": 5}\n{"text": null}', ["bad_text a.jsonl:1", "missing_text a.jsonl:2"]),
        ("a.jsonl", '{"text": "a", "author": {"id": 1}}', ["bad_author a.jsonl:1"]),
        ("a.jsonl", '{"text": "a", "author": "' + "x" * 999 + '"}', ["bad_author a.jsonl:1"]),
        ("a.jsonl", '{"text": "a", "author": "@"}', ["bad_author a.jsonl:1"]),
        ("a.jsonl", '{"text": "a", "author": "b", "followers": "many"}', ["bad_followers a.jsonl:1"]),
        ("a.csv", "text,author,followers\na,b," + "9" * 5_000, ["bad_followers a.csv:2"]),
        ("a.jsonl", '{"text": "a", "inbound": "perhaps"}', ["bad_incoming a.jsonl:1"]),
        ("letter", "From: a@b.example\nSubject: x\n\nhi", ["hi"]),
        ("box", "From a@b.example Mon Mar  2 10:00:00 2026\nFrom: a@b.example\n\nhi\n", ["hi"]),
        ("a.mbox", "From x\nFrom: a@b.example\n\nhi\n\nFrom y\nFrom: c@d.example\n\nho", ["hi\n", "ho"]),
        (
            "a.mbox",
            "From x\nSubject: who\n\nhi\n\nFrom y\nFrom: c@d.example\n\nho",
            ["missing_author a.mbox:1", "ho"],
        ),
        ("a.csv", "", []),
        ("a.jsonl", "", []),
        ("a.mbox", "", []),
    ],
)
def test_what_comes_out(tmp_path: Path, name: str, content: str | bytes, expected: list[str]) -> None:
    assert texts(read(tmp_path, name, content)) == expected


@pytest.mark.parametrize(
    ("name", "content", "config", "told"),
    [
        ("a.xlsx", b"PK\x03\x04", {}, "not a kind of file that can be read"),
        ("a.csv", "id,words\n1,hi\n", {}, "no column is named text; its columns: id, words"),
        ("a.csv", "id,text\n1,hi\n", {"map": {"author": "user"}}, "has no column 'user' for author"),
        ("a.csv", b"t\xe9xt\nhi\n", {}, "its header cannot be read"),
        ("a.csv", "text\nhi\n".encode("utf-16"), {}, "UTF-16"),
        ("a.json", '[{"text": "a"}]', {}, "one JSON array"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, name: str, content: str | bytes, config: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadPayload, match=told):
        read(tmp_path, name, content, **config)


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadPayload, match="no such file or folder"):
        items_of(open_files(path=tmp_path / "nowhere"))


def test_in_a_folder_foreign_and_damaged_files_do_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    packed = gzip.compress("\n".join(["text", *map(str, range(9_000))]).encode())
    (tmp_path / "b.csv.gz").write_bytes(packed[:-9])
    (tmp_path / "c.csv.gz").write_bytes(packed[:8] + b"\xff" * 99)
    (tmp_path / "d.csv").write_text("text\nfine\n")
    (tmp_path / ".hidden.csv").write_text("text\nhidden\n")
    found = texts(items_of(open_files(path=tmp_path)))
    assert found[0] == "unknown_format a.pdf"
    assert found[-3:] == ["damaged_file b.csv.gz", "damaged_file c.csv.gz", "fine"]
    assert len(found) > 4


def test_all_fields() -> None:
    folder = Path(__file__).parent / "fixtures"
    first, second, third = items_of(open_files(path=folder / "post.jsonl", network="chirp"))
    assert isinstance(first, InboundMessage)
    assert isinstance(second, InboundMessage)
    assert isinstance(third, InboundMessage)
    assert first.author is not None
    assert (first.author.name, first.author.followers) == ("Mara K.", 1200)
    assert [(i.kind, i.value, i.place) for i in first.author.identities] == [("handle", "mara_k", "chirp")]
    assert "&amp;" in first.text
    assert first.sent_at == datetime(2026, 3, 1, 7, 15, tzinfo=UTC)
    assert second.sent_at == datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
    assert (second.in_reply_to, second.meta) == (("post-1",), {"language": "de"})
    assert {first.thread_key, second.thread_key, third.thread_key} == {"t-1"}
    assert [first.incoming, second.incoming, third.incoming] == [True, True, False]


def test_columns_are_mapped(tmp_path: Path) -> None:
    content = json.dumps(
        {"post": {"full": "hi", "by": {"handle": "@jo"}}, "text": "not this", "when": "2026-01-01 12:00"}
    )
    [found] = read(
        tmp_path,
        "a.jsonl",
        content,
        map={"text": "post.full", "author": "post.by.handle", "sent_at": "when"},
        time_zone="Asia/Tokyo",
    )
    assert isinstance(found, InboundMessage)
    assert found.author is not None
    assert (found.text, found.author.identities[0].value) == ("hi", "jo")
    assert found.sent_at == datetime(2026, 1, 1, 3, 0, tzinfo=UTC)


def test_a_mapped_author_is_expected_of_every_record(tmp_path: Path) -> None:
    lines = '{"text": "a"}\n{"text": "b", "by": "jo"}'
    assert texts(read(tmp_path, "a.jsonl", lines, map={"author": "by"})) == ["missing_author a.jsonl:1", "b"]
    assert texts(read(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": "b"}')) == ["a", "b"]


def test_quotes_can_be_switched(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "a.tsv", 'text\tn\n"a\tb"\t1\n', quotes=True)) == ["a\tb"]
    assert texts(read(tmp_path, "a.csv", 'text,n\n"a,1\n', quotes=False)) == ['"a']


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_long_body_is_rejected_whole(tmp_path: Path, name: str) -> None:
    long = "x" * 2_000_000
    content = (
        f'{{"text": "{long}"}}\n{{"text": "fine"}}\n' if name == "a.jsonl" else f'text\n"{long}"\nfine\n'
    )
    bad, good = read(tmp_path, name, content)
    assert isinstance(bad, Rejected)
    assert bad.reason == "body_too_large"
    assert len(bad.raw) > 2_000_000
    assert isinstance(good, InboundMessage)
    assert texts(read(tmp_path, name, content, max_body_bytes=3_000_000)) == [long, "fine"]


def test_an_endless_line_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_RECORD_BYTES", 1_000)
    for name, content in (
        ("a.csv", "text\n" + "x" * 9_999 + "\nok"),
        ("a.jsonl", "x" * 9_999 + '\n{"text": "ok"}'),
    ):
        bad, good = read(tmp_path, name, content)
        assert isinstance(bad, Rejected)
        assert bad.reason == "record_too_large"
        assert bad.raw == b"x" * 1_000
        assert isinstance(good, InboundMessage)


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w") as stream:
        for number in range(8_000):
            stream.write(json.dumps({"text": f"{number} " + "x" * 2_000}) + "\n")
    tracemalloc.start()
    count = sum(len(batch.items) for batch in open_files(path=path).fetch(None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 8_000
    assert peak < path.stat().st_size / 4


def test_the_same_words_twice_are_two_messages_and_the_same_two_again(tmp_path: Path) -> None:
    first = read(tmp_path, "a.csv", "text\nlate\nlate\n")
    again = read(tmp_path, "renamed.csv", "text\r\nlate\r\nlate\r\n")
    ids = [item.external_id for item in first if isinstance(item, InboundMessage)]
    assert len(set(ids)) == 2
    assert first == again


def test_a_maildir_is_read(tmp_path: Path) -> None:
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "box" / folder).mkdir(parents=True)
    (tmp_path / "box" / "cur" / "1.a:2,S").write_bytes(b"From: a@b.example\n\nread\n")
    (tmp_path / "box" / "new" / "2.b").write_bytes(b"From: a@b.example\n\nunread\n")
    (tmp_path / "box" / "tmp" / "3.c").write_bytes(b"From: a@b.example\n\nhalf")
    assert texts(items_of(open_files(path=tmp_path / "box"))) == ["read\n", "unread\n"]
    assert texts(items_of(open_files(path=tmp_path))) == ["read\n", "unread\n"]


def test_what_changed_after_it_was_read_is_read_again(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("text\none\ntwo\n")
    connector = open_files(path=tmp_path)
    cursor = list(connector.fetch(None))[-1].cursor
    assert texts(items_of(connector, cursor)) == ["two"]
    assert cursor is not None
    long_ago = {**cursor, "read_at": "2000-01-01T00:00:00+00:00"}
    assert texts(items_of(connector, long_ago)) == ["one", "two"] * 3
    (tmp_path / "0.csv").write_text("text\nnew\n")
    assert "new" in texts(
        items_of(open_files(path=tmp_path), {**cursor, "read_at": "2000-01-01T00:00:00+00:00"})
    )
    (tmp_path / "c.csv").unlink()
    assert texts(items_of(connector, cursor)) == ["new"] + ["one", "two"] * 2


def test_the_outbox_is_not_read(tmp_path: Path) -> None:
    connector = open_files(path=tmp_path, outbox=tmp_path / "outbox")
    connector.send(reply())
    assert items_of(connector) == []


def test_a_reply_is_one_whole_file(tmp_path: Path) -> None:
    connector = open_files(outbox=tmp_path / "outbox")
    connector.send(reply())
    connector.send(replace(reply(), text="a second try must not change the first"))
    [path] = (tmp_path / "outbox").iterdir()
    assert path.name == "reply-1.json"
    assert json.loads(path.read_text()) == {
        "idempotency_key": "reply-1",
        "text": "Your parcel left this morning. Grüße, Ana 🙂",
        "author_name": "Ana",
        "recipient": {"kind": "handle", "value": "mara", "place": "social"},
        "thread_key": "thread-9",
        "in_reply_to": "post-5",
        "subject": "Re: Where is my parcel?",
        "created_at": "2026-03-01T09:30:00+00:00",
        "references": [],
        "answered": {},
        "attachments": [],
        "automatic": False,
    }


@pytest.mark.parametrize(
    "key", ["../../escape", "/etc/passwd", "", ".", "..", "a" * 300, "NUL\0", "half \ud83d"]
)
def test_no_key_leaves_the_outbox(tmp_path: Path, key: str) -> None:
    outbox = tmp_path / "deep" / "outbox"
    connector = open_files(outbox=outbox)
    sent = connector.send(reply(key))
    assert len(list(outbox.iterdir())) == 1
    assert list(tmp_path.rglob("*.json")) == list(outbox.iterdir())
    assert connector.find_sent(reply(key)) == sent


def test_a_disk_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    connector = open_files(outbox=tmp_path / "outbox")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RetryLater, match="No space left"):
        connector.send(reply())
    assert list((tmp_path / "outbox").iterdir()) == []
    monkeypatch.undo()
    assert connector.find_sent(reply()) is None
    assert connector.send(reply()).external_id == "reply-1"


def test_nobody_pushes_files(tmp_path: Path) -> None:
    pushed = Delivery({}, b"{}", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(BadSignature):
        open_files().verify(pushed)
    with pytest.raises(BadPayload):
        open_files().receive(pushed)
