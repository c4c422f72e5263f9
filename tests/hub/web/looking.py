"""What the browser tests look at, and what happens behind the reader's back."""

from __future__ import annotations

import base64

from playwright.sync_api import Locator, Page, expect

from hub.clock import utcnow
from hub.conversations.service import get_conversation
from tests import factories
from tests.factories import inbound
from tests.hub.web.serving import ServedHub

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def rows(page: Page) -> Locator:
    """The rows of a list."""
    return page.locator("#rows > li[id^=row]")


def names(page: Page) -> Locator:
    """What each row is called."""
    return page.locator("[data-row]")


def toast(page: Page) -> Locator:
    """The notices."""
    return page.locator(".toast")


def status(page: Page) -> Locator:
    """The status of the open conversation."""
    return page.locator(".conversation-acts .status")


def arrive(page: Page, path: str) -> None:
    """Open a live page and wait until it has caught up with its stream."""
    with page.expect_response(lambda response: "hx-request" in response.request.headers):
        page.goto(path)
    expect(page.locator(".sidebar [data-live-text]")).to_have_text("Live")


def mark(page: Page) -> None:
    """Leave what a reload would lose."""
    page.evaluate("window.marked = true")


def is_marked(page: Page) -> bool:
    """Whether it was not reloaded since."""
    return bool(page.evaluate("window.marked === true"))


def say(served: ServedHub, conversation_id: int, text: str) -> None:
    """The customer of a conversation writes again."""
    now = utcnow()
    with served.session() as session:
        conversation = get_conversation(session, conversation_id)
        message = inbound(text, author=conversation.customer.name, sent_at=now)
        factories.receive_one(session, conversation.channel, message, now=now)
