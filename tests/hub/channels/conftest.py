"""A vendor for each test, and channels of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import registry
from hub.channels.models import Channel, Feed
from hub.runtime import Hub
from tests import factories
from tests.hub.channels import vendor as scripted
from tests.hub.channels.vendor import Vendor

TOKEN = "token-that-nobody-sees"


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """A vendor that has nothing yet; `scripted` is the connector that speaks with it."""
    monkeypatch.setitem(registry._CONNECTORS, "scripted", "tests.hub.channels.vendor:ScriptedConnector")
    monkeypatch.setattr(scripted, "VENDOR", made := Vendor())
    return made


@pytest.fixture
def line(hub: Hub, vendor: Vendor) -> Channel:
    """A channel of the vendor's."""
    with hub.database.session() as session:
        return scripted_channel(session)


def scripted_channel(session: Session, name: str = "chirp", **config: Any) -> Channel:
    """A channel of the scripted vendor."""
    settings = {"handle": "brand", "token": TOKEN, **config}
    return factories.channel(session, name, connector="scripted", **settings)


Feeds = Callable[..., Feed]


@pytest.fixture
def feed(hub: Hub, line: Channel) -> Feeds:
    """How the channel's feed of a mode is now."""

    def read(mode: str = "fetch") -> Feed:
        with hub.database.reading() as session:
            found = session.scalars(select(Feed).where(Feed.channel_id == line.id, Feed.mode == mode)).one()
            session.expunge(found)
            return found

    return read
