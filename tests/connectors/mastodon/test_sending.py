"""Replies to a server on this machine, and every way in which that can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import (
    Attachment,
    AuthExpired,
    ConnectorError,
    Identity,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
)
from connectors.mastodon import sending
from tests.connectors.mastodon.conftest import open_mastodon
from tests.connectors.mastodon.standin import Misbehaviour, StandIn
from tests.servers import free_port

PICTURE = Attachment("lid.png", "image/png", 4, b"\x89PNG", description="A new lid")


def question(there: StandIn, **more: Any) -> OutboundMessage:
    """An answer to a mention that came a minute ago."""
    at = there.now - timedelta(minutes=1)
    asked = there.address("<p>Where is my parcel?</p>", at=at, **more)
    return OutboundMessage(
        idempotency_key="reply-1",
        text="It left this morning.",
        author_name="Ana",
        recipient=Identity("handle", "mara@garden.example", "mastodon"),
        thread_key=asked["id"],
        in_reply_to=asked["id"],
        created_at=there.now,
        answered={
            "visibility": asked["visibility"],
            "spoiler_text": asked["spoiler_text"],
            "language": asked["language"],
        },
    )


def test_a_reply_answers_in_the_thread_and_names_the_customer(there: StandIn) -> None:
    message = question(there, language="de")
    sent = open_mastodon(there).send(message)
    [posted] = there.posted
    assert sent.external_id == posted["id"]
    assert posted["status"] == "@mara@garden.example It left this morning."
    assert posted["in_reply_to_id"] == message.in_reply_to
    assert posted["language"] == "de"
    assert posted["key"] == "reply-1"


@pytest.mark.parametrize(
    ("answered", "most_public", "visibility"),
    [
        ("public", "public", "public"),
        ("public", "unlisted", "unlisted"),
        ("unlisted", "public", "unlisted"),
        ("private", "public", "private"),
        ("direct", "public", "direct"),
    ],
)
def test_a_reply_is_seen_by_no_more_people(
    there: StandIn, answered: str, most_public: str, visibility: str
) -> None:
    open_mastodon(there, visibility=most_public).send(question(there, visibility=answered))
    assert there.posted[0]["visibility"] == visibility


def test_a_content_warning_is_kept(there: StandIn) -> None:
    open_mastodon(there).send(question(there, spoiler_text="food"))
    assert there.posted[0]["spoiler_text"] == "food"
    assert there.posted[0]["sensitive"] is True


def test_what_was_not_told_is_asked_before_anything_is_said(there: StandIn) -> None:
    message = replace(question(there, visibility="direct", spoiler_text="food"), answered={})
    open_mastodon(there).send(message)
    assert there.posted[0]["visibility"] == "direct"
    assert there.posted[0]["spoiler_text"] == "food"
    there.delete(str(message.in_reply_to))
    with pytest.raises(Refused, match="gone"):
        open_mastodon(there).send(replace(message, idempotency_key="reply-2"))
    assert len(there.posted) == 1


def test_what_answers_nothing_goes_to_its_recipient_alone(there: StandIn) -> None:
    message = replace(question(there), in_reply_to=None, thread_key=None, answered={})
    open_mastodon(there).send(message)
    assert there.posted[0]["visibility"] == "direct"
    assert "in_reply_to_id" not in there.posted[0]
    with pytest.raises(Refused, match="whom"):
        open_mastodon(there).send(replace(message, recipient=None))


def test_the_same_key_is_one_status_in_another_process_too(there: StandIn) -> None:
    message = question(there)
    assert open_mastodon(there).send(message) == open_mastodon(there).send(message)
    assert len(there.posted) == 1


def test_a_key_that_no_header_can_hold_serves_all_the_same(there: StandIn) -> None:
    message = replace(question(there), idempotency_key="schlüssel\r\nx: 1")
    assert open_mastodon(there).send(message) == open_mastodon(there).send(message)
    assert len(there.posted) == 1


def test_a_file_is_uploaded_with_its_description_and_waited_for(there: StandIn) -> None:
    there.media_looks = 3
    open_mastodon(there).send(replace(question(there), attachments=(PICTURE, PICTURE)))
    assert len(there.posted[0]["media_ids"]) == 2
    assert [each["entity"]["description"] for each in there.media.values()] == ["A new lid"] * 2
    assert [each["content"] for each in there.media.values()] == ["\x89PNG"] * 2


def test_an_upload_that_takes_too_long_is_not_uploaded_again(there: StandIn) -> None:
    there.media_looks = 100
    message = replace(question(there), attachments=(PICTURE,))
    connector = open_mastodon(there)
    with pytest.raises(RetryLater, match="working"):
        connector.send(message)
    assert there.posted == []
    for each in there.media.values():
        each["looks"] = 0
    connector.send(message)
    assert there.posted[0]["media_ids"] == list(there.media)


def test_an_upload_that_the_server_has_lost_is_made_again(there: StandIn) -> None:
    there.media_looks = 100
    message = replace(question(there), attachments=(PICTURE,))
    connector = open_mastodon(there)
    with pytest.raises(RetryLater):
        connector.send(message)
    there.media.clear()
    there.media_looks = 1
    with pytest.raises(RetryLater, match="lost"):
        connector.send(message)
    connector.send(message)
    assert len(there.posted) == 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((PICTURE,) * 5, "4 files"),
        ((replace(PICTURE, content=None),), "not here"),
        ((replace(PICTURE, content_type="application/pdf"),), "application/pdf"),
        ((replace(PICTURE, content=b"x" * 5_001),), "5,001"),
    ],
)
def test_files_that_the_server_would_refuse_are_not_sent(
    there: StandIn, files: tuple[Attachment, ...], told: str
) -> None:
    with pytest.raises(Refused, match=told):
        open_mastodon(there).send(replace(question(there), attachments=files))
    assert there.media == {}
    assert there.posted == []


def test_the_servers_own_limit_of_characters_is_kept(there: StandIn) -> None:
    there.limits = {"max_characters": 60}
    connector = open_mastodon(there)
    message = question(there, spoiler_text="food")
    assert connector.limit(message.answered) == 60 - len("food")
    assert connector.limit({}) == 60
    connector.send(replace(message, text="x" * (60 - len("@mara ") - len("food"))))
    with pytest.raises(Refused, match="61 characters"):
        connector.send(replace(message, text="x" * (61 - len("@mara ") - len("food"))))
    assert len(there.posted) == 1


def test_what_fits_by_length_is_taken(there: StandIn) -> None:
    connector = open_mastodon(there)
    text = "see https://garden.example/" + "x" * 200 + " " + "y" * 440
    assert connector.length(text) == 4 + 23 + 1 + 440 + 32
    assert connector.length(text) <= connector.limit({})
    connector.send(replace(question(there), text=text))


def test_a_server_that_is_away_has_the_usual_limit(there: StandIn) -> None:
    away = open_mastodon(there, server=f"http://127.0.0.1:{free_port()}")
    assert away.limit({"spoiler_text": "food"}) == 496


def test_text_that_cannot_be_sent_is_refused(there: StandIn) -> None:
    for text in ("half \ud83d", "nul \x00"):
        with pytest.raises(Refused):
            open_mastodon(there).send(replace(question(there), text=text))
    assert there.posted == []


@pytest.mark.parametrize(
    ("status", "body", "error", "after_seconds"),
    [
        (401, b'{"error": "The access token was revoked"}', AuthExpired, None),
        (403, b'{"error": "This action is outside the authorized scopes"}', AuthExpired, None),
        (403, b'{"error": "This action is not allowed"}', Refused, None),
        (404, b'{"error": "Record not found"}', Refused, None),
        (422, b'{"error": "Validation failed: Text is too long"}', Refused, None),
        (429, b'{"error": "Too many requests"}', RetryLater, 90),
        (503, b"", RetryLater, None),
        (307, b"", Refused, None),
        (500, b"<html>", OutcomeUnknown, None),
        (502, b"<html>", OutcomeUnknown, None),
        (504, b"<html>", OutcomeUnknown, None),
    ],
)
def test_an_answer_says_what_to_do(
    there: StandIn, status: int, body: bytes, error: type[ConnectorError], after_seconds: float | None
) -> None:
    message = question(there)
    there.wrong = [Misbehaviour("POST /api/v1/statuses", status, {}, body)]
    with pytest.raises(error) as told:
        open_mastodon(there).send(message)
    assert type(told.value) is error
    assert getattr(told.value, "after_seconds", None) == after_seconds
    assert there.posted == []


def test_posts_and_uploads_have_limits_of_their_own(there: StandIn) -> None:
    connector = open_mastodon(there)
    connector.send(replace(question(there), attachments=(PICTURE,)))
    assert {budget.name for budget in connector.budgets()} == {"requests", "posts", "uploads"}


@pytest.mark.parametrize("trouble", [{"cut": True}, {"silent": True}])
def test_a_reply_whose_outcome_is_open_is_looked_for(there: StandIn, trouble: dict[str, Any]) -> None:
    message = question(there)
    there.wrong = [Misbehaviour("POST /api/v1/statuses", **trouble)]
    with pytest.raises(OutcomeUnknown):
        open_mastodon(there, timeout_seconds=0.5).send(message)
    there.wrong = []
    found = open_mastodon(there).find_sent(message)
    if trouble.get("cut"):
        assert found is not None
        assert found.external_id == there.posted[0]["id"]
    else:
        assert found is None
        assert there.posted == []


def test_only_the_very_reply_is_found(there: StandIn) -> None:
    message = question(there)
    there.write("<p>the same words, elsewhere</p>", author=there.own)
    for key, change in (
        ("another text", {"text": "It will leave tomorrow."}),
        ("another thread", {"in_reply_to": there.write("<p>hello</p>")["id"]}),
    ):
        open_mastodon(there).send(replace(message, idempotency_key=key, **change))
    assert open_mastodon(there).find_sent(message) is None
    sent = open_mastodon(there).send(message)
    found = open_mastodon(there).find_sent(message)
    assert found is not None
    assert found.external_id == sent.external_id


def test_what_was_written_long_before_the_reply_is_not_it(there: StandIn) -> None:
    message = question(there)
    open_mastodon(there).send(message)
    there.now += timedelta(hours=3)
    again = replace(message, idempotency_key="reply-2", created_at=there.now)
    assert open_mastodon(there).find_sent(again) is None


def test_a_reply_is_found_among_many(there: StandIn) -> None:
    message = question(there)
    sent = open_mastodon(there).send(message)
    for number in range(50):
        there.write(f"<p>{number}</p>", author=there.own, at=there.now + timedelta(seconds=number + 1))
    there.now += timedelta(minutes=2)
    found = open_mastodon(there).find_sent(message)
    assert found is not None
    assert found.external_id == sent.external_id


def test_where_nobody_can_tell_the_outcome_stays_open(
    there: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_PAGES", 2)
    message = question(there)
    with pytest.raises(OutcomeUnknown, match="since when"):
        open_mastodon(there).find_sent(replace(message, created_at=None))
    for number in range(80):
        there.write(f"<p>{number}</p>", author=there.own)
    with pytest.raises(OutcomeUnknown, match="too much"):
        open_mastodon(there).find_sent(message)
    with pytest.raises(OutcomeUnknown, match="cannot be asked"):
        open_mastodon(there, server=f"http://127.0.0.1:{free_port()}").find_sent(message)
    with pytest.raises(OutcomeUnknown, match="no account"):
        open_mastodon(there, access_token=None).find_sent(message)
