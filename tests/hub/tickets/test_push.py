"""A webhook of Zendesk's through the hub: faster than the export, and no message twice."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select

from connectors.zendesk.connector import ZendeskConnector
from connectors.zendesk.signature import SIGNATURE, TIMESTAMP, sign
from hub.channels.service import find_channel, renew_channel
from hub.conversations.models import Message
from hub.inbox.models import Receipt, Reject
from hub.inbox.pushed import receive_pushed
from tests.hub.conftest import ON_SQLITE
from tests.hub.tickets.conftest import Desk
from tests.hub.tickets.test_both_ways import again, becomes

SECRET = "signing-secret-of-the-tests"


@pytest.fixture(autouse=True)
def secret(desk: Desk) -> None:
    with desk.hub.database.session() as session:
        channel = find_channel(session, "helpdesk")
        renew_channel(session, channel, {"webhook_secret": SECRET}, desk.clock.now)


def push(desk: Desk, client: TestClient, name: str = "event-1") -> Response:
    """Zendesk says that something happened to ticket 35."""
    body = json.dumps({"type": "zen:event-type:ticket.x", "id": name, "detail": {"id": "35"}}).encode()
    stamp = desk.clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {SIGNATURE: sign(SECRET, stamp, body), TIMESTAMP: stamp}
    return client.post("/webhooks/helpdesk", content=body, headers=headers)


def said(desk: Desk) -> list[str]:
    with desk.hub.database.reading() as session:
        rows = select(Message.body).where(Message.direction == "incoming").order_by(Message.id)
        return list(session.scalars(rows))


@ON_SQLITE
def test_a_comment_and_a_status_are_here_at_once(desk: Desk, app_client: TestClient) -> None:
    becomes(desk, "pending")
    desk.tell()
    desk.writes("Hello?", status="open")
    assert push(desk, app_client).json() == {"status": "accepted"}
    assert receive_pushed(desk.hub) == 1
    assert said(desk) == ["Where is it?", "Hello?"]
    assert desk.state()[0] == "open"
    again(desk)
    assert said(desk) == ["Where is it?", "Hello?"]


@ON_SQLITE
def test_the_same_event_again_is_known(desk: Desk, app_client: TestClient) -> None:
    push(desk, app_client)
    desk.later(minutes=1)
    assert push(desk, app_client).json() == {"status": "known"}
    assert push(desk, app_client, "event-2").json() == {"status": "accepted"}
    asked = len(desk.account.requests)
    assert receive_pushed(desk.hub) == 2
    assert len(desk.account.requests) - asked == 2  # the ticket and its comments, once


@ON_SQLITE
def test_what_zendesk_did_not_sign_is_refused_and_nothing_is_kept(desk: Desk, app_client: TestClient) -> None:
    answer = app_client.post("/webhooks/helpdesk", content=b'{"ticket_id": 35}')
    assert answer.status_code == 401
    with desk.hub.database.reading() as session:
        assert session.scalars(select(Receipt)).all() == []


@ON_SQLITE
def test_a_push_while_zendesk_is_away_loses_nothing(desk: Desk, app_client: TestClient) -> None:
    desk.writes("Hello?")
    push(desk, app_client)
    desk.account.answers = [(500, {}, b"{}")]
    assert receive_pushed(desk.hub) == 1
    assert said(desk) == ["Where is it?"]
    desk.fetch()
    assert said(desk) == ["Where is it?", "Hello?"]
    with desk.hub.database.reading() as session:
        assert session.scalars(select(Reject)).all() == []


def test_two_workers_store_it_once(
    desk: Desk, app_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker reads the same while the first asks Zendesk."""
    ask, others = ZendeskConnector.receive, [True]

    def receive(self: ZendeskConnector, delivery: object) -> object:
        if others:
            others.clear()
            assert receive_pushed(desk.hub) == 1
        return ask(self, delivery)  # type: ignore[arg-type]

    monkeypatch.setattr(ZendeskConnector, "receive", receive)
    desk.writes("Hello?")
    push(desk, app_client)
    assert receive_pushed(desk.hub) == 1
    assert receive_pushed(desk.hub) == 0
    assert said(desk) == ["Where is it?", "Hello?"]
