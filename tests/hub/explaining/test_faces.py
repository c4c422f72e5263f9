"""Why a message was read as it was, by API and by page."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from hub.explaining.pages import MOST_WORDS, why_view
from hub.runtime import Hub
from sentiment.types import Explanation, Word
from tests.factories import analyse_as, analysis, channel, inbound, receive_one
from tests.hub.conftest import Clock

MAIL = "This is bad, really <b>bad</b>.\nBad!\n\n> it was good\n> before"


@pytest.fixture
def read(hub: Hub, clock: Clock) -> int:
    """The id of a message that was read."""
    with hub.database.session() as session:
        message = receive_one(session, channel(session), inbound(MAIL, subject="About a good order"))
        analyse_as(session, message)
        return message.id


def test_a_program_may_ask_for_the_analysis_alone(api: TestClient, read: int) -> None:
    found = api.get(f"messages/{read}/analysis").json()
    assert found["sentiment"]["label"] == "negative"
    assert found["explanation"] is None


def test_a_program_is_told_which_words_moved_the_mood(api: TestClient, read: int) -> None:
    why = api.get(f"messages/{read}/analysis", params={"explain": "sentiment"}).json()["explanation"]
    text = why["text"]
    assert "before" not in text, "what the customer quotes is not theirs"
    assert (why["model"], why["head"], why["label"], why["confidence"]) == (
        "words-1",
        "sentiment",
        "negative",
        0.9,
    )
    assert all(text[word["start"] : word["end"]] == word["text"] for word in why["words"])
    moved = {word["text"]: word["contribution"] for word in why["words"] if word["contribution"]}
    assert moved == {"good": -2.0, "bad,": 2.0}


def test_a_program_may_name_the_label(api: TestClient, read: int) -> None:
    asked = {"explain": "sentiment:positive"}
    why = api.get(f"messages/{read}/analysis", params=asked).json()["explanation"]
    assert {w["text"]: w["contribution"] for w in why["words"] if w["contribution"]} == {
        "good": 2.0,
        "bad,": -2.0,
    }


@pytest.mark.parametrize("path", ["messages/999/analysis", "messages/999/analysis?explain=sentiment"])
def test_of_no_message_there_is_nothing_to_tell(api: TestClient, path: str) -> None:
    assert api.get(path).status_code == 404


def test_a_message_that_no_model_has_read_has_no_analysis(hub: Hub, clock: Clock, api: TestClient) -> None:
    with hub.database.session() as session:
        unread = receive_one(session, channel(session)).id
    answer = api.get(f"messages/{unread}/analysis")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"message {unread} has no analysis")


def test_what_the_model_does_not_read_is_not_explained(
    hub: Hub, clock: Clock, api: TestClient, agent: TestClient
) -> None:
    with hub.database.session() as session:
        blank = receive_one(session, channel(session), inbound(" \n"))
        analyse_as(session, blank, analysis(None))
        blank_id = blank.id
    answer = api.get(f"messages/{blank_id}/analysis", params={"explain": "sentiment"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "nothing to explain: nothing was written")
    assert "Nothing to explain: nothing was written." in agent.get(f"/messages/{blank_id}/why").text


def test_a_person_sees_the_words_in_their_places(agent: TestClient, read: int) -> None:
    html = agent.get(f"/messages/{read}/why").text
    assert "The model reads it as <b>negative</b>, 90\N{NO-BREAK SPACE}% sure." in html
    assert re.findall(r'<mark data-way="(\w+)" data-strength="3">(.*?)</mark>', html) == [
        ("against", "good"),
        ("for", "bad,"),
    ]
    assert "&lt;b&gt;bad&lt;/b&gt;" in html
    assert ", against negative</span>" in html


def test_nobody_else_sees_them(app_client: TestClient) -> None:
    assert app_client.get("/messages/1/why").status_code == 303
    assert app_client.get("/api/v1/messages/1/analysis").status_code == 401


def test_the_whole_text_is_shown_and_the_strongest_words_named() -> None:
    text = "a b c d e f g h\n"
    words = tuple(Word(2 * i, 2 * i + 1, "abcdefgh"[i], i - 4.0) for i in range(8))
    view = why_view(text, Explanation("m", "sentiment", "negative", 0.9, 2.0, 0.0, words))
    assert "".join(part["text"] for part in view["parts"]) == text
    assert [part["text"] for part in view["strongest"]] == ["a", "b", "h", "c", "g", "d"]
    assert len(view["strongest"]) == MOST_WORDS
    assert [part["way"] for part in view["strongest"]] == [
        "against",
        "against",
        "for",
        "against",
        "for",
        "against",
    ]
