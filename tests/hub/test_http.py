"""Who may ask, what a refusal looks like to a program and to a person, and one transaction per request."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from hub.accounts.models import ApiToken, User
from hub.accounts.service import revoke_tokens, set_disabled
from hub.conversations.models import Conversation, Message
from hub.conversations.service import set_status
from hub.paging import encode_cursor
from hub.queue import api as queue_api
from hub.runtime import Hub
from hub.server import create_app
from tests import factories
from tests.factories import NOW, PASSWORD, channel, inbound, receive_one
from tests.hub.conftest import Clock


@pytest.fixture
def conversation_id(hub: Hub) -> int:
    """A conversation that waits."""
    with hub.database.session() as session:
        return receive_one(session, channel(session)).conversation_id


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    return told


def test_without_a_token_nothing_is_told(app_client: TestClient, subtests: pytest.Subtests) -> None:
    for given in (None, "Bearer hub_wrong", "Bearer ", "Bearer", "Basic YTpi", "hub_wrong"):
        with subtests.test(given=given):
            headers = {} if given is None else {"Authorization": given}
            answer = app_client.get("/api/v1/queue", headers=headers)
            assert problem_of(answer, 401)["title"] == "Unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("what", ["revoked", "disabled"])
def test_a_token_serves_until_it_is_revoked_or_its_user_locked_out(
    hub: Hub, api: TestClient, what: str
) -> None:
    assert api.get("queue").status_code == 200
    with hub.database.session() as session:
        token = session.scalars(select(ApiToken)).one()
        user = session.get_one(User, token.user_id)
        if what == "revoked":
            assert revoke_tokens(session, user, token.name, NOW) == 1
        else:
            set_disabled(user, True, NOW)
    problem_of(api.get("queue"), 401)


WRONG = [
    ("no such conversation", "GET", "conversations/999", None, 404),
    ("a reply to nobody", "POST", "conversations/999/replies", {"text": "x"}, 404),
    ("no such message", "POST", "messages/999/delivery", {"action": "check"}, 404),
    ("no such place", "GET", "nothing/here", None, 404),
    ("no such method", "DELETE", "queue", None, 405),
    ("an id that no row has", "GET", f"conversations/{2**31}", None, 422),
    ("an id that no database holds", "GET", f"conversations/{2**70}", None, 422),
    ("a negative id", "GET", "conversations/-1", None, 422),
    ("an id in words", "GET", "conversations/one", None, 422),
    ("a customer out of range", "GET", f"conversations?customer_id={2**70}", None, 422),
    ("a page of nothing", "GET", "queue?limit=0", None, 422),
    ("too large a page", "GET", "queue?limit=201", None, 422),
    ("an unknown filter", "GET", "queue?owner=boss", None, 422),
    ("a forged cursor", "GET", "queue?cursor=xyz", None, 422),
    (
        "a cursor from antiquity",
        "GET",
        f"queue?cursor={encode_cursor(['0001-01-01T00:00:00+00:00', 1])}",
        None,
        200,
    ),
    ("no text", "POST", "conversations/1/replies", {}, 422),
    ("an empty text", "POST", "conversations/1/replies", {"text": ""}, 422),
    ("a blank text", "POST", "conversations/1/replies", {"text": " \n"}, 422),
    ("a NUL character", "POST", "conversations/1/replies", {"text": "a\0b"}, 422),
    ("half a character", "POST", "conversations/1/replies", {"text": "\ud800"}, 422),
    ("half a note", "POST", "conversations/1/notes", {"text": "\udfff"}, 422),
    ("a book", "POST", "conversations/1/replies", {"text": "x" * 100_001}, 422),
    ("reply and close", "POST", "conversations/1/replies", {"text": "x", "status": "closed"}, 422),
    ("new again", "PATCH", "conversations/1", {"status": "new"}, 422),
    ("no such status", "PATCH", "conversations/1", {"status": "asleep"}, 422),
    ("snoozed until when?", "PATCH", "conversations/1", {"status": "snoozed"}, 409),
    (
        "a moment without a zone",
        "PATCH",
        "conversations/1",
        {"status": "snoozed", "snoozed_until": "2026-12-01T10:00:00"},
        422,
    ),
    (
        "until yesterday",
        "PATCH",
        "conversations/1",
        {"status": "snoozed", "snoozed_until": "2020-01-01T10:00:00Z"},
        409,
    ),
    (
        "until the end of time",
        "PATCH",
        "conversations/1",
        {"status": "snoozed", "snoozed_until": "9999-12-31T23:59:59-10:00"},
        422,
    ),
    ("no reply to deliver", "POST", "messages/1/delivery", {"action": "check"}, 409),
    ("no such action", "POST", "messages/1/delivery", {"action": "burn"}, 422),
]


def test_a_program_is_told_what_is_wrong(
    api: TestClient, conversation_id: int, subtests: pytest.Subtests
) -> None:
    for what, method, path, body, status in WRONG:
        with subtests.test(what):
            content = None if body is None else json.dumps(body)
            answer = api.request(method, path, content=content, headers={"content-type": "application/json"})
            if status >= 400:
                problem_of(answer, status)
            else:
                assert answer.status_code == status


def test_a_problem_names_the_field(api: TestClient) -> None:
    told = problem_of(api.get("queue?limit=many"), 422)
    assert told["errors"][0]["field"] == "limit"


def test_a_body_that_is_no_json_is_the_senders_fault(
    api: TestClient, conversation_id: int, subtests: pytest.Subtests
) -> None:
    for body in (b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b'{"text": 7}', b"[" * 50_000):
        with subtests.test(body=body[:20]):
            answer = api.post(
                f"conversations/{conversation_id}/replies",
                content=body,
                headers={"content-type": "application/json"},
            )
            problem_of(answer, 400 if body[:2] == b"[[" else 422)


def test_what_no_database_takes_is_no_crash(hub: Hub, api: TestClient, subtests: pytest.Subtests) -> None:
    """PostgreSQL refuses NUL characters in a question; SQLite finds nothing."""
    for path in ("conversations?search=%00", "queue?channel=%00", "queue?tier=a%00", "customers?search=%00"):
        with subtests.test(path):
            assert api.get(path).status_code in ({200} if hub.database.is_sqlite else {200, 422})


def test_closed_is_a_conflict(hub: Hub, api: TestClient, conversation_id: int) -> None:
    with hub.database.session() as session:
        set_status(session, session.get_one(Conversation, conversation_id), "closed", user=None, now=NOW)
    told = problem_of(api.post(f"conversations/{conversation_id}/replies", json={"text": "Hello"}), 409)
    assert "closed" in told["detail"]


def test_a_request_is_one_transaction(hub: Hub, api: TestClient, conversation_id: int) -> None:
    """The first half of a request that fails in its second half never happened."""
    answer = api.patch(f"conversations/{conversation_id}", json={"owned": True, "status": "asleep"})
    problem_of(answer, 422)
    with hub.database.reading() as session:
        assert session.get_one(Conversation, conversation_id).owner_id is None
        assert session.scalars(select(Message.direction)).all() == ["incoming"]


def test_the_same_key_again_sends_nothing_again(hub: Hub, api: TestClient, conversation_id: int) -> None:
    def send(text: str) -> Any:
        path = f"conversations/{conversation_id}/replies"
        return api.post(path, json={"text": text}, headers={"Idempotency-Key": "once"})

    first, again = send("Hello"), send("Hello")
    assert (first.status_code, first.json()) == (201, again.json())
    problem_of(send("Something else"), 409)


def test_a_crash_is_told_without_its_reasons(
    hub: Hub, token: str, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    crashes = {
        500: ZeroDivisionError("the password is 1234"),
        503: OperationalError("SELECT 1234", {}, Exception()),
    }
    with TestClient(create_app(hub), raise_server_exceptions=False) as client:
        for status, error in crashes.items():
            monkeypatch.setattr(queue_api, "list_queue", Mock(side_effect=error))
            with subtests.test(status=status):
                answer = client.get("/api/v1/queue", headers={"Authorization": f"Bearer {token}"})
                problem_of(answer, status)
                assert "1234" not in answer.text
                assert ("retry-after" in answer.headers) == (status == 503)


def test_who_asks_counts_as_here(clock: Clock, hub: Hub, api: TestClient, agent: TestClient) -> None:
    """A program and a person, reading and writing; noted every half minute at most."""

    def seen() -> set[Any]:
        with hub.database.reading() as session:
            return set(session.scalars(select(User.seen_at)))

    first = clock.advance(minutes=1)
    api.get("queue")
    agent.get("/queue")
    assert seen() == {first}
    clock.advance(seconds=20)
    api.get("queue")
    agent.post("/queue/next")
    assert seen() == {first}
    later = clock.advance(seconds=11)
    api.get("queue")
    agent.post("/queue/next")
    assert seen() == {later}


def test_a_stranger_is_asked_to_sign_in_and_brought_back(app_client: TestClient) -> None:
    for method, path, back in (
        ("GET", "/queue", "/queue"),
        ("GET", "/queue?owner=mine&limit=5", "/queue?owner=mine&limit=5"),
        ("GET", "/conversations/7", "/conversations/7"),
        ("POST", "/queue/next", "/"),
    ):
        answer = app_client.request(method, path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={quote(back)}")


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(app_client: TestClient) -> None:
    answer = app_client.get("/queue", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in?next=/queue")


def test_signing_in_leads_nowhere_else(hub: Hub, app_client: TestClient, subtests: pytest.Subtests) -> None:
    with hub.database.session() as session:
        email = factories.user(session).email
    for target, leads_to in (
        ("/queue?owner=mine", "/queue?owner=mine"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("queue", "/"),
        ("", "/"),
    ):
        with subtests.test(target=target):
            assert "evil.example" not in app_client.get("/sign-in", params={"next": target}).text
            data = {"email": email, "password": PASSWORD, "next": target}
            answer = app_client.post("/sign-in", data=data)
            assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


def test_a_wrong_password_tells_nothing(hub: Hub, app_client: TestClient) -> None:
    with hub.database.session() as session:
        known, locked = factories.user(session), factories.user(session)
        set_disabled(locked, True, NOW)
    told = set()
    for email, password in (
        (known.email, "wrong password"),
        ("nobody@x.example", PASSWORD),
        (locked.email, PASSWORD),
    ):
        answer = app_client.post("/sign-in", data={"email": email, "password": password})
        assert answer.status_code == 401
        told.add(re.sub(r'data-now="[^"]*"', "", answer.text.replace(email, "EMAIL")))
        assert app_client.get("/queue").status_code == 303
    assert len(told) == 1


def test_signing_out_and_locking_out_end_a_session(hub: Hub, agent: TestClient) -> None:
    assert agent.get("/queue").status_code == 200
    with hub.database.session() as session:
        set_disabled(session.scalars(select(User)).one(), True, NOW)
    assert agent.get("/queue").status_code == 303
    with hub.database.session() as session:
        set_disabled(session.scalars(select(User)).one(), False, NOW)
    assert agent.get("/queue").status_code == 303


def test_the_cookie_is_for_the_browser_alone(hub: Hub, app_client: TestClient) -> None:
    with hub.database.session() as session:
        email = factories.user(session).email
    answer = app_client.post("/sign-in", data={"email": email, "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    forged = TestClient(
        app_client.app, follow_redirects=False, cookies={"hub_session": "eyJ1c2VyX2lkIjogMX0="}
    )
    assert forged.get("/queue").status_code == 303


def test_another_site_cannot_act_for_somebody(agent: TestClient, subtests: pytest.Subtests) -> None:
    for headers, allowed in (
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, False),
        ({"Origin": "http://testserver"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://testserver.evil.example"}, False),
        ({"Origin": "null"}, False),
    ):
        with subtests.test(headers=headers):
            assert agent.post("/queue/next", headers=headers).status_code == (303 if allowed else 403)
    for path in ("/sign-in", "/sign-out", "/presence"):
        with subtests.test(path):
            answer = agent.post(path, headers={"Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 403
            assert "another site" in answer.text
    assert agent.get("/queue").status_code == 200


def test_reading_from_another_site_is_only_a_link(agent: TestClient) -> None:
    assert agent.get("/queue", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_person_is_told_where_they_asked(hub: Hub, agent: TestClient, conversation_id: int) -> None:
    with hub.database.session() as session:
        set_status(session, session.get_one(Conversation, conversation_id), "closed", user=None, now=NOW)
    answer = agent.post(
        f"/conversations/{conversation_id}/reply",
        data={"text": "Hello", "idempotency_key": "k"},
        headers={"Referer": f"http://testserver/conversations/{conversation_id}?x=1"},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"/conversations/{conversation_id}?x=1")
    assert "This conversation is closed" in agent.get("/queue").text
    assert "This conversation is closed" not in agent.get("/queue").text


def test_the_way_back_is_one_of_ours(
    agent: TestClient, conversation_id: int, subtests: pytest.Subtests
) -> None:
    for place in ("evil.example/queue", "testserver//evil.example", "testserver/\\evil", "testserver"):
        with subtests.test(place):
            headers = {"Referer": f"http://{place}"}
            answer = agent.post(
                f"/conversations/{conversation_id}/status", data={"status": "x"}, headers=headers
            )
            assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_person_gets_a_page_where_there_is_nothing(agent: TestClient) -> None:
    for path in ("/conversations/999", "/nothing", "/customers/999"):
        answer = agent.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


def test_pages_of_the_api_hold_everything_once(hub: Hub, api: TestClient, subtests: pytest.Subtests) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        expected = {
            receive_one(
                session, chirp, inbound(author=f"writer {n}", sent_at=NOW - timedelta(minutes=n // 2))
            ).conversation_id
            for n in range(7)
        }
    for path in ("queue", "conversations", "conversations?view=open"):
        for limit in (2, 3, 7):
            with subtests.test(path, limit=limit):
                found = _all(api, path, limit)
                assert len(found) == len(expected)
                assert set(found) == expected


def _all(api: TestClient, path: str, limit: int) -> list[int]:
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        told = api.get(path, params=params).json()
        assert len(told["items"]) <= limit
        found += [each.get("conversation_id", each.get("id")) for each in told["items"]]
        cursor = told["next_cursor"]
    return found
