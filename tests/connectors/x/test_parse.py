"""What the fixtures become, and what is told of posts that changed or are gone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Attachment, Author, Deleted, Edited, Identity, InboundMessage, Rejected
from connectors.x import parse
from connectors.x.parse import Account, View
from tests.connectors.x.standin import NOW

FIXTURES = Path(__file__).parent / "fixtures"
VIEW = View(Account("900", "acmeparcels"), NOW, "DE", 100_000)


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


def post(name: str, view: View = VIEW) -> InboundMessage:
    [item] = parse.event((FIXTURES / f"{name}.json").read_bytes(), view)
    assert isinstance(item, InboundMessage)
    return item


def direct(name: str) -> InboundMessage:
    found = fixture(name)
    [item] = parse.direct_messages({**found, "data": [found["data"]]}, VIEW)
    assert isinstance(item, InboundMessage)
    return item


def test_a_mention() -> None:
    message = post("post_mention")
    assert message.external_id == message.thread_key == "2028400000000000001"
    assert message.text.startswith("@acmeparcels my parcel 4711")
    assert "& nobody" in message.text
    assert message.author == Author(
        (Identity("handle", "mara_writes", "x"), Identity("external", "77", "x")), "Mara Lindqvist", 412
    )
    assert message.sent_at is not None
    assert message.sent_at.isoformat() == "2026-03-02T09:15:00+00:00"
    assert message.incoming
    assert message.addressed
    assert message.url == "https://x.com/mara_writes/status/2028400000000000001"
    assert message.meta == {"kind": "post", "post_id": "2028400000000000001", "language": "en"}


def test_a_reply_belongs_to_its_conversation() -> None:
    message = post("post_reply")
    assert message.thread_key == "2028400000000000001"
    assert message.in_reply_to == ("2028400000000000009",)


def test_what_is_overheard_is_not_addressed() -> None:
    message = post("post_overheard")
    assert not message.addressed
    assert message.text == "anyone else waiting for acme parcels?? 3 days <sigh>"


def test_without_an_account_nothing_is_addressed() -> None:
    assert not post("post_mention", replace(VIEW, account=None)).addressed


def test_the_brands_own_post_is_not_incoming() -> None:
    found = fixture("post_overheard")
    found["data"]["author_id"] = "900"
    [message] = parse.event(json.dumps(found).encode(), VIEW)
    assert isinstance(message, InboundMessage)
    assert not message.incoming


def test_a_long_post_is_whole_and_its_links_are_written_out() -> None:
    message = post("post_long")
    assert len(message.text) > 400
    assert message.text.endswith("Details: https://mara.example/parcel-4711")
    assert "quo1" not in post("post_quoting").text
    assert post("post_quoting").in_reply_to == ()


def test_pictures_and_films_come_described() -> None:
    picture = post("post_with_picture")
    assert picture.text == "@acmeparcels look at this box"
    assert picture.attachments == (
        Attachment(
            "3_8001.jpg",
            "image/jpeg",
            0,
            url="https://pbs.example/media/box.jpg",
            description="A wet cardboard box on a doorstep",
            fetchable=True,
        ),
    )
    film = post("post_with_film_alone")
    assert film.text == ""
    assert (film.attachments[0].content_type, film.attachments[0].url) == (
        "video/mp4",
        "https://video.example/high.mp4?tag=12",
    )
    assert "language" not in film.meta


def test_somebody_who_cannot_be_shown_is_known_by_number() -> None:
    message = post("post_of_somebody_suspended")
    assert message.author == Author((Identity("external", "80", "x"),))
    assert message.url == "https://x.com/i/status/2028400000000000010"


def test_a_direct_message() -> None:
    message = direct("direct_message")
    assert (message.external_id, message.thread_key) == ("dm-2028400000000000020", "dm-77-900")
    assert message.text == "My number is 4711 & the door code 12"
    assert message.addressed
    assert message.incoming
    assert direct("direct_message_with_picture").attachments[0].content_type == "image/png"
    found = fixture("direct_message")
    found["data"]["event_type"] = "ParticipantsJoin"
    assert parse.direct_messages({"data": [found["data"]]}, VIEW) == ()


@pytest.mark.parametrize(
    ("codes", "country", "gone"),
    [
        (["FR"], "DE", False),
        (["FR"], None, False),
        (["FR", "DE"], "DE", True),
        (["XX"], None, True),
        (["XY"], "DE", True),
    ],
)
def test_a_withheld_post(codes: list[str], country: str | None, gone: bool) -> None:
    found = fixture("post_withheld_elsewhere")
    found["data"]["withheld"]["country_codes"] = codes
    [item] = parse.event(json.dumps(found).encode(), replace(VIEW, country=country))
    if gone:
        assert item == Deleted("2028400000000000008")
    else:
        assert isinstance(item, InboundMessage)
        assert item.meta["withheld_in"] == codes


def test_an_edited_post_comes_as_its_first_version_and_as_the_change() -> None:
    found = fixture("post_mention")
    found["data"] |= {"id": "2028400000000000050", "text": "@acmeparcels it came!"}
    found["data"]["edit_history_tweet_ids"] = ["2028400000000000001", "2028400000000000050"]
    message, change = parse.event(json.dumps(found).encode(), VIEW)
    assert isinstance(message, InboundMessage)
    assert message.external_id == "2028400000000000001"
    assert message.meta["post_id"] == "2028400000000000050"
    assert message.url is not None
    assert message.url.endswith("/2028400000000000050")
    assert change == Edited("2028400000000000001", "@acmeparcels it came!", edited_at=message.sent_at)


def test_a_repost_says_nothing_of_its_own() -> None:
    found = fixture("post_overheard")
    found["data"]["referenced_tweets"] = [{"type": "retweeted", "id": "2028400000000000001"}]
    assert parse.event(json.dumps(found).encode(), VIEW) == ()


@pytest.mark.parametrize("raw", [b"", b"nothing", b"[" * 9000, b"\xff\xfe"])
def test_a_line_that_is_not_json(raw: bytes) -> None:
    [item] = parse.event(raw, VIEW)
    assert isinstance(item, Rejected)
    assert item.reason == "not_json"
    assert item.raw == raw


def test_what_became_of_posts() -> None:
    def problem(kind: str, number: str, **more: str) -> dict[str, str]:
        problem = f"https://api.twitter.com/2/problems/{kind}"
        return {"type": problem, "resource_id": number, "resource_type": "tweet", "section": "data", **more}

    answer = {
        "data": [
            {"id": "1", "text": "same", "author_id": "77", "edit_history_tweet_ids": ["1"]},
            {"id": "2", "text": "old", "author_id": "77", "edit_history_tweet_ids": ["2", "20"]},
            {
                "id": "3",
                "text": "hidden",
                "author_id": "77",
                "withheld": {"copyright": True, "country_codes": ["XY"]},
            },
        ],
        "errors": [
            problem("resource-not-found", "4"),
            problem("not-authorized-for-resource", "5"),
            problem("resource-not-found", "6", section="includes"),
            problem("something-new", "7"),
            problem("resource-not-found", "8", resource_type="user"),
            "not a problem",
        ],
    }
    asked = {str(number): f"{number}00" for number in range(1, 9)}
    items, newer = parse.changes(answer, VIEW, asked)
    assert items == (Deleted("300"), Deleted("400"), Deleted("500"))
    assert newer == {"20": "200"}
    latest = {"id": "20", "text": "new", "author_id": "77", "edit_history_tweet_ids": ["2", "20"]}
    items, newer = parse.changes({"data": [latest]}, VIEW, {"20": "2"}, news=True)
    assert items == (Edited("2", "new"),)
    assert newer == {}
