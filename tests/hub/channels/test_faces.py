"""Channels by API and by page: how each line is, and never a secret."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from connectors.base import Batch, Rejected
from hub.channels.queries import find_shown, list_channels
from hub.conversations.service import get_conversation, reply
from hub.errors import NotFound
from hub.inbox.service import receive
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.conftest import ON_SQLITE

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOUR = timedelta(hours=1)


@pytest.fixture
def lines(hub: Hub) -> None:
    """A webhook with secrets and a file channel with something of everything."""
    with hub.database.session() as session:
        channel(session, "shop", connector="webhook", kind="ticket", secrets=[SECRET], network="shop")
        chirp = channel(session, "chirp", outbox="out")
        receive_one(session, chirp, inbound(author="old"), now=NOW - 25 * HOUR)
        messages = [receive_one(session, chirp, inbound(author=f"a{number}")) for number in range(4)]
        receive(session, chirp.id, Batch((Rejected(b"?", "bad_json", "no", "a:1"),)), NOW)
        for message, state in zip(messages, ("pending", "failed", "unknown", "sent"), strict=True):
            conversation = get_conversation(session, message.conversation_id)
            reply(session, conversation, user=user(session), text="Yes", now=NOW).delivery = state


@pytest.mark.usefixtures("lines")
def test_counts(hub: Hub) -> None:
    with hub.database.reading() as session:
        chirp, shop = list_channels(session, NOW)
        assert (chirp.channel.name, shop.channel.name) == ("chirp", "shop")
        assert (chirp.received_today, chirp.rejects, chirp.waiting, chirp.replies) == (4, 1, 1, True)
        assert (chirp.pending, chirp.failed, chirp.unknown) == (1, 1, 1)
        assert (shop.received_today, shop.pending, shop.rejects, shop.waiting, shop.replies) == (
            0,
            0,
            0,
            0,
            False,
        )
        assert find_shown(session, shop.channel.id, NOW) == shop
        with pytest.raises(NotFound):
            find_shown(session, 999, NOW)


@pytest.mark.parametrize(
    ("fields", "health", "detail"),
    [
        ({}, "ok", ""),
        ({"last_received_at": NOW}, "ok", ""),
        ({"last_error": "no route", "last_error_at": NOW}, "failing", "no route"),
        ({"last_error": "no route", "last_error_at": NOW, "last_sent_at": NOW - HOUR}, "failing", "no route"),
        ({"last_error": "no route", "last_error_at": NOW - HOUR, "last_sent_at": NOW}, "ok", ""),
        ({"last_error": "no route", "last_error_at": NOW, "paused_at": NOW}, "off", "Paused"),
    ],
)
def test_health(hub: Hub, fields: dict[str, object], health: str, detail: str) -> None:
    with hub.database.session() as session:
        made = channel(session, at=NOW - 9 * HOUR)
        for name, value in fields.items():
            setattr(made, name, value)
        session.flush()
        (shown,) = list_channels(session, NOW)
    assert shown.health == health
    assert shown.detail.startswith(detail)


@ON_SQLITE
@pytest.mark.usefixtures("lines")
def test_api_shows_all_but_secrets(api: TestClient) -> None:
    answer = api.get("channels")
    assert [item["name"] for item in answer.json()["items"]] == ["chirp", "shop"]
    assert SECRET not in answer.text
    assert SECRET.removeprefix("whsec_") not in answer.text


@ON_SQLITE
@pytest.mark.usefixtures("lines")
def test_api_pauses_and_resumes(api: TestClient) -> None:
    paused = api.post("channels/chirp/pause").json()
    assert (paused["health"], paused["paused_at"] is None) == ("off", False)
    # A second time changes nothing, not even since when.
    assert api.post("channels/chirp/pause").json()["paused_at"] == paused["paused_at"]
    resumed = api.post("channels/chirp/resume").json()
    assert (resumed["health"], resumed["paused_at"]) == ("ok", None)
    assert api.post("channels/nothing/pause").status_code == 404


@ON_SQLITE
@pytest.mark.usefixtures("lines")
def test_page_pauses_and_takes_it_back(agent: TestClient) -> None:
    text = agent.get("/channels").text
    assert "chirp" in text
    assert SECRET not in text
    answer = agent.post("/channels/chirp/pause")
    assert (answer.status_code, answer.headers["location"]) == (303, "/channels")
    told = agent.get("/channels").text
    assert "chirp is paused." in told
    assert 'action="/channels/chirp/resume"' in told
    assert "Paused" in told
    agent.post("/channels/chirp/resume")
    assert "chirp goes on." in agent.get("/channels").text


@ON_SQLITE
def test_page_without_channels(agent: TestClient) -> None:
    assert "No channel is connected" in agent.get("/channels").text


@ON_SQLITE
@pytest.mark.usefixtures("lines")
def test_another_site_pauses_nothing(agent: TestClient, api: TestClient) -> None:
    answer = agent.post("/channels/chirp/pause", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert api.get("channels").json()["items"][0]["paused_at"] is None
