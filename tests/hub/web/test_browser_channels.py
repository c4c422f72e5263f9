"""Connecting a channel in a real browser: tried out, mended, saved; by keyboard, in the dark, on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import hub.web
from connectors.base import AuthExpired
from tests import factories
from tests.factories import PASSWORD
from tests.hub.channels.conftest import TOKEN, vendor
from tests.hub.channels.vendor import Vendor
from tests.hub.web.conftest import Opened
from tests.hub.web.looking import toast
from tests.hub.web.serving import ServedHub
from tests.servers import wait_until

__all__ = ["vendor"]
AXE = Path(hub.web.__file__).parent / "assets/node_modules/axe-core/axe.min.js"


@pytest.fixture
def manager(served: ServedHub, opened: Opened, request: pytest.FixtureRequest) -> Page:
    """A page of a manager who is signed in."""
    page = opened(served.url, **getattr(request, "param", {}))
    with served.session() as session:
        email = factories.user(session, "Mo Manager", role="manager").email
    assert page.request.post("/sign-in", form={"email": email, "password": PASSWORD}).ok
    return page


def fill(page: Page) -> None:
    page.get_by_label("Name of the channel").fill("chirp")
    page.get_by_label("Handle").fill("brand")
    page.get_by_label("Token").fill(TOKEN)


def test_a_channel_is_connected_after_what_was_wrong_is_mended(manager: Page, vendor: Vendor) -> None:
    vendor.post("hello")
    vendor.says = AuthExpired("Unknown token.")
    manager.goto("/channels")
    manager.get_by_role("link", name="Connect a channel").click()
    manager.get_by_role("link", name="Scripted").click()
    expect(manager.get_by_role("heading", name="How to get the credentials")).to_be_visible()
    fill(manager)
    manager.get_by_label("Depth").fill("12")
    manager.get_by_role("button", name="Test").click()
    expect(manager.locator("#error-depth")).to_contain_text("less than or equal to 9")
    manager.get_by_label("Depth").fill("2")
    manager.get_by_role("button", name="Test").click()
    expect(manager.get_by_role("status").filter(has_text="Unknown token.")).to_be_visible()
    expect(manager.locator("#error-depth")).to_be_hidden()
    vendor.says = "reads as @brand"
    manager.get_by_role("button", name="Test").click()
    expect(manager.get_by_role("status").filter(has_text="It works: reads as @brand")).to_be_visible()
    # What was typed is still there: nothing has to be typed again.
    expect(manager.get_by_label("Token")).to_have_value(TOKEN)
    manager.get_by_label("Depth").press("Enter")
    expect(toast(manager)).to_contain_text("chirp is connected.")
    expect(manager.locator(".health")).to_have_text("Working")
    wait_until(lambda: bool(vendor.fetches), what="the first fetch")


def test_renewing_needs_only_the_new_secret(served: ServedHub, manager: Page, vendor: Vendor) -> None:
    manager.goto("/channels/new/scripted")
    fill(manager)
    manager.get_by_role("button", name="Connect").click()
    expect(toast(manager)).to_contain_text("connected")
    manager.get_by_role("link", name="Settings of chirp").click()
    expect(manager.get_by_label("Token")).to_have_value("")
    manager.get_by_label("Token").fill("a fresh one")
    manager.get_by_role("button", name="Save").click()
    expect(toast(manager)).to_contain_text("has its new settings")
    wait_until(lambda: vendor.tokens[-1] == "a fresh one", what="a fetch with it")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: `npm ci` in hub/web/assets installs it")
@pytest.mark.parametrize(
    "manager", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_everybody_can_read_the_form(manager: Page, vendor: Vendor) -> None:
    vendor.says = AuthExpired("Unknown token.")
    for path in ("/channels/new", "/channels/new/scripted"):
        manager.goto(path)
        if path.endswith("scripted"):
            fill(manager)
            manager.get_by_role("button", name="Connect").click()
            expect(manager.get_by_role("button", name="Save it all the same")).to_be_visible()
        manager.evaluate(AXE.read_text())
        found = manager.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("manager", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_the_keyboard_goes_through_the_form_on_a_phone(manager: Page, vendor: Vendor) -> None:
    manager.goto("/channels/new/scripted")
    manager.get_by_label("Name of the channel").focus()
    order = []
    for _ in range(8):
        order.append(
            manager.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        )
        manager.keyboard.press("Tab")
    assert order == [
        *("name", "config-handle", "config-token", "config-words", "config-streams", "config-expires_at"),
        *("config-depth", "poll"),
    ]
    over = manager.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over == 0
