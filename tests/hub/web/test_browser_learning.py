"""Teaching the model in a real browser: a correction beside a message, and the model's own page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.hub.learning.pupil import LUGGAGE, Pupil
from tests.hub.web.looking import arrive, is_marked, mark, say, toast
from tests.hub.web.serving import ServedHub


@pytest.fixture
def pupil(served: ServedHub) -> Pupil:
    """The served hub's model is one that learns."""
    served._hub._scorer = pupil = Pupil()
    return pupil


def mood(page: Page) -> Locator:
    return page.locator("#thread .sentiment").last


def test_a_wrong_mood_is_corrected_by_keyboard_and_taken_back(page: Page, waiting: dict[str, int]) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    mark(page)
    expect(mood(page)).to_contain_text("Negative")
    page.keyboard.press("m")
    expect(page.get_by_role("radio", name="Negative")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(toast(page)).to_contain_text("Corrected.")
    expect(mood(page)).to_contain_text("Neutral")
    assert is_marked(page)
    correction = page.locator(".correction")
    expect(correction.locator("summary")).to_contain_text("Corrected by Alex Agent")
    expect(correction.locator("form")).to_be_hidden()
    toast(page).get_by_role("button", name="Undo").click()
    expect(mood(page)).to_contain_text("Negative")
    expect(correction.locator("summary")).not_to_contain_text("Corrected by")


def test_what_is_being_chosen_survives_news(served: ServedHub, page: Page, waiting: dict[str, int]) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    correction = page.locator(".correction")
    correction.locator("summary").click()
    correction.get_by_text("Billing").click()
    correction.get_by_text("Neutral").click()
    say(served, waiting["Pia"], "And now it is good")
    expect(page.locator(".correction")).to_have_count(2)
    first = correction.first
    expect(first.get_by_role("checkbox", name="Billing")).to_be_checked()
    expect(first.get_by_role("radio", name="Neutral")).to_be_checked()
    first.get_by_role("button", name="Save").click()
    expect(first.locator("summary")).to_contain_text("Corrected by Alex Agent")
    # News may have said so before the answer came, which closes it.
    expect(first.locator("form")).to_be_hidden()
    first.locator("summary").click()
    expect(first.get_by_role("checkbox", checked=True)).to_have_count(2)
    first.get_by_role("button", name="Back to what it was").click()
    expect(first.locator("summary")).not_to_contain_text("Corrected by")


def test_an_intent_is_taught_and_the_next_message_shows_it(
    served: ServedHub, page: Page, waiting: dict[str, int], pupil: Pupil
) -> None:
    page.goto("/queue")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.get_by_label("Teach an intent").fill("Lost luggage")
    examples = page.get_by_label("Example messages")
    examples.fill("\n".join(LUGGAGE[:3]))
    examples.press("Control+Enter")
    # What was refused is not lost.
    expect(toast(page)).to_contain_text("5 different example messages or more, these are 3")
    expect(page.get_by_label("Teach an intent")).to_have_value("Lost luggage")
    examples.fill("\n".join(LUGGAGE))
    examples.press("Control+Enter")
    taught = page.locator(".taught")
    expect(taught).to_contain_text("Lost luggage")
    expect(examples).to_have_value("")
    expect(page.get_by_label("Teach an intent")).to_have_value("")
    taught.locator("summary").click()
    expect(taught).to_contain_text(LUGGAGE[4])
    say(served, waiting["Ned"], LUGGAGE[1])
    arrive(page, f"/conversations/{waiting['Ned']}")
    expect(page.locator("#thread .message").last).to_contain_text("Lost luggage")


def test_older_messages_are_read_again_while_one_looks(
    served: ServedHub, page: Page, waiting: dict[str, int], pupil: Pupil
) -> None:
    page.goto("/model")
    page.get_by_label("How far back").select_option("0")
    page.get_by_role("button", name="Read again").click()
    again = page.locator("#reanalysis")
    expect(again).to_contain_text("Read 3 messages again")
    expect(again.get_by_role("progressbar")).to_have_count(0)
    expect(again.get_by_role("button", name="Read again")).to_be_visible()
