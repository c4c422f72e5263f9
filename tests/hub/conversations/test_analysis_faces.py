"""What the model says of a message, as a program and a person see it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from hub.runtime import Hub
from sentiment.types import Analysis, Emotion, TaughtIntent
from tests.factories import analyse_as, analysis, channel, receive_one
from tests.hub.conftest import Clock


def said_of(hub: Hub, said: Analysis) -> int:
    """A conversation with one message, of which the model said that."""
    with hub.database.session() as session:
        message = receive_one(session, channel(session))
        analyse_as(session, message, said)
        return message.conversation_id


def test_a_program_is_given_everything_but_the_embedding(hub: Hub, clock: Clock, api: TestClient) -> None:
    said = replace(analysis("negative"), taught=(TaughtIntent("Lost luggage", 0.8),))
    (message,) = api.get(f"conversations/{said_of(hub, said)}").json()["messages"]
    assert message["analysis"] == {
        "model": "test-1",
        "language": "en",
        "sentiment": {"label": "negative", "confidence": 0.9, "score": pytest.approx(-0.85)},
        "intents": [{"label": "complaint", "confidence": 0.8}],
        "emotion": {"label": "annoyance", "confidence": 0.7},
        "sarcasm": 0.05,
        "expects_reply": 0.9,
        "taught": [{"name": "Lost luggage", "confidence": 0.8}],
        "abstained": [],
        "correction": None,
    }


@pytest.mark.parametrize(
    ("said", "remarks"),
    [
        (analysis("negative"), ["Annoyance"]),
        (analysis("negative", sarcasm=0.9), ["Annoyance", "Sarcasm"]),
        (analysis("neutral", sarcasm=0.6, expects_reply=0.3), []),
        (analysis("positive", expects_reply=0.1), ["Gratitude", "No reply expected"]),
        (analysis(None), []),
        (replace(analysis("neutral"), sarcasm=None, expects_reply=None), []),
        (replace(analysis("neutral"), emotion=Emotion("fear", 0.4)), ["Fear"]),
    ],
    ids=["felt", "sarcastic", "unsure of all", "thanks", "silent", "not read", "fear"],
)
def test_a_page_remarks_only_on_what_is_sure(
    hub: Hub, clock: Clock, agent: TestClient, said: Analysis, remarks: list[str]
) -> None:
    html = agent.get(f"/conversations/{said_of(hub, said)}").text
    shown = [part.split(">")[1].split("<")[0] for part in html.split('<span class="remark"')[1:]]
    assert shown == remarks
