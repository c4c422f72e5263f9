"""Tags of a conversation with the keyboard alone, and taken back."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.hub.web.looking import arrive, toast


def test_tags_are_put_and_taken_by_keyboard_and_undone(page: Page, waiting: dict[str, int]) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    tags = page.get_by_role("list", name="Tags")
    page.keyboard.press("l")
    expect(page.get_by_label("Tags, with commas between")).to_be_focused()
    page.keyboard.type("VIP, wants refund")
    page.keyboard.press("Enter")
    expect(tags.get_by_role("link")).to_have_text(["vip", "wants_refund"])
    expect(toast(page)).to_contain_text("Tagged vip, wants_refund")
    expect(page.get_by_label("Tags, with commas between")).to_be_hidden()
    page.get_by_role("button", name="Take the tag vip away").press("Enter")
    expect(tags.get_by_role("link")).to_have_text(["wants_refund"])
    page.keyboard.press("z")
    expect(tags.get_by_role("link")).to_have_text(["vip", "wants_refund"])
    tags.get_by_role("link", name="vip").click()
    expect(page.locator(".conversation-row")).to_have_count(1)
    expect(page.get_by_label("With this tag")).to_have_value("vip")
