"""Offers, sending on, and the agents' page, by page, API and command line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from hub.accounts.models import User
from hub.assignment.pushing import hand_out
from hub.conversations.models import Conversation
from hub.policies.service import active_policy
from hub.runtime import Hub
from tests import factories
from tests.factories import NOW, PASSWORD, inbound, receive_one
from tests.hub.assignment.world import agent as make_agent
from tests.hub.assignment.world import rule_by
from tests.hub.conftest import Clock


@pytest.fixture
def offered(hub: Hub, clock: Clock, agent: TestClient) -> int:
    """A conversation that is offered to the agent who is signed in; a colleague without room is here too."""
    with hub.database.session() as session:
        active = rule_by(session)
        me = session.scalars(select(User)).one()
        me.teams, me.skills = ["social"], {"french": 2}
        make_agent(session, "Col League", teams=("service",))
        message = receive_one(session, factories.channel(session), inbound("Where is it?", author="ann"))
        assert hand_out(session, active, NOW) == 1
        return message.conversation_id


def owner_of(hub: Hub, conversation_id: int) -> str | None:
    with hub.database.reading() as session:
        owner = session.get_one(Conversation, conversation_id).owner
        return owner.name if owner else None


def test_an_offer_is_shown_everywhere_and_accepted(hub: Hub, agent: TestClient, offered: int) -> None:
    for address in ("/queue", "/offers", f"/conversations/{offered}"):
        page = agent.get(address).text
        assert f'id="offer-{offered}"' in page
        assert f"/conversations/{offered}/accept" in page
        assert "Why you: in team social" in page
    assert agent.post(f"/conversations/{offered}/accept").status_code == 303
    assert "offer-" not in agent.get("/offers").text
    page = agent.get(f"/conversations/{offered}").text
    assert "Why you" in page
    assert "in team social" in page
    assert "was offered it" in page


def test_of_offers_that_run_out_together_the_first_to_be_answered_is_at_the_top(
    hub: Hub, clock: Clock, agent: TestClient
) -> None:
    with hub.database.session() as session:
        active = rule_by(session)
        session.scalars(select(User)).one().teams = ["social"]
        channel = factories.channel(session)
        came_first, urgent = (
            receive_one(session, channel, inbound(author=name)).conversation_id for name in ("ann", "bob")
        )
        session.get_one(Conversation, urgent).reply_by = NOW
        session.flush()
        assert hand_out(session, active, NOW) == 2
    page = agent.get("/offers").text
    assert page.index(f'id="offer-{urgent}"') < page.index(f'id="offer-{came_first}"')


def test_an_offer_is_declined_and_taken_back_by_going_away(hub: Hub, agent: TestClient, offered: int) -> None:
    assert agent.post(f"/conversations/{offered}/decline").status_code == 303
    assert owner_of(hub, offered) is None
    refused = agent.post(f"/conversations/{offered}/accept", follow_redirects=True)
    assert "no longer offered to you" in refused.text
    with hub.database.session() as session:
        other = receive_one(session, factories.channel(session, "two", network="x"), inbound(author="bob"))
        conversation = session.get_one(Conversation, other.conversation_id)
        conversation.lane = '[1,"social",[]]'
        session.flush()
        assert hand_out(session, active_policy(session), NOW) == 1
    assert agent.post("/presence", data={"presence": "away"}).status_code == 303
    assert owner_of(hub, other.conversation_id) is None


def test_a_conversation_is_sent_on_with_a_note(hub: Hub, agent: TestClient, offered: int) -> None:
    with hub.database.reading() as session:
        colleague = session.scalars(select(User.id).where(User.name == "Col League")).one()
    page = agent.get(f"/conversations/{offered}").text
    assert "Col League (not in team social)" in page
    sent = agent.post(
        f"/conversations/{offered}/send", data={"to": f"agent:{colleague}", "note": "You know them."}
    )
    assert sent.status_code == 303
    assert owner_of(hub, offered) == "Col League"
    page = agent.get(f"/conversations/{offered}").text
    assert "You know them." in page
    assert "Alex Agent sent it to Col League" in page
    assert "Who has had it" in page
    refused = agent.post(f"/conversations/{offered}/send", data={"to": "team:service"})
    assert refused.status_code == 403


def test_how_it_came_to_them_is_told_once(hub: Hub, clock: Clock, agent: TestClient) -> None:
    for path, fields, told in (
        ("reply", {"text": "Tomorrow.", "idempotency_key": "one-key"}, "answered it"),
        ("take", {}, "took it"),
        ("send", {"to": "agent:1"}, "was sent it by Alex Agent"),
    ):
        with hub.database.session() as session:
            channel = factories.channel(session, path)
            address = f"/conversations/{receive_one(session, channel).conversation_id}"
        assert agent.post(f"{address}/{path}", data=fields).status_code == 303
        panel = agent.get(address).text.partition('<section class="panel assignment">')[2]
        panel = panel.partition("</section>")[0]
        assert panel.count(told) == 1
        assert "reasons-list" not in panel


def test_asking_for_the_next_puts_one_online(hub: Hub, agent: TestClient, offered: int) -> None:
    agent.post("/presence", data={"presence": "away"})
    assert agent.post("/queue/next").headers["location"] == f"/conversations/{offered}"
    with hub.database.reading() as session:
        assert not session.scalars(select(User.away).where(User.name == "Alex Agent")).one()
    told = agent.post("/queue/next", follow_redirects=True).text
    assert "Nobody is waiting whom you can answer now" in told


def test_managers_say_who_can_do_what(hub: Hub, clock: Clock, app_client: TestClient, offered: int) -> None:
    assert app_client.get("/agents").status_code == 403
    with hub.database.session() as session:
        email = factories.user(session, "Mia Manager", role="manager").email
        alex = session.scalars(select(User).where(User.name == "Alex Agent")).one().id
    app_client.post("/sign-in", data={"email": email, "password": PASSWORD})
    page = app_client.get("/agents").text
    assert "2 of 2 agents online" in page
    assert "1 of 3 units" in page
    fields = {"team": ["service", "social"], "skill:french": "4", "skill:returns": "0", "capacity": "7"}
    assert app_client.post(f"/agents/{alex}", data=fields).status_code == 303
    with hub.database.reading() as session:
        found = session.get_one(User, alex)
        assert (found.teams, found.skills, found.capacity) == (["service", "social"], {"french": 4}, 7)
    clock.advance(minutes=6)
    page = app_client.get("/agents").text
    assert "0 of 2 agents online" in page
    assert "1 of 7 units" in page
    assert "too few for" not in page
    # A mail weighs two: it would never be given to somebody with room for one.
    assert app_client.post(f"/agents/{alex}", data={**fields, "capacity": "1"}).status_code == 303
    assert app_client.get("/agents").text.count("too few for mail") == 1
    assert app_client.post(f"/agents/{alex}", data={"capacity": "many"}).status_code == 303
    assert "whole number" in app_client.get("/agents").text


def test_the_api_offers_accepts_sends_and_tells_why(hub: Hub, api: TestClient, clock: Clock) -> None:
    with hub.database.session() as session:
        active = rule_by(session)
        me = session.scalars(select(User)).one()
        me.teams, me.role, me.seen_at = ["social"], "agent", NOW
        message = receive_one(session, factories.channel(session), inbound(author="ann"))
        assert hand_out(session, active, NOW) == 1
        email, me_id = me.email, me.id
    path = f"conversations/{message.conversation_id}"
    (offer,) = api.get("offers").json()
    assert offer["conversation_id"] == message.conversation_id
    assert offer["accept_by"] == (NOW + timedelta(minutes=2)).isoformat().replace("+00:00", "Z")
    accepted = api.post(f"{path}/accept").json()
    assert (accepted["owner"], accepted["rule"], accepted["team"]) == (email, "Social", "social")
    assert accepted["items"][0]["reasons"] == ["in team social", "has most room: 3 of 3 units free"]
    assert api.post(f"{path}/decline").status_code == 409
    assert api.post(f"{path}/send", json={"team": "sales"}).status_code == 422
    assert api.post(f"{path}/send", json={}).status_code == 422
    sent = api.post(f"{path}/send", json={"team": "service", "note": "Yours."}).json()
    assert (sent["owner"], sent["team"], sent["items"][0]["ended"]) == (None, "service", "sent_on")
    assert api.get(f"{path}/assignments").json() == sent
    assert api.get("agents").status_code == 403
    with hub.database.session() as session:
        session.get_one(User, me_id).role = "manager"
    abilities = {"teams": ["service"], "skills": {"french": 5}, "capacity": None}
    changed = api.put(f"agents/{me_id}", json=abilities).json()
    assert (changed["teams"], changed["skills"], changed["capacity"]) == (["service"], {"french": 5}, 3)
    for wrong in (
        {"teams": ["sales"]},
        {"skills": {"juggling": 1}},
        {"skills": {"french": 6}},
        {"capacity": -1},
    ):
        assert api.put(f"agents/{me_id}", json=wrong).status_code == 422
    assert api.get("agents").json() == []
    assert api.put("presence", json={"away": True}).json() == {"away": True}
