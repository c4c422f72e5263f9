"""A hub with a Zendesk channel, and the account on the other side; both live in one time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.zendesk.connector import ZendeskConnector
from hub.accounts.models import User
from hub.channels.fetching import fetch
from hub.channels.models import Channel
from hub.channels.service import look_now
from hub.conversations.delivery import deliver
from hub.conversations.models import Conversation, Message
from hub.conversations.service import get_conversation
from hub.runtime import Hub
from hub.tickets.models import Ticket
from hub.tickets.telling import tell
from tests import factories
from tests.connectors.zendesk.standin import API_TOKEN, EMAIL, Standin, running_standin
from tests.hub.conftest import Clock

MARA = {"id": 21, "name": "Mara Lind", "email": "mara@mail.example", "role": "end-user"}
TOM = {"id": 22, "name": "Tom Lind", "email": "tom@mail.example", "role": "end-user"}


@dataclass
class Desk:
    """Both sides, and what is done on each."""

    hub: Hub
    account: Standin
    clock: Clock
    channel_id: int
    user_id: int

    def later(self, **duration: float) -> datetime:
        """Some time passes, on both sides."""
        self.account.now = self.clock.advance(**duration)
        return self.account.now

    def at_vendor(self, **changes: Any) -> None:
        """Somebody at Zendesk changes the ticket, half a minute from now."""
        self.later(seconds=30)
        self.account.tickets[35] |= changes | {"updated_at": self._text()}

    def writes(self, text: str, author_id: int = 21, **ticket: Any) -> None:
        """Somebody comments at Zendesk, half a minute from now."""
        self.later(seconds=30)
        self.account.said(35, author_id, text)
        self.account.tickets[35] |= ticket

    def fetch(self) -> None:
        """Bring what there is, when the minute that Zendesk holds back is over."""
        self.later(minutes=2)
        with self.hub.database.session() as session:
            look_now(session, self.channel_id, self.clock.now)
        while fetch(self.hub):
            pass

    def tell(self) -> int:
        """Tell what is due, and send what waits; how much was told."""
        while deliver(self.hub):
            pass
        told = 0
        while tell(self.hub):
            told += 1
        return told

    def here(self, act: Callable[[Session, Conversation, User], object], which: int = 0) -> None:
        """An agent does something with a conversation of the ticket, half a minute from now."""
        self.later(seconds=30)
        with self.hub.database.session() as session:
            conversation = get_conversation(session, self._ids(session)[which])
            act(session, conversation, session.get_one(User, self.user_id))

    def state(self, which: int = 0) -> tuple[str, list[str]]:
        """Status and tags of a conversation of the ticket."""
        with self.hub.database.reading() as session:
            conversation = session.get_one(Conversation, self._ids(session)[which])
            return conversation.status, conversation.tags

    def there(self) -> tuple[str, list[str]]:
        """Status and tags of the ticket at Zendesk."""
        ticket = self.account.tickets[35]
        return ticket["status"], sorted(ticket["tags"])

    def lines(self) -> list[str]:
        """The activity lines of the ticket's conversations."""
        with self.hub.database.reading() as session:
            rows = select(Message.body).where(Message.direction == "activity").order_by(Message.id)
            return list(session.scalars(rows))

    def ticket(self) -> Ticket:
        """What the hub knows of the ticket, and is still to tell."""
        with self.hub.database.reading() as session:
            found = session.scalars(select(Ticket)).one()
            session.expunge(found)
            return found

    def changes(self) -> list[tuple[str, str]]:
        """What the account was asked to change."""
        return [(method, path) for method, path in self.account.requests if method != "GET"]

    def _ids(self, session: Session) -> list[int]:
        return list(session.scalars(select(Conversation.id).order_by(Conversation.id)))

    def _text(self) -> str:
        return self.account.now.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def desk(hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Ticket 35, open and tagged `parcel`, in which Mara asked, is here already."""
    with running_standin() as account:
        account.now = clock.now
        monkeypatch.setattr(ZendeskConnector.__init__, "__defaults__", (lambda: account.now,))
        with hub.database.session() as session:
            channel: Channel = factories.channel(
                session,
                "helpdesk",
                connector="zendesk",
                kind="ticket",
                subdomain="acme",
                email=EMAIL,
                api_token=API_TOKEN,
            )
            desk = Desk(hub, account, clock, channel.id, factories.user(session, "Ana Agent").id)
        head = {"id": 35, "subject": "My parcel", "status": "open", "tags": ["parcel"], "requester_id": 21}
        account.add({**head, "updated_at": desk._text()}, [], [MARA, TOM])
        account.said(35, 21, "Where is it?")
        desk.fetch()
        yield desk
