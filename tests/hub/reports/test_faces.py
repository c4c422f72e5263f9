"""Response times by API and by page."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from hub.clock import utcnow
from hub.conversations.service import get_conversation, reply
from hub.queue.sweep import sweep
from hub.runtime import Hub
from tests.factories import channel, inbound, receive_one, user
from tests.hub.conftest import ON_SQLITE


@pytest.fixture
def answered(hub: Hub) -> None:
    """One promise kept, one broken, one running."""
    now = utcnow()
    with hub.database.session() as session:
        chirp, agent = channel(session, at=now), user(session, at=now)
        for number, ago in enumerate((timedelta(minutes=10), timedelta(hours=5), timedelta(minutes=5))):
            message = receive_one(
                session, chirp, inbound(author=f"author {number} & co", sent_at=now - ago), now=now - ago
            )
            if number == 0:
                conversation = get_conversation(session, message.conversation_id)
                reply(session, conversation, user=agent, text="Here", now=now)
    sweep(hub)


@pytest.mark.usefixtures("answered")
def test_api(api: TestClient) -> None:
    found = api.get("reports/response-times", params={"range": "7d"}).json()
    totals = found["totals"]
    assert (totals["met"], totals["breached"], totals["attainment"]) == (1, 1, 0.5)
    assert totals["median_seconds"] == pytest.approx(600)
    assert found["by_tier"][0]["tier"] is None
    assert found["by_channel"][0]["channel"] == "chirp"
    assert sum(point["met"] + point["breached"] for point in found["over_time"]) == 2
    assert [each["customer"] for each in found["at_risk"]] == ["Author 2 & Co"]
    (breach,) = found["breaches"]
    assert (breach["customer"], breach["answered"]) == ("Author 1 & Co", False)
    assert breach["late_by_seconds"] == pytest.approx(3 * 3600, abs=60)


@pytest.mark.usefixtures("answered")
def test_page(agent: TestClient) -> None:
    for range_ in ("24h", "7d", "14d", "30d"):
        text = agent.get("/response-times", params={"range": range_}).text
        assert "First replies by tier" in text
        assert "Author 1 &amp; Co" in text
        assert "not answered yet" in text
        assert "Author 2 &amp; Co" in text


@ON_SQLITE
@pytest.mark.usefixtures("answered")
def test_days_are_called_as_the_brand_calls_them(agent: TestClient) -> None:
    text = agent.get("/response-times", params={"range": "7d"}).text
    days = re.findall(r'datetime="([^"]+)" data-when="day" data-zone="Europe/Berlin">([^<]+)<', text)
    assert len(days) == 14
    for begins, said in days:
        local = datetime.fromisoformat(begins).astimezone(ZoneInfo("Europe/Berlin"))
        assert (local.hour, f"{local:%-d %b %Y}") == (0, said)
    assert '"zone": "Europe/Berlin"' in text or '"zone":"Europe/Berlin"' in text


def test_page_of_nothing(agent: TestClient) -> None:
    assert "No promise has come due in this time" in agent.get("/response-times").text
