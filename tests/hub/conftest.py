"""A hub on either database, and somebody to ask it: a program with a token, a person who is signed in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from hub.accounts import service
from hub.accounts.service import create_token
from hub.policies.service import activate
from hub.runtime import Hub
from hub.server import create_app
from hub.settings import Settings
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import NOW, PASSWORD, WordScorer

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what says nothing in SQL that the two databases could take differently: once is enough."""


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Tracebacks as they are: the coloured ones of a crash in the web stack take seconds."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashing is slow on purpose; nobody guesses passwords here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[Hub]:
    """A hub with the built-in policy and a model that knows three words; nothing works in the background."""
    hub = Hub(Settings(home=tmp_path, database_url=database_url, secret_key="test key", brand="Test brand"))
    hub._scorer = WordScorer()
    with hub.database.session() as session:
        activate(session, DEFAULT_POLICY, NOW)
    yield hub
    hub.close()


class Clock:
    """The hub's wall clock in a test: it stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> datetime:
        """Move on by that much."""
        self.now += timedelta(**duration)
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that everything in the hub reads, `NOW` at first."""
    clock = Clock()
    for name, module in list(sys.modules.items()):
        if name.startswith("hub.") and hasattr(module, "utcnow"):
            monkeypatch.setattr(module, "utcnow", clock)
    return clock


@pytest.fixture
def session(hub: Hub) -> Iterator[Session]:
    """One writing transaction for a whole test: not beside a client, since SQLite has one writer."""
    with hub.database.session() as session:
        yield session


@pytest.fixture
def app_client(hub: Hub) -> Iterator[TestClient]:
    """Somebody who is not known yet."""
    with TestClient(create_app(hub), follow_redirects=False) as client:
        yield client


@pytest.fixture
def token(hub: Hub) -> str:
    """A token of an agent."""
    with hub.database.session() as session:
        return create_token(session, factories.user(session), "test", NOW)


@pytest.fixture
def api(app_client: TestClient, token: str) -> TestClient:
    """A program with a token; it asks below `/api/v1`."""
    return TestClient(
        app_client.app,
        base_url="http://testserver/api/v1/",
        headers={"Authorization": f"Bearer {token}"},
        follow_redirects=False,
    )


@pytest.fixture
def agent(hub: Hub, app_client: TestClient) -> TestClient:
    """An agent who is signed in."""
    with hub.database.session() as session:
        email = factories.user(session).email
    answer = app_client.post("/sign-in", data={"email": email, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return app_client
