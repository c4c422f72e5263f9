"""The decisions of a conversation: each is kept in under 1 KB and read years later, whatever has changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.decided import decided
from hub.conversations.service import get_conversation, set_priority
from hub.errors import NotFound
from hub.policies.service import activate, active_policy
from hub.queue.models import Decision
from hub.queue.service import place
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, analyse_as, channel, inbound, receive_one, user
from tests.hub.conftest import Clock

# Nothing of the policy that decided first is left in this one.
YEARS_LATER = """
time_zone: UTC
currency: EUR
policies:
  - {name: Everybody, first_reply_time: {default: 1d}, next_reply_time: {default: 1d}}
handling: {default: 5m}
"""
LONGEST = 1024


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Nothing here is another on PostgreSQL."""
    return sqlite_url


def live(session: Session) -> int:
    """A conversation whose place is decided when it comes, is read, is made urgent, and years later."""
    message = receive_one(session, channel(session), inbound("This is bad"))
    analyse_as(session, message, now=NOW + timedelta(seconds=5))
    conversation = get_conversation(session, message.conversation_id)
    conversation.customer.tier = "gold"
    set_priority(session, conversation, "urgent", user=user(session), now=NOW + timedelta(minutes=1))
    activate(session, YEARS_LATER, NOW + timedelta(days=900))
    place(session, [conversation], active_policy(session), NOW + timedelta(days=900))
    return conversation.id


def test_all_of_them_are_told_as_they_were(session: Session) -> None:
    found = decided(session, live(session))
    assert [each.told.policy for each in found] == ["Everybody", "Social", "Social", "Social"]
    assert [each.version for each in found] == [2, 1, 1, 1]
    assert found[-1].changed == ()
    assert "new: complaint" in " ".join(found[2].changed)
    assert "a shorter time" in found[1].changed
    assert found[0].changed[:3] == [
        "another version of the policy",
        "another rule, before Social",
        "a longer time",
    ]
    assert found[1].told.target_seconds == 1800
    assert found[1].told.in_words.startswith("4 Gold × ")
    with pytest.raises(NotFound):
        decided(session, 999)


def test_each_takes_less_than_a_kilobyte(session: Session) -> None:
    name = "Ä" * 40
    activate(session, DEFAULT_POLICY.replace("- name: Social\n", f"- name: {name}\n"), NOW)
    live(session)
    kept = [len(each.encode()) for each in session.scalars(select(Decision.explanation))]
    assert (len(kept), max(kept) < LONGEST) == (4, True)


def test_faces(hub: Hub, clock: Clock, agent: TestClient, api: TestClient) -> None:
    with hub.database.session() as session:
        found = live(session)
        overheard = receive_one(session, channel(session, "ears"), inbound(addressed=False)).conversation_id
    told = agent.get(f"/conversations/{found}/decisions").text
    assert "First reply within 30 min" in told
    assert "version 2 of the policy" in told
    assert "another rule, before Social" in told
    assert f'href="/conversations/{found}/decisions"' in agent.get(f"/conversations/{found}").text
    assert "Nothing was decided yet" in agent.get(f"/conversations/{overheard}/decisions").text
    assert agent.get("/conversations/999/decisions").status_code == 404
    assert len(api.get(f"conversations/{found}/decisions").json()["items"]) == 4
