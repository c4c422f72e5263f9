"""What every face of the queue says where nobody waits for an answer, but an update is owed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from hub.conversations.decided import decided
from hub.conversations.models import Conversation
from hub.policies.service import activate
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, conversation_of, receive_one
from tests.hub.conftest import Clock
from tests.hub.queue.updates import owe_an_update


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_says_that_an_update_is_owed(hub: Hub, clock: Clock, agent: TestClient) -> None:
    owed = owe_an_update(hub, clock)
    page = agent.get("/queue").text
    assert f'id="row-{owed}"' in page
    assert "update owed" in page
    assert "Social: update within 1 h 40 min" in page
    assert "unanswered message" not in page
    assert agent.post("/queue/next").headers["location"] == f"/conversations/{owed}"
    assert agent.get(f"/conversations/{owed}").status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_api_has_nobody_waiting(hub: Hub, clock: Clock, api: TestClient) -> None:
    owed = owe_an_update(hub, clock)
    (item,) = api.get("queue").json()["items"]
    assert (item["conversation_id"], item["waiting_since"]) == (owed, None)
    assert (item["status"], item["promise"]["metric"]) == ("on_hold", "periodic_update_time")
    assert api.post("queue/next").json()["conversation_id"] == owed
    assert api.post("queue/next").status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_decision_that_is_kept_tells_of_the_update(hub: Hub, clock: Clock) -> None:
    owed = owe_an_update(hub, clock)
    with hub.database.reading() as session:
        promise = session.get_one(Conversation, owed).promise
        assert promise is not None
        update, reply = (each.told for each in decided(session, owed))
        assert (update.metric, update.policy, update.target_seconds) == (
            "periodic_update_time",
            "Social",
            6000,
        )
        assert update.due_at == promise.due_at == NOW + timedelta(minutes=100)
        assert (reply.metric, reply.due_at) == ("first_reply_time", NOW + timedelta(hours=2))
        assert update.reasons == reply.reasons


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_and_of_the_resolution_where_that_is_due_first(session: Session) -> None:
    target = "    first_reply_time: {platinum: 15m"
    activate(session, DEFAULT_POLICY.replace(target, "    resolution_time: {default: 90m}\n" + target), NOW)
    conversation = conversation_of(session, receive_one(session, channel(session)))
    (kept,) = decided(session, conversation.id)
    assert (kept.told.metric, kept.told.target_seconds) == ("resolution_time", 5400)
    assert kept.told.due_at == conversation.reply_by == NOW + timedelta(minutes=90)
