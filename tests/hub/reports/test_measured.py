"""How long solved conversations took, in the report, as CSV, and beside the conversation."""

from __future__ import annotations

import csv
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, reply, set_status
from hub.reports.measured import MEASURED, measured, to_csv
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.conftest import Clock

HOUR = timedelta(hours=1)
# The customer writes, is answered after an hour, writes again two hours later, and it is solved in the next.
STORY = ((0, "c"), (1, "r"), (3, "c"), (4, "s"))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Nothing here is another on PostgreSQL: the percentiles are our own."""
    return sqlite_url


def live(session: Session, name: str, steps: tuple[tuple[float, str], ...], **fields: str) -> Conversation:
    """A conversation of somebody, in hours before and after noon; `o` opens it again."""
    by = channel(session, f"chirp-{name.lower()}")
    agent = user(session)
    found: Conversation | None = None
    for hours, step in steps:
        now = NOW - 5 * HOUR + hours * HOUR
        if step == "c":
            message = receive_one(session, by, inbound(author=name, sent_at=now, thread_key=name), now=now)
            found = get_conversation(session, message.conversation_id)
            found.customer.tier = fields.get("tier")
        elif step == "r":
            assert found is not None
            reply(session, found, user=agent, text="Here.", now=now)
        else:
            assert found is not None
            set_status(session, found, {"s": "solved", "o": "open"}[step], user=agent, now=now)
    session.flush()
    assert found is not None
    return found


def test_what_was_solved(session: Session) -> None:
    live(session, "Ann", STORY, tier="gold")
    # Solved after one hour, opened again after three more, solved again after another half.
    live(session, "Bob", ((0, "c"), (1, "s"), (4, "o"), (4.5, "s")))
    live(session, "Cid", ((0, "c"), (1, "r")))
    live(session, "Dee", ((0, "c"), (1, "s"), (2, "o")))
    live(session, "Eve", ((0, "c"), (2, "s")))
    found = measured(session, "24h", NOW)
    assert found.totals.count == 3
    told = {tier: {name: solved.times[name] for name in MEASURED} for tier, solved in found.by_tier}
    hour = 3600
    # While it was the customer's turn, from one to three, no clock ran.
    assert told["gold"] == {name: [2 * hour] for name in MEASURED}
    assert told[None]["first_resolution"] == [hour, 2 * hour]
    assert told[None]["resolution"] == [1.5 * hour, 2 * hour]
    fields = found.totals.fields()
    assert (fields["first_resolution_median_seconds"], fields["resolution_p90_seconds"]) == (7200, 7200)
    assert sum(solved.count for _, solved in found.by_channel) == 3
    assert measured(session, "24h", NOW + timedelta(days=3)).totals.count == 0


def test_as_csv(session: Session) -> None:
    live(session, "Ann", STORY, tier="=gold")
    head, *rows = csv.reader(to_csv(measured(session, "24h", NOW)).splitlines())
    assert head[:4] == ["by", "name", "solved", "first_resolution_median_seconds"]
    assert [row[:4] for row in rows] == [
        ["all", "", "1", "7200.0"],
        ["tier", "'=gold", "1", "7200.0"],
        ["channel", "chirp-ann", "1", "7200.0"],
    ]
    empty = list(csv.reader(to_csv(measured(session, "24h", NOW - timedelta(days=9))).splitlines()))
    assert empty[1:] == [["all", "", "0", *[""] * 8]]


def test_faces(hub: Hub, clock: Clock, agent: TestClient, api: TestClient) -> None:
    assert "How long it took" not in agent.get("/response-times").text
    with hub.database.session() as session:
        live(session, "Ann", STORY, tier="gold")
        live(session, "Bob", ((4, "c"),))
    found = api.get("reports/resolution-times").json()
    assert (found["totals"]["solved"], found["by_tier"][0]["tier"]) == (1, "gold")
    assert found["by_channel"][0]["requester_wait_p90_seconds"] == 7200
    assert api.get("reports/resolution-times.csv").text == agent.get("/response-times/solved.csv").text
    assert "1 conversation solved" in agent.get("/response-times").text
    solved = agent.get("/conversations/1").text
    assert "Solved after</dt><dd>2 h</dd>" in solved
    assert "1 h<small>kept</small>" in solved
    assert "With an agent to act</dt><dd>2 h</dd>" in solved
    running = agent.get("/conversations/2").text
    assert "Open for</dt><dd>1 h</dd>" in running
    assert "2 h promised" in running
    assert "1 h<small>so far</small>" in running
