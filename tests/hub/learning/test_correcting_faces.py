"""Corrections by API and by page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from hub.conversations.models import AnalysisRow
from hub.runtime import Hub
from tests.factories import analyse_as, analysis, channel, inbound, receive_one


@pytest.fixture
def message_id(hub: Hub) -> int:
    """A message of conversation 1, which the model holds for a complaint about a refund."""
    with hub.database.session() as session:
        message = receive_one(session, channel(session), inbound("Thanks, I could not be happier"))
        analyse_as(session, message, analysis("negative", 0.9, intents=("refund_return", "complaint")))
    return message.id


def labels(hub: Hub) -> tuple[str | None, list[str]]:
    with hub.database.reading() as session:
        row = session.scalars(select(AnalysisRow)).one()
        return row.sentiment, [each["label"] for each in row.intents]


def test_a_program_corrects_and_takes_it_back(api: TestClient, message_id: int, hub: Hub) -> None:
    path = f"messages/{message_id}/corrections"
    answer = api.post(path, json={"sentiment": "positive", "intents": ["praise_thanks"]})
    assert answer.status_code == 201
    said = answer.json()["analysis"]
    assert said["sentiment"] == {"label": "positive", "confidence": 1.0, "score": 1.0}
    assert said["intents"] == [{"label": "praise_thanks", "confidence": 1.0}]
    made = said["correction"]
    assert made["by"] == "Alex Agent"
    assert made["said"] == {"sentiment": "negative", "intents": ["refund_return", "complaint"]}
    (message,) = api.get("conversations/1").json()["messages"]
    assert message["analysis"]["correction"] == made

    answer = api.delete(f"corrections/{made['id']}")
    assert answer.status_code == 200
    assert answer.json()["analysis"]["correction"] is None
    assert labels(hub) == ("negative", ["refund_return", "complaint"])
    (kept,) = api.get(path).json()["items"]
    assert kept["withdrawn_at"] is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ({"sentiment": "cross"}, 422), ({"intents": []}, 422), ({"intents": ["refund"]}, 422)],
)
def test_what_a_program_may_not_say(
    api: TestClient, message_id: int, hub: Hub, body: dict[str, object], status: int
) -> None:
    assert api.post(f"messages/{message_id}/corrections", json=body).status_code == status
    assert labels(hub)[0] == "negative"


def test_there_is_no_such_message(api: TestClient) -> None:
    assert api.post("messages/77/corrections", json={"sentiment": "neutral"}).status_code == 404
    assert api.get("messages/77/corrections").status_code == 404
    assert api.delete("corrections/77").status_code == 404


def test_an_agent_corrects_and_the_page_says_who(agent: TestClient, message_id: int, hub: Hub) -> None:
    assert "Corrected by" not in agent.get("/conversations/1").text
    answer = agent.post(
        "/corrections",
        data={"message_id": message_id, "sentiment": "neutral", "intents": ["complaint", "praise_thanks"]},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/conversations/1")
    # A topic goes before displeasure, which stands beside it.
    assert labels(hub) == ("neutral", ["praise_thanks", "complaint"])
    page = agent.get("/conversations/1").text
    assert "Corrected by Alex Agent" in page
    assert 'action="/corrections/1/withdraw"' in page
    answer = agent.post("/corrections/1/withdraw")
    assert (answer.status_code, answer.headers["location"]) == (303, "/conversations/1")
    assert labels(hub) == ("negative", ["refund_return", "complaint"])


def test_what_the_model_said_first_stays_first(agent: TestClient, message_id: int, hub: Hub) -> None:
    chosen = ["billing_payment", "complaint", "refund_return"]
    agent.post("/corrections", data={"message_id": message_id, "intents": chosen})
    assert labels(hub) == ("negative", ["refund_return", "billing_payment", "complaint"])


def test_a_page_that_says_nothing_is_told_so(agent: TestClient, message_id: int, hub: Hub) -> None:
    answer = agent.post(
        "/corrections", data={"message_id": message_id}, headers={"referer": "/conversations/1"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/conversations/1")
    assert "Say what is right" in agent.get("/conversations/1").text
