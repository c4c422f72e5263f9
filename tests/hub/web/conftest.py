"""Somebody who looks at a served hub in a real browser, and on whose console nothing may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from connectors.base import Identity
from hub.clock import utcnow
from hub.settings import Settings
from tests import factories
from tests.factories import PASSWORD, inbound
from tests.hub.web.serving import ServedHub

# A browser beside other work is slow; what does not come at all fails a little later.
expect.set_options(timeout=15_000)

Opened = Callable[..., Page]
# htmx notes a request that a click elsewhere, or leaving the page, cut short. One that failed it notes as
# another event besides ("sendError", "responseError").
LEFT = ("htmx:afterRequest", "htmx:sendAbort")


@pytest.fixture
def served(sqlite_url: str, tmp_path: Path) -> Iterator[ServedHub]:
    """A hub that serves an empty SQLite database."""
    hub = ServedHub(Settings(home=tmp_path, database_url=sqlite_url, secret_key="key", brand="Test brand"))
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def troubles() -> list[str]:
    """What the browser's console complains of, refused scripts and styles among it.

    It must be empty after a test. Who takes the hub away, or signs out, empties it: the browser notes each
    request that failed. Errors in scripts are kept apart, and none is ever right.
    """
    return []


@pytest.fixture
def opened(browser: Browser, troubles: list[str]) -> Iterator[Opened]:
    """Opens a page in a browser of its own; options are those of a browser context."""
    contexts = []
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(LEFT):
            troubles.append(message.text)

    def open_page(url: str, **options: Any) -> Page:
        # Without motion: a page left while it fades in is an error in Chromium ("Transition was skipped").
        options = {"locale": "en-GB", "timezone_id": "Europe/Berlin", "reduced_motion": "reduce", **options}
        context = browser.new_context(base_url=url, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert (errors, troubles) == ([], [])


@pytest.fixture
def page(served: ServedHub, opened: Opened) -> Page:
    """A page of Alex, an agent who is signed in."""
    page = opened(served.url)
    sign_in(served, page)
    return page


def sign_in(served: ServedHub, page: Page, name: str = "Alex Agent", role: str = "agent") -> None:
    """Make a user of that name and sign them in, without a page."""
    with served.session() as session:
        email = factories.user(session, name, role=role).email
    answer = page.request.post("/sign-in", form={"email": email, "password": PASSWORD})
    assert answer.ok, answer.text()


@pytest.fixture
def waiting(served: ServedHub, tmp_path: Path) -> dict[str, int]:
    """Three who wait, in the order in which they are due: ids of their conversations by name."""
    now, minute = utcnow(), timedelta(minutes=1)
    with served.session() as session:
        chirp = factories.channel(session, outbox=str(tmp_path / "outbox"), at=now)
        for name, tier in (("Pia", "platinum"), ("Gus", "gold")):
            factories.customer(session, name, Identity("handle", name, "chirp"), tier=tier, at=now)
        messages = [
            factories.receive_one(session, chirp, inbound(text, author=author, sent_at=at), now=at)
            for text, author, at in (
                ("Where is my parcel?", "Ned", now - 50 * minute),
                ("This is bad, again", "Pia", now - 2 * minute),
                ("A good shop", "Gus", now - 10 * minute),
            )
        ]
        ned, pia, gus = (message.conversation_id for message in messages)
    return {"Pia": pia, "Gus": gus, "Ned": ned}
