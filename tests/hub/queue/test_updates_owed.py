"""What every face of the queue says where nobody waits for an answer, but an update is owed."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from hub.runtime import Hub
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
