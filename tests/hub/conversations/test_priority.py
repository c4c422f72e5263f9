"""The priority that people give a conversation: its promise and weight follow at once."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from hub.conversations.service import set_priority
from hub.errors import Invalid
from hub.policies.service import activate
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, conversation_of, receive_one, user

BY_PRIORITY = DEFAULT_POLICY.replace("default: 2h}", "default: {urgent: 10m, normal: 2h}}")


def test_the_promise_follows_and_keeps_the_time_that_passed(session: Session) -> None:
    activate(session, BY_PRIORITY, NOW)
    agent = user(session)
    conversation = conversation_of(session, receive_one(session, channel(session)))
    set_priority(session, conversation, "urgent", user=agent, now=NOW)
    assert conversation.promise is not None
    assert (conversation.promise.target_seconds, conversation.promise.started_at) == (600, NOW)
    assert conversation.weight == 2
    set_priority(session, conversation, "low", user=agent, now=NOW)
    assert (conversation.promise.target_seconds, conversation.weight) == (7200, 0.5)
    with pytest.raises(Invalid, match="'high!' is none of urgent, high, normal, low"):
        set_priority(session, conversation, "high!", user=agent, now=NOW)


def test_by_api_and_by_page(hub: Hub, api: TestClient, agent: TestClient) -> None:
    with hub.database.session() as session:
        conversation_id = receive_one(session, channel(session)).conversation_id
    path = f"conversations/{conversation_id}"
    assert api.get(path).json()["conversation"]["priority"] == "normal"
    changed = api.patch(path, json={"priority": "high"}).json()
    assert changed["priority"] == "high"
    assert {"factor": 1.5, "text": "high priority"} in changed["reasons"]
    assert api.patch(path, json={"priority": "higher"}).status_code == 422
    assert agent.post(f"/{path}/priority", data={"priority": "low"}).status_code == 303
    shown = agent.get(f"/{path}").text
    assert "The priority is low now." in shown
    assert "high → low priority" in shown
