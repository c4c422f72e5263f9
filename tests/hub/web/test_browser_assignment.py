"""An agent is offered a conversation, and a manager sees who can do what, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from sqlalchemy import select

from hub.accounts.models import User
from hub.clock import utcnow
from hub.database import nudge
from tests import factories
from tests.factories import PASSWORD, inbound, receive_one
from tests.hub.assignment.world import rule_by
from tests.hub.web.conftest import Opened
from tests.hub.web.looking import arrive
from tests.hub.web.serving import ServedHub
from tests.hub.web.test_looks import AXE, PHONE, _audit

# How many colours the dot of somebody has: online, away and offline differ.
COLOURS = """(who) => new Set(["online", "away", "offline"].map((presence) => {
    who.dataset.presence = presence;
    return getComputedStyle(who, "::after").backgroundColor;
})).size"""


def test_an_offer_comes_by_itself_is_declined_and_comes_again_to_be_accepted(
    served: ServedHub, page: Page
) -> None:
    with served.session() as session:
        rule_by(session, utcnow(), offer_again_after="1s")
        me = session.scalars(select(User)).one()
        me.teams = ["social"]
    arrive(page, "/customers")
    with served.session() as session:
        message = receive_one(
            session,
            factories.channel(session),
            inbound("Where is it?", author="Ann", sent_at=utcnow()),
            now=utcnow(),
        )
        nudge(session, "assign")
    offer = page.locator(f"#offer-{message.conversation_id}")
    expect(offer).to_contain_text("Why you: in team social")
    expect(offer.locator(".offer-left")).to_contain_text("1:")
    page.keyboard.press("d")
    expect(page.locator(".toast")).to_contain_text("Declined")
    expect(offer).to_be_visible()
    page.keyboard.press("a")
    page.wait_for_url(f"**/conversations/{message.conversation_id}")
    expect(page.locator(".assignment")).to_contain_text("You have it")
    expect(offer).to_be_hidden()


def test_everybody_can_read_agents_and_offers(served: ServedHub, opened: Opened) -> None:
    with served.session() as session:
        rule_by(session, utcnow())
        manager = factories.user(session, "Mia Manager", role="manager").email
        ada = factories.user(session, "Ada Agent")
        ada.teams, ada.skills, ada.seen_at = ["social"], {"french": 3}, utcnow()
        message = receive_one(session, factories.channel(session), inbound(sent_at=utcnow()), now=utcnow())
        agent = ada.email
    for email, path, shown in (
        (manager, "/agents", ".agent-form"),
        (agent, f"/conversations/{message.conversation_id}", ".offer"),
    ):
        for scheme, viewport in (("light", None), ("dark", None), ("light", PHONE)):
            options = {"viewport": viewport} if viewport else {}
            page = opened(served.url, reduced_motion="reduce", color_scheme=scheme, **options)
            assert page.request.post("/sign-in", form={"email": email, "password": PASSWORD}).ok
            page.goto(path)
            if path == "/agents":
                assert page.locator(".agent-row .presence").evaluate(COLOURS) == 3
                page.locator(".agent-row summary").click()
            expect(page.locator(shown)).to_be_visible()
            over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(over) <= 0
            page.evaluate(AXE.read_text())
            assert _audit(page) == []
