"""Customers by API and by page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from connectors.base import Identity
from hub.clock import utcnow
from hub.runtime import Hub
from tests.factories import analyse_as, channel, customer, event, inbound, receive_one


@pytest.fixture
def ann(hub: Hub) -> int:
    """A customer with everything; her id."""
    now = utcnow()
    with hub.database.session() as session:
        made = customer(
            session,
            "Ann <b>Vogel</b>",
            Identity("handle", "annie", "chirp"),
            Identity("loyalty", "LX1"),
            tier="platinum",
            points=1234,
            at=now,
        )
        event(session, made, amount="1300.50", at=now, now=now, items="Boots", place="Hamburg")
        event(session, made, "points_earned", None, at=now, now=now, points=1300)
        for number, text in enumerate(("Bad <script>alert(1)</script>", "Bad again")):
            said = receive_one(
                session,
                channel(session, f"chirp{number}", network="chirp", at=now),
                inbound(text, author="annie"),
                now=now,
            )
            analyse_as(session, said, now=now)
        return made.id


def test_api_lists_and_shows(api: TestClient, ann: int) -> None:
    (item,) = api.get("customers", params={"q": "vogel"}).json()["items"]
    assert item["id"] == ann
    assert item["spend"] == {"amount": "1300.50", "currency": "EUR", "percentile": 100.0}
    assert (item["conversations"], item["open"]) == (2, 2)
    found = api.get(f"customers/{ann}").json()
    assert found["purchases"][0]["what"] == "Boots"
    assert found["spend"]["orders"] == 1
    assert [round(mood["value"], 2) for mood in found["moods"]] == [-0.85, -0.85]
    assert {talk["channel"]["name"] for talk in found["conversations"]} == {"chirp0", "chirp1"}


def test_api_pages(hub: Hub, api: TestClient) -> None:
    with hub.database.session() as session:
        for number in range(5):
            customer(session, f"Customer {number}")
    first = api.get("customers", params={"limit": 3}).json()
    rest = api.get("customers", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [item["name"][-1] for item in first["items"] + rest["items"]] == list("43210")
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("customers/999", 404),
        ("customers/0", 422),
        ("customers/99999999999", 422),
        ("customers?cursor=x", 422),
    ],
)
def test_api_errors_are_problems(api: TestClient, path: str, status: int) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


def test_api_wants_a_token(app_client: TestClient) -> None:
    assert app_client.get("/api/v1/customers").status_code == 401


def test_pages_show_and_escape(agent: TestClient, ann: int) -> None:
    listed = agent.get("/customers").text
    assert "Ann &lt;b&gt;Vogel" in listed
    assert "@annie on chirp, LX1" in listed
    assert "1,300.50" in listed
    shown = agent.get(f"/customers/{ann}").text
    assert "Boots" in shown
    assert "Earned 1,300 points" in shown
    assert "Valence" in shown
    assert "<b>Vogel" not in listed + shown
    assert "<script>alert" not in listed + shown


def test_page_finds_and_goes_on(hub: Hub, agent: TestClient) -> None:
    with hub.database.session() as session:
        for number in range(4):
            customer(session, f"Customer {number}", tier="gold")
    first = agent.get("/customers", params={"limit": 3, "tier": "gold", "q": "cust"})
    assert "Customer 3" in first.text
    assert "Customer 0" not in first.text
    more = next(
        part.split('"')[0].replace("&amp;", "&")
        for part in first.text.split('href="')
        if part.startswith("/customers?")
    )
    assert "tier=gold" in more
    assert "Customer 0" in agent.get(more).text
    assert "Nobody matches" in agent.get("/customers?q=zzz").text


def test_pages_want_a_person(app_client: TestClient) -> None:
    answer = app_client.get("/customers/1")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=/customers/1")
