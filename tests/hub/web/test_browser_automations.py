"""What happens by itself, seen as it happens, in a real browser."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import ViewportSize, expect

from hub.clock import utcnow
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import PASSWORD, inbound
from tests.hub.web.conftest import Opened
from tests.hub.web.looking import arrive
from tests.hub.web.serving import ServedHub
from tests.hub.web.test_looks import AXE, PHONE, _audit

LAPTOP: ViewportSize = {"width": 1280, "height": 800}
SMALL: ViewportSize = {"width": PHONE["width"], "height": PHONE["height"]}
LOOKS: tuple[tuple[Literal["light", "dark"], ViewportSize], ...] = (
    ("light", LAPTOP),
    ("dark", LAPTOP),
    ("light", SMALL),
)
RULES = """
automations:
  - name: Upset
    on: [analysed]
    when: sentiment == "negative"
    do: [{set: {priority: high}}, {tag: [upset]}, {notify: [manager]}, {assign: {agent: x@brand.example}}]
"""


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: `npm ci` in hub/web/assets installs it")
def test_a_manager_sees_what_happened_by_itself_and_why(served: ServedHub, opened: Opened) -> None:
    with served.session() as session:
        activate(session, DEFAULT_POLICY + RULES, utcnow())
        manager = factories.user(session, "Mia Manager", role="manager").email
        chirp = factories.channel(session)
        ann = factories.receive_one(session, chirp, inbound("Hello", sent_at=utcnow()), now=utcnow())
        conversation_id = ann.conversation_id
    page = opened(served.url)
    assert page.request.post("/sign-in", form={"email": manager, "password": PASSWORD}).ok
    arrive(page, f"/conversations/{conversation_id}")
    with served.session() as session:
        item = inbound("This is bad", author="ann", sent_at=utcnow())
        factories.receive_one(session, chirp, item, now=utcnow())
    line = page.get_by_text("Automation “Upset” (analysed): normal → high priority")
    expect(line).to_be_visible()
    expect(page.get_by_text("(analysed): told Mia Manager")).to_be_visible()

    page.goto("/policy")
    page.get_by_role("link", name="Automations").click()
    expect(page.get_by_role("heading", name="What they did")).to_be_visible()
    row = page.locator("#rows li").first
    expect(row).to_contain_text("Not all of it")
    expect(row).to_contain_text("nobody signs in as x@brand.example")
    for scheme, size in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        page.goto("/automations")
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) <= 0
        page.evaluate(AXE.read_text())
        assert _audit(page) == []
    page.locator("#rows a").first.click()
    page.wait_for_url(f"**/conversations/{conversation_id}")
