"""Conversations made one, parted, split, and answered by another channel, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from connectors.base import Identity
from hub.clock import utcnow
from tests import factories
from tests.factories import inbound, receive_one
from tests.hub.web.looking import status, toast
from tests.hub.web.serving import ServedHub
from tests.hub.web.test_looks import AXE, PHONE, SCHEMES, _audit


def test_merge_unmerge_split_and_another_channel(served: ServedHub, page: Page) -> None:
    now = utcnow()
    with served.session() as session:
        chirp = factories.channel(session, at=now)
        factories.channel(session, "mail", kind="mail", outbox="not written to", at=now)
        address = Identity("email", "ann@customer.example")
        factories.customer(
            session, "Ann Example", Identity("handle", "ann", "chirp"), address, tier="gold", at=now
        )
        said = [
            receive_one(session, chirp, inbound(text, author=author, thread_key=key, sent_at=now), now=now)
            for text, author, key in (
                ("Where is my parcel?", "ann", "A"),
                ("It is good, but the left shoe is missing", "ann", "B"),
                ("And my invoice?", "ann", "B"),
                ("Something else", "bob", "C"),
            )
        ]
    first, second, other = said[0].conversation_id, said[1].conversation_id, said[3].conversation_id

    page.goto(f"/conversations/{first}")
    page.keyboard.press("x")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Merge conversation {first}")
    found = page.locator("#rows > li")
    expect(found).to_have_count(1)
    page.get_by_role("searchbox").fill(str(other))
    page.get_by_role("searchbox").press("Enter")
    expect(found).to_contain_text("Only conversations of one customer")
    page.get_by_role("searchbox").fill("no such words")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("link", name="Only Ann").click()
    expect(found).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Merge {first} into {second}?")
    after = page.locator(".outlook[data-tone]")
    expect(after).to_contain_text("3 messages")
    expect(after).to_contain_text("First reply due")
    page.keyboard.press("m")
    expect(page).to_have_url(f"{served.url}/conversations/{second}")
    expect(page.locator(".message")).to_have_count(3)
    expect(toast(page)).to_contain_text(f"Conversation {first} is merged into this one")
    page.keyboard.press("z")
    expect(page).to_have_url(f"{served.url}/conversations/{first}")
    expect(page.locator(".message")).to_have_count(1)
    expect(status(page)).to_have_text("New")

    page.goto(f"/conversations/{second}")
    page.keyboard.press("s")
    split_off = page.get_by_role("button", name="Split off")
    expect(split_off).to_be_disabled()
    both = page.locator(".split-row input")
    both.first.check()
    expect(page.locator(".outlook")).to_have_count(3)
    both.last.check()
    expect(page.get_by_role("status").get_by_text("Leave a message of the customer here")).to_be_visible()
    expect(split_off).to_be_disabled()
    both.first.uncheck()
    split_off.click()
    expect(toast(page)).to_contain_text(f"Split off conversation {second}")
    expect(page.locator(".message .said")).to_have_text("And my invoice?")
    page.keyboard.press("z")
    expect(page).to_have_url(f"{served.url}/conversations/{second}")
    expect(page.locator(".message")).to_have_count(2)

    paths = (
        f"/conversations/{first}/merge?into={second}",
        f"/conversations/{second}/split?message={said[1].id}",
    )
    for path in paths:
        page.goto(path)
        page.evaluate(AXE.read_text())
        for scheme, rules in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert _audit(page, *rules) == []
        wide = page.viewport_size
        page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) <= 0
        assert wide is not None
        page.set_viewport_size(wide)
