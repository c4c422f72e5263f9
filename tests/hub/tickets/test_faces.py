"""A ticket out of step with its vendor, as people and programs see it."""

from __future__ import annotations

from fastapi.testclient import TestClient

from hub.channels.metrics import exposition
from hub.conversations.models import Conversation
from hub.tickets.telling import tell
from tests.hub.conftest import ON_SQLITE
from tests.hub.tickets.conftest import Desk
from tests.hub.tickets.test_both_ways import becomes


def refused(desk: Desk) -> str:
    """The path of a conversation whose ticket may not be solved."""
    becomes(desk, "solved")
    desk.account.answers = [(422, {}, b'{"description": "Reason is missing"}')]
    tell(desk.hub)
    with desk.hub.database.reading() as session:
        return f"conversations/{session.query(Conversation).one().id}"


def test_programs_see_it_and_decide(desk: Desk, api: TestClient) -> None:
    path = refused(desk)
    assert api.get("channels").json()["items"][0]["refused"] == 1
    with desk.hub.database.reading() as session:
        assert 'hub_channel_refused{channel="helpdesk"} 1' in exposition(session, desk.clock.now)
    ticket = api.get(path).json()["ticket"]
    assert (ticket["status"], ticket["tags"], ticket["trouble"]) == ("open", ["parcel"], "refused")
    assert "Reason is missing" in ticket["error"]
    assert ticket["waits"] is False
    assert api.post(f"{path}/ticket", json={"action": "try_again"}).json()["waits"] is True
    tell(desk.hub)
    assert desk.there()[0] == "solved"
    assert api.get(path).json()["ticket"]["trouble"] is None


@ON_SQLITE
def test_people_see_it_and_decide(desk: Desk, agent: TestClient) -> None:
    path = f"/{refused(desk)}"
    shown = agent.get(path).text
    assert "helpdesk does not take the change" in shown
    assert "Reason is missing" in shown
    channels = " ".join(agent.get("/channels").text.split())
    assert f'Ticket changes refused</dt><dd><a class="link" href="{path}">1</a>' in channels
    agent.post(f"{path}/ticket/try-harder")
    assert "Input should be &#39;try-again&#39; or &#39;leave-it&#39;" in agent.get(path).text
    agent.post(f"{path}/ticket/try-again")
    desk.account.answers = [(503, {}, b"{}")]
    tell(desk.hub)
    assert "helpdesk was not told yet" in agent.get(path).text
    agent.post(f"{path}/ticket/leave-it")
    after = agent.get(path).text
    assert "Left as it is at helpdesk." in after
    assert "was not told yet" not in after
    assert desk.there()[0] == "open"
