"""Rejects: what could not be read, found, shown safely, and given back byte for byte."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from connectors.base import Batch, Rejected
from hub.inbox.queries import SHOWN_BYTES, Filters, count_reasons, list_rejects, printable
from hub.inbox.service import receive
from hub.runtime import Hub
from tests.factories import NOW, channel

NASTY = b"<script>alert(1)</script>\x00\xff\xfe\x1b[31m\r\nend \xe2\x80\xaegnp.exe"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain\ttext\n", "plain\ttext\n"),
        ("Grüße 🙂".encode(), "Grüße 🙂"),
        (b"broken \xff\xfe", r"broken \xff\xfe"),
        (b"nul \x00 bell \x07 escape \x1b", r"nul \x00 bell \x07 escape \x1b"),
        (b"line\r\nend", "line\nend"),
        (b"\xe2\x80\xaetxt", r"\u202etxt"),
        (b"", ""),
    ],
)
def test_printable(raw: bytes, text: str) -> None:
    assert printable(raw) == text


def keep(session: Session, name: str, *rejected: tuple[bytes, str]) -> None:
    items = tuple(
        Rejected(raw, reason, f"because of {reason}", f"{name}:{number}")
        for number, (raw, reason) in enumerate(rejected)
    )
    receive(session, channel(session, name).id, Batch(items), NOW)


def test_list_filters_and_counts(session: Session) -> None:
    keep(session, "chirp", (b"1", "bad_json"), (b"2", "bad_json"), (b"3", "nul_bytes"))
    keep(session, "mail", (b"4", "truncated_mime"), (b"5", "nul_bytes"))

    def found(**filters: str) -> list[str]:
        return [row.text for row in list_rejects(session, Filters(**filters)).items]

    assert found() == ["5", "4", "3", "2", "1"]
    assert found(reason="nul_bytes") == ["5", "3"]
    assert found(reason="nul_bytes", channel="chirp") == ["3"]
    assert found(channel="nowhere") == []
    assert [(each.reason, each.count) for each in count_reasons(session, Filters())] == [
        ("bad_json", 2),
        ("nul_bytes", 2),
        ("truncated_mime", 1),
    ]
    assert [each.reason for each in count_reasons(session, Filters(channel="mail"))] == [
        "nul_bytes",
        "truncated_mime",
    ]


def test_pages_follow_each_other(session: Session) -> None:
    keep(session, "chirp", *((str(number).encode(), "bad_json") for number in range(5)))
    first = list_rejects(session, Filters(), limit=2)
    second = list_rejects(session, Filters(), cursor=first.next_cursor, limit=2)
    third = list_rejects(session, Filters(), cursor=second.next_cursor, limit=2)
    texts = [row.text for page in (first, second, third) for row in page.items]
    assert texts == ["4", "3", "2", "1", "0"]
    assert third.next_cursor is None


def test_a_large_record_is_shown_in_part_and_not_loaded_whole(session: Session) -> None:
    keep(session, "chirp", (b"x" * 2_000_000, "too_large"), (b"y" * SHOWN_BYTES, "bad_json"))
    session.expunge_all()
    whole, part = list_rejects(session, Filters()).items
    assert (part.size_bytes, part.truncated, len(part.text)) == (2_000_000, True, SHOWN_BYTES)
    assert "raw" not in part.reject.__dict__
    assert (whole.size_bytes, whole.truncated) == (SHOWN_BYTES, False)


@pytest.fixture
def nasty(hub: Hub) -> int:
    """The id of a reject that would like to be a page."""
    with hub.database.session() as session:
        keep(session, "chirp", (NASTY, "bad_encoding"))
        return list_rejects(session, Filters()).items[0].reject.id


def test_api(api: TestClient, nasty: int) -> None:
    (item,) = api.get("rejects", params={"reason": "bad_encoding"}).json()["items"]
    assert (item["channel"], item["where"], item["size_bytes"]) == ("chirp", "chirp:0", len(NASTY))
    assert item["raw"] == "<script>alert(1)</script>\\x00\\xff\\xfe\\x1b[31m\nend \\u202egnp.exe"
    assert api.get(f"rejects/{nasty}/raw").content == NASTY
    assert api.get("rejects/999/raw").status_code == 404
    assert api.get("rejects", params={"cursor": "x"}).status_code == 422


def test_page_shows_it_safely_and_hands_it_out_as_a_file(agent: TestClient, nasty: int) -> None:
    text = agent.get("/rejects").text
    assert "Bad encoding" in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    answer = agent.get(f"/rejects/{nasty}/raw")
    assert answer.content == NASTY
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="reject-{nasty}.bin"'
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_page_goes_on(hub: Hub, agent: TestClient) -> None:
    with hub.database.session() as session:
        keep(session, "chirp", *((f"record {number}.".encode(), "bad_json") for number in range(3)))
    first = agent.get("/rejects", params={"limit": 2, "reason": "bad_json"}).text
    assert "record 2." in first
    assert "record 0." not in first
    more = first.split('<a class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "reason=bad_json" in more
    assert "record 0." in agent.get(more).text


def test_page_of_nothing(agent: TestClient) -> None:
    assert "Nothing was rejected" in agent.get("/rejects").text
