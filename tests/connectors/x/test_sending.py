"""Replies: where they go, what X makes of them, and never two for one."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import (
    Attachment,
    AuthExpired,
    Identity,
    InboundMessage,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
)
from connectors.x.connector import XConnector
from connectors.x.settings import XConfig
from tests.connectors.x.answers import Answer, error
from tests.connectors.x.standin import BEARER, KEYS, NOW, StandIn, user
from tests.connectors.x.world import connector, fetched
from tests.servers import free_port

MARA = user(77, "mara")
PICTURE = Attachment("label.png", "image/png", 4, content=b"\x89PNG", description="The label")
TEXT = "Your parcel left this morning: https://acme.example/track/4711 <3 – Ana 🙂"


def answering(x: StandIn, text: str = TEXT, **more: Any) -> OutboundMessage:
    """A reply to a mention that was fetched, as the hub hands it over."""
    x.post(MARA, "@acmeparcels where is it?")
    items, _ = fetched(connector(x))
    [asked] = [item for item in items if isinstance(item, InboundMessage)][-1:]
    return OutboundMessage(
        idempotency_key="reply-1",
        text=text,
        author_name="Ana",
        recipient=Identity("handle", "mara", "x"),
        thread_key=asked.thread_key,
        in_reply_to=asked.external_id,
        created_at=NOW,
        answered=asked.meta,
        **more,
    )


def directly(x: StandIn, text: str = "Thank you.", **more: Any) -> OutboundMessage:
    """A reply to a direct message that was fetched."""
    x.write(MARA, "my number is 4711")
    items, _ = fetched(connector(x, direct_messages=True, mentions=False))
    [asked] = [item for item in items if isinstance(item, InboundMessage)]
    return OutboundMessage(
        "reply-1", text, "Ana", None, asked.thread_key, asked.external_id, None, NOW, (), asked.meta, **more
    )


def test_a_reply_stands_in_the_conversation(x: StandIn) -> None:
    message = answering(x)
    sent = connector(x).send(message)
    [post] = x.by_brand()
    assert sent.external_id == post["id"]
    assert post["conversation_id"] == message.thread_key
    assert x.asked("POST /2/tweets")[0].body == {
        "reply": {"in_reply_to_tweet_id": message.in_reply_to},
        "text": TEXT,
    }


def test_a_reply_to_an_edited_post_answers_what_it_says_now(x: StandIn) -> None:
    message = answering(x)
    assert message.in_reply_to is not None
    latest = x.edit(message.in_reply_to, "@acmeparcels found it", minutes_ago=1)
    items, _ = fetched(connector(x))
    [asked] = [item for item in items if isinstance(item, InboundMessage)]
    connector(x).send(replace(message, answered=asked.meta))
    assert x.asked("POST /2/tweets")[0].body["reply"] == {"in_reply_to_tweet_id": latest}


def test_a_direct_message_is_answered_directly(x: StandIn) -> None:
    message = directly(x)
    sent = connector(x).send(message)
    assert sent.external_id == f"dm-{x.direct_messages[-1]['id']}"
    assert x.direct_messages[-1]["dm_conversation_id"] == "77-900"
    # The reply is known again when it comes back as a message of the conversation.
    items, _ = fetched(connector(x, direct_messages=True, mentions=False))
    [own] = [item for item in items if isinstance(item, InboundMessage) and not item.incoming]
    assert own.external_id == sent.external_id
    assert connector(x).send(replace(message, idempotency_key="2", answered={}, text="And this.")).external_id


def test_one_key_is_sent_once(x: StandIn) -> None:
    for message, count in ((answering(x), x.by_brand), (directly(x), lambda: x.direct_messages[1:])):
        sender = connector(x)
        assert sender.send(message) == sender.send(message)
        assert len(count()) == 1


def test_what_x_has_already_is_found(x: StandIn) -> None:
    message = answering(x)
    first = connector(x).send(message)
    # Another process, after a crash, without having looked.
    assert connector(x).send(message).external_id == first.external_id
    assert len(x.by_brand()) == 1
    other = x.post(user(78, "tom"), "@acmeparcels me too")
    with pytest.raises(Refused, match="duplicate"):
        connector(x).send(replace(message, in_reply_to=other, answered={"kind": "post", "post_id": other}))


def test_a_reply_that_went_out_before_the_line_was_cut_is_found(x: StandIn) -> None:
    for message in (answering(x), directly(x)):
        part = "POST /2/tweets" if message.answered["kind"] == "post" else "POST /2/dm"
        assert connector(x).find_sent(message) is None
        x.next_answer(part, Answer(cut="after"))
        with pytest.raises(OutcomeUnknown):
            connector(x).send(message)
        found = connector(x).find_sent(message)
        assert found is not None
        x.next_answer(part, Answer(cut="before"))
        unsent = replace(message, idempotency_key="2", text="Something else.")
        with pytest.raises(OutcomeUnknown):
            connector(x).send(unsent)
        assert connector(x).find_sent(unsent) is None


def test_only_the_same_words_to_the_same_message_since_it_was_written_are_it(x: StandIn) -> None:
    message = answering(x)
    connector(x).send(message)
    finder = connector(x)
    assert finder.find_sent(message) is not None
    assert finder.find_sent(replace(message, text="Other words.")) is None
    other = x.post(user(78, "tom"), "@acmeparcels me too")
    assert finder.find_sent(replace(message, in_reply_to=other, answered={"post_id": other})) is None
    assert finder.find_sent(replace(message, created_at=NOW + timedelta(hours=1))) is None
    assert finder.find_sent(replace(message, created_at=None)) is not None


def test_looking_goes_through_the_pages_and_says_when_it_cannot_tell(x: StandIn) -> None:
    message = answering(x)
    sent = connector(x).send(message)
    for number in range(7):
        x.post(x.users["900"], f"@mara {number}", minutes_ago=-1)
    x.page_size = 3
    found = connector(x).find_sent(message)
    assert found is not None
    assert found.external_id == sent.external_id
    x.page_size = 1
    with pytest.raises(OutcomeUnknown, match="too much"):
        connector(x).find_sent(replace(message, text="Other words."))
    x.next_answer("/tweets", error(503, "about:blank", "Over capacity", "Over capacity."))
    with pytest.raises(OutcomeUnknown, match="503"):
        connector(x).find_sent(message)


@pytest.mark.parametrize(
    ("answer", "expected", "after_seconds"),
    [
        (error(401, "about:blank", "Unauthorized", "Unauthorized"), AuthExpired, None),
        (
            error(403, "https://api.twitter.com/2/problems/oauth1-permissions", "No", "Read-only."),
            AuthExpired,
            None,
        ),
        (error(403, "about:blank", "Forbidden", "You have not been mentioned by the author."), Refused, None),
        (
            error(400, "https://api.twitter.com/2/problems/invalid-request", "Invalid", "Wrong."),
            Refused,
            None,
        ),
        (error(404, "about:blank", "Not Found", "Gone."), Refused, None),
        (error(402, "about:blank", "Payment Required", "Credits depleted."), RetryLater, 3600),
        (error(429, "about:blank", "Too Many", "Too Many Requests"), RetryLater, 600),
        (
            Answer(
                429,
                {"type": "about:blank", "title": "Too Many Requests", "status": 429},
                {
                    "x-rate-limit-remaining": "9",
                    "x-user-limit-24hour-remaining": "0",
                    "x-user-limit-24hour-limit": "17",
                    "x-user-limit-24hour-reset": str(int(NOW.timestamp()) + 7200),
                },
                "application/problem+json",
            ),
            RetryLater,
            7200,
        ),
        (error(503, "about:blank", "Over capacity", "Over capacity."), RetryLater, None),
        (error(500, "about:blank", "Oh", "Internal."), OutcomeUnknown, None),
        (error(504, "about:blank", "Oh", "Gateway."), OutcomeUnknown, None),
        (Answer(201, b"nothing"), OutcomeUnknown, None),
        (Answer(201, b'{"data": {"text": "x"}}'), OutcomeUnknown, None),
        (Answer(201, b'{"data": {"id": "12', {"content-length": "999"}), OutcomeUnknown, None),
    ],
)
def test_an_answer_says_what_became_of_it(
    x: StandIn, answer: Answer, expected: type[Exception], after_seconds: float | None
) -> None:
    message = answering(x)
    x.next_answer("POST /2/tweets", answer)
    with pytest.raises(expected) as told:
        connector(x, timeout_seconds=0.5).send(message)
    assert getattr(told.value, "after_seconds", None) == after_seconds
    assert not x.by_brand()
    for secret in (*KEYS.values(), BEARER):
        assert secret not in str(told.value)


def test_a_daily_limit_of_the_account_is_shown(x: StandIn) -> None:
    message = answering(x)
    headers = {"x-user-limit-24hour-limit": "17", "x-user-limit-24hour-remaining": "16"}
    x.next_answer("POST /2/tweets", Answer(201, {"data": {"id": "12", "text": "x"}}, headers))
    sender = connector(x)
    sender.send(message)
    assert ("posting of the account in a day", 17, 16) in [
        (each.name, each.limit, each.remaining) for each in sender.budgets()
    ]


def test_a_server_that_is_away_has_surely_not_taken_it(x: StandIn) -> None:
    message = answering(x)
    with pytest.raises(RetryLater, match="cannot be reached"):
        connector(x, base_url=f"http://127.0.0.1:{free_port()}").send(message)


def test_what_is_too_long_is_refused_before_it_is_sent(x: StandIn) -> None:
    message = answering(x, "荷" * 141)
    asked = len(x.requests)
    with pytest.raises(Refused, match="282"):
        connector(x).send(message)
    with pytest.raises(Refused, match="neither"):
        connector(x).send(replace(message, text=" "))
    assert len(x.requests) == asked
    connector(x, max_length=25_000).send(message)
    assert len(x.by_brand()) == 1
    sender = connector(x)
    assert sender.length("荷") == 2
    assert sender.limit({"kind": "post"}) == 280
    assert sender.limit({"kind": "direct_message"}) == 10_000
    with pytest.raises(Refused, match="10,000"):
        sender.send(directly(x, "a" * 10_001))


def test_without_a_post_to_answer_a_reply_is_refused(x: StandIn) -> None:
    for number in (None, "post-5"):
        with pytest.raises(Refused, match="answers a post"):
            connector(x).send(replace(answering(x), in_reply_to=number, answered={}))
    listening = XConnector(XConfig.model_validate({"bearer_token": BEARER, "base_url": x.url}))
    with pytest.raises(Refused, match="keys"):
        listening.send(answering(x))
    with pytest.raises(OutcomeUnknown, match="keys"):
        listening.find_sent(answering(x))


def test_pictures_go_with_a_reply(x: StandIn) -> None:
    for number, message in enumerate(
        (answering(x, attachments=(PICTURE,) * 4), directly(x, attachments=(PICTURE,)))
    ):
        sent = connector(x).send(message)
        assert sent.external_id
        body = (x.asked("POST /2/tweets") + x.asked("POST /2/dm_conversations"))[number].body
        ids = body["media"]["media_ids"] if "media" in body else [body["attachments"][0]["media_id"]]
        assert [base64.b64decode(x.media[each]["content"]) for each in ids] == [b"\x89PNG"] * len(ids)
        assert {x.media[each]["alt_text"] for each in ids} == {"The label"}
    categories = {
        request.body["media_category"]
        for request in x.asked("POST /2/media/upload")
        if "media" in request.body
    }
    assert categories == {"tweet_image", "dm_image"}


def test_a_film_goes_in_parts_and_is_waited_for(x: StandIn) -> None:
    content = bytes(range(256)) * 5000
    film = Attachment("parcel.mp4", "video/mp4", len(content), content=content)
    x.processing = 2
    connector(x).send(answering(x, attachments=(film,)))
    [kept] = x.media.values()
    assert b"".join(base64.b64decode(part) for _, part in sorted(kept["parts"].items())) == content
    assert len(kept["parts"]) == 2
    assert len(x.asked("GET /2/media/upload")) == 2
    assert x.asked("initialize")[0].body["total_bytes"] == len(content)
    x.processing = -1
    with pytest.raises(Refused, match="film"):
        connector(x).send(answering(x, "Another.", attachments=(film,)))


@pytest.mark.parametrize(
    ("attachments", "told"),
    [
        ((PICTURE,) * 5, "up to 4"),
        ((PICTURE, Attachment("a.gif", "image/gif", 1, content=b"G")), "one GIF"),
        ((Attachment("a.pdf", "application/pdf", 1, content=b"%"),), "application/pdf"),
        ((Attachment("a.png", "image/png", 1),), "not here"),
        ((Attachment("a.png", "image/png", 1, content=b"x" * (5 * 1024 * 1024 + 1)),), "larger"),
    ],
)
def test_what_x_does_not_take_is_refused_before_anything_is_sent(
    x: StandIn, attachments: tuple[Attachment, ...], told: str
) -> None:
    with pytest.raises(Refused, match=told):
        connector(x).send(answering(x, attachments=attachments))
    assert not x.asked("POST")
    with pytest.raises(Refused, match="one picture"):
        connector(x).send(directly(x, attachments=(PICTURE, PICTURE)))


def test_a_picture_that_is_not_taken_publishes_nothing(x: StandIn) -> None:
    x.next_answer("/2/media/upload", Answer(cut="after"))
    with pytest.raises(RetryLater):
        connector(x).send(answering(x, attachments=(PICTURE,)))
    x.next_answer("/2/media/upload", error(400, "about:blank", "Bad", "Not an image."))
    with pytest.raises(Refused, match="Not an image"):
        connector(x).send(answering(x, attachments=(PICTURE,)))
    assert not x.by_brand()


def test_the_log_shows_no_secret(x: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connector(x, searches=["vans"]).send(answering(x))
    fetched(connector(x, searches=["vans"]))
    for secret in (*KEYS.values(), BEARER, "oauth_signature"):
        assert secret not in caplog.text
