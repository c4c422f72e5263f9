"""The policy by API and by page: read by programs, changed by managers."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from hub.accounts.service import create_token
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, PASSWORD, analyse_as, channel, receive_one, user

SHORTER = DEFAULT_POLICY.replace("platinum: 15m", "platinum: 5m")
BROKEN = DEFAULT_POLICY.replace('channel.kind == "social"\n', 'chanel.kind == "social"\n')


@pytest.fixture
def manager(hub: Hub, app_client: TestClient) -> TestClient:
    """A manager who is signed in, whose token programs use too."""
    with hub.database.session() as session:
        made = user(session, "Mara Manager", role="manager")
        app_client.headers["Authorization"] = f"Bearer {create_token(session, made, 'test', NOW)}"
        email = made.email
    assert app_client.post("/sign-in", data={"email": email, "password": PASSWORD}).status_code == 303
    return app_client


def read(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_program_reads_checks_and_changes_it(manager: TestClient) -> None:
    api = "/api/v1/policy"
    now = manager.get(api).json()
    assert (now["version"], now["source"], now["by"], now["replacing"]["left"]) == (
        1,
        DEFAULT_POLICY,
        None,
        0,
    )
    found = manager.post(f"{api}/check", json={"source": BROKEN}).json()
    line = 1 + BROKEN.splitlines().index('    when: chanel.kind == "social"')
    assert (found["valid"], found["problems"][0]["line"]) == (False, line)
    assert "did you mean channel.kind?" in found["problems"][0]["message"]
    refused = manager.post(f"{api}/activate", json={"source": BROKEN})
    assert (refused.status_code, refused.json()["problems"][0]["line"]) == (422, line)
    made = manager.post(f"{api}/activate", json={"source": SHORTER, "instead_of": 1}).json()
    assert (made["version"], made["by"], made["origin"]) == (2, "Mara Manager", "person")
    assert manager.post(f"{api}/activate", json={"version": 1, "instead_of": 1}).status_code == 409
    lines = manager.get(f"{api}/diff", params={"old": 1, "new": 2}).json()["lines"]
    assert [each["kind"] for each in lines].count("added") == 2
    assert manager.post(f"{api}/back").json()["version"] == 1
    versions = manager.get(f"{api}/versions", params={"limit": 2}).json()
    assert [(each["version"], each["active"]) for each in versions["items"]] == [(1, True), (2, False)]
    more = manager.get(f"{api}/versions", params={"cursor": versions["next_cursor"]}).json()
    assert [each["version"] for each in more["items"]] == [1]
    assert manager.get(f"{api}/versions/2").json()["source"] == SHORTER
    assert manager.get(f"{api}/versions/9").status_code == 404
    assert manager.post(f"{api}/activate", json={}).status_code == 422


def test_agents_read_it_and_change_nothing(api: TestClient, agent: TestClient) -> None:
    assert api.get("policy").status_code == 200
    assert api.post("policy/activate", json={"version": 1}).status_code == 403
    assert api.post("policy/back").status_code == 403
    for path in ("/policy", "/policy/edit", "/policy/compare?new=1"):
        assert agent.get(path).status_code == 403
    assert agent.post("/policy/activate", data={"version": 1, "instead_of": 1}).status_code == 403


def test_why_a_conversation_stood_where_it_stood(hub: Hub, api: TestClient) -> None:
    with hub.database.session() as session:
        message = receive_one(session, channel(session))
        analyse_as(session, message)
        conversation_id = message.conversation_id
    newest, first = api.get(f"conversations/{conversation_id}/decisions").json()["items"]
    assert (first["version"], first["policy"], first["weight"]) == (1, "Social", 1.0)
    assert newest["weight"] == pytest.approx(1.36 * 1.16)
    assert {"factor": 1.36, "text": "negative (0.90 sure)"} in newest["reasons"]
    assert api.get("conversations/99/decisions").status_code == 404


def test_a_manager_edits_checks_and_takes_it_back(manager: TestClient) -> None:
    page = read(manager.get("/policy").text)
    assert "Version 1" in page
    assert "Built in" in page or "Command line" in page
    assert "One step back" not in page
    as_typed = {"source": BROKEN.replace("\n", "\r\n"), "instead_of": "1"}
    line = 1 + BROKEN.splitlines().index('    when: chanel.kind == "social"')
    for act in ("check", "activate"):
        shown = manager.post("/policy/edit", data={**as_typed, "act": act})
        assert shown.status_code == 200
        assert f"Line {line} policies[1].when: no such fact: chanel.kind; did you mean channel.kind?" in read(
            shown.text
        )
        assert "Let it rule" not in shown.text
    checked = manager.post("/policy/edit", data={"source": SHORTER, "instead_of": "1", "act": "check"}).text
    assert 'data-kind="added"' in checked
    assert "Let it rule" in checked
    saved = manager.post("/policy/edit", data={"source": SHORTER, "instead_of": "1", "act": "activate"})
    assert saved.headers["location"] == "/policy"
    page = manager.get("/policy").text
    assert "Version 2 rules now" in read(page)
    assert "Mara Manager" in page
    assert "One step back, to version 1" in read(page)
    compare = manager.get("/policy/compare?new=1").text
    assert "Let version 1 rule" in read(compare)
    assert manager.post("/policy/activate", data={"version": 1, "instead_of": 2}).status_code == 303
    assert "Version 1 rules now" in read(manager.get("/policy").text)


def test_who_was_slower_is_told(manager: TestClient) -> None:
    manager.post("/policy/edit", data={"source": SHORTER, "instead_of": "1", "act": "activate"})
    late = manager.post(
        "/policy/edit",
        data={"source": DEFAULT_POLICY + "# late\n", "instead_of": "1", "act": "activate"},
        headers={"referer": "http://testserver/policy/edit"},
    )
    assert late.headers["location"] == "/policy/edit"
    assert "version 2 rules by now" in read(manager.get("/policy").text).lower()
