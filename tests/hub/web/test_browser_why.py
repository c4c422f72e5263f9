"""An agent asks why a message was read as it was, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.hub.web.conftest import Opened, sign_in
from tests.hub.web.looking import arrive, say
from tests.hub.web.serving import ServedHub
from tests.hub.web.test_looks import AXE, PHONE, _audit


def why(page: Page) -> Locator:
    """The disclosure beside the first mood."""
    return page.locator(".because").first


def marked(page: Page) -> Locator:
    return why(page).locator(".moved-text mark")


def test_why_shows_the_words_that_moved_the_mood(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    why(page).get_by_text("Why?").click()
    expect(marked(page)).to_have_text(["bad,"])
    expect(why(page)).to_contain_text("The model reads it as negative, 90 % sure.")
    expect(why(page).get_by_role("listitem")).to_have_text(["+bad, for negative"])
    # News of the conversation leave it open, and what it says.
    say(served, waiting["Pia"], "And now it is good")
    expect(page.locator("#thread")).to_contain_text("And now it is good")
    expect(marked(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(marked(page)).to_be_hidden()
    expect(why(page).locator("summary")).to_be_focused()


def test_a_key_asks_why_of_the_newest_message(served: ServedHub, page: Page, waiting: dict[str, int]) -> None:
    say(served, waiting["Pia"], "And now it is good")
    arrive(page, f"/conversations/{waiting['Pia']}")
    newest = page.locator(".because").nth(1)
    expect(newest).to_be_visible()
    page.keyboard.press("w")
    expect(newest.locator(".moved-text mark")).to_have_text(["good"])


def test_where_the_hub_is_away_it_says_so_and_is_asked_again(
    served: ServedHub, page: Page, troubles: list[str], waiting: dict[str, int]
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    served.stop()
    why(page).get_by_text("Why?").click()
    expect(why(page)).to_contain_text("No answer came.")
    served.start()
    page.keyboard.press("Escape")
    why(page).get_by_text("Why?").click()
    expect(marked(page)).to_have_text(["bad,"])
    troubles.clear()


def test_everybody_can_read_it_in_light_and_dark_and_on_a_phone(
    served: ServedHub, opened: Opened, waiting: dict[str, int]
) -> None:
    for scheme, viewport in (("light", None), ("dark", None), ("light", PHONE)):
        options = {"viewport": viewport} if viewport else {}
        page = opened(served.url, reduced_motion="reduce", color_scheme=scheme, **options)
        sign_in(served, page)
        page.goto(f"/conversations/{waiting['Pia']}")
        why(page).get_by_text("Why?").click()
        expect(marked(page)).to_be_visible()
        expect(why(page).locator(".menu-panel")).to_be_in_viewport(ratio=1)
        page.evaluate(AXE.read_text())
        assert _audit(page) == []
