"""An agent's day in a real browser: the conversation, and that nothing written in it is lost."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from hub.clock import utcnow
from hub.conversations import service
from hub.conversations.service import get_conversation
from tests import factories
from tests.hub.web.conftest import Opened, sign_in
from tests.hub.web.looking import arrive, is_marked, mark, say, status, toast
from tests.hub.web.serving import ServedHub


def test_an_open_conversation_shows_what_the_customer_adds(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    page.get_by_label("Reply to Pia").fill("Dear Pi")
    say(served, waiting["Pia"], "And now it is good")
    expect(page.locator("#thread")).to_contain_text("And now it is good")
    expect(page.locator("#thread .sentiment").last).to_contain_text("Positive")
    expect(page.get_by_label("Reply to Pia")).to_be_focused()
    expect(page.get_by_label("Reply to Pia")).to_have_value("Dear Pi")


def test_a_reply_goes_out_and_says_so_without_a_reload(
    page: Page, waiting: dict[str, int], tmp_path: Path
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    mark(page)
    page.keyboard.press("r")
    page.keyboard.type("It is on its way.\nAlex")
    page.keyboard.press("Control+Enter")
    expect(toast(page)).to_contain_text("on its way")
    said = page.locator('.message[data-kind="agent"]')
    expect(said.locator(".said")).to_have_text("It is on its way.\nAlex")
    expect(said.locator(".delivery")).to_have_text("Sent")
    expect(page.get_by_label("Reply to Pia")).to_have_value("")
    expect(status(page)).to_have_text("Pending")
    (sent,) = (tmp_path / "outbox").iterdir()
    assert json.loads(sent.read_text())["text"] == "It is on its way.\nAlex"
    assert is_marked(page)
    # The keys mean acts again.
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(f"/conversations/{waiting['Gus']}$"))


def test_a_note_stays_among_colleagues(page: Page, waiting: dict[str, int], tmp_path: Path) -> None:
    page.goto(f"/conversations/{waiting['Pia']}")
    page.keyboard.press("i")
    page.keyboard.type("She called too.")
    page.keyboard.press("Control+Enter")
    note = page.locator('.message[data-kind="note"]')
    expect(note).to_contain_text("She called too.")
    expect(note).to_contain_text("Internal note")
    expect(status(page)).to_have_text("New")
    assert not (tmp_path / "outbox").exists()


def test_solving_and_taking_it_back(page: Page, waiting: dict[str, int]) -> None:
    page.goto(f"/conversations/{waiting['Pia']}")
    page.keyboard.press("e")
    toast(page).hover()  # a notice that is read does not go
    expect(status(page)).to_have_text("Solved")
    expect(page.locator(".due")).to_have_count(0)
    toast(page).get_by_role("button", name="Undo").click()
    expect(status(page)).to_have_text("Open")
    expect(page.locator(".due .promise-text")).to_have_text("2 of 15 min")


def test_releasing_and_taking_it_back(page: Page, waiting: dict[str, int]) -> None:
    page.goto(f"/conversations/{waiting['Pia']}")
    page.keyboard.press("t")
    page.get_by_role("button", name="Release").click()
    toast(page).hover()
    expect(page.get_by_role("button", name="Take")).to_be_visible()
    toast(page).get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Release")).to_be_visible()


def test_the_status_menu(page: Page, waiting: dict[str, int]) -> None:
    page.goto(f"/conversations/{waiting['Pia']}")
    menu = page.locator(".conversation-acts summary")
    menu.click()
    page.get_by_role("button", name="On hold: somebody else's turn").click()
    expect(status(page)).to_have_text("On hold")
    expect(toast(page)).to_contain_text("On hold.")
    menu.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Pending: the customer's turn")).to_be_hidden()
    expect(menu).to_be_focused()


def test_tomorrow_at_nine_is_nine_where_the_reader_is(
    served: ServedHub, opened: Opened, waiting: dict[str, int]
) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    page = opened(served.url, timezone_id="Asia/Tokyo")
    sign_in(served, page)
    page.goto(f"/conversations/{waiting['Pia']}")
    page.locator(".conversation-acts summary").click()
    page.get_by_role("button", name="Tomorrow").click()
    expect(status(page)).to_have_text("Snoozed")
    expect(page.locator(".conversation-acts .until")).to_contain_text("09:00")
    with served.session() as session:
        until = get_conversation(session, waiting["Pia"]).snoozed_until
    assert until is not None
    there = until.astimezone(tokyo)
    assert (there.hour, there.minute) == (9, 0)
    assert there.date() == datetime.now(tokyo).date() + timedelta(days=1)


@pytest.mark.parametrize("act", ["Check again", "Mark as sent", "Send again"])
def test_where_nobody_knows_whether_it_was_sent_a_person_decides(
    served: ServedHub, page: Page, waiting: dict[str, int], act: str
) -> None:
    with served.session() as session:
        user = factories.user(session)
        reply = service.reply(
            session, get_conversation(session, waiting["Pia"]), user=user, text="Here", now=utcnow()
        )
        reply.delivery, reply.deliver_at = "unknown", None
    arrive(page, f"/conversations/{waiting['Pia']}")
    delivery = page.locator(".delivery")
    expect(delivery).to_contain_text("not known whether this was sent")
    expect(delivery.get_by_role("button")).to_have_text(["Check again", "Mark as sent", "Send again"])
    delivery.get_by_role("button", name=act).click()
    expect(delivery).to_have_text("Sent")


def test_a_draft_survives_a_reload_and_a_hub_that_is_away(
    served: ServedHub, page: Page, troubles: list[str], waiting: dict[str, int]
) -> None:
    page.goto(f"/conversations/{waiting['Pia']}")
    field = page.get_by_label("Reply to Pia")
    field.fill("Dear Pia, ")
    page.reload()
    expect(field).to_have_value("Dear Pia, ")
    served.stop()
    field.press("Control+Enter")
    expect(toast(page)).to_contain_text("Nothing was sent; your text is kept")
    expect(field).to_have_value("Dear Pia, ")
    served.start()
    field.press("Control+Enter")
    expect(page.locator('.message[data-kind="agent"]')).to_have_count(1)
    page.reload()
    expect(field).to_have_value("")
    troubles.clear()


def test_a_draft_survives_signing_in_again(
    page: Page, waiting: dict[str, int], served: ServedHub, troubles: list[str]
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    page.get_by_label("Reply to Pia").fill("Dear Pia")
    page.context.clear_cookies()
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("/sign-in"))
    sign_in(served, page)
    page.goto(f"/conversations/{waiting['Pia']}")
    expect(page.get_by_label("Reply to Pia")).to_have_value("Dear Pia")
    expect(page.locator('.message[data-kind="agent"]')).to_have_count(0)
    troubles.clear()


def test_a_refused_reply_says_why(served: ServedHub, page: Page, waiting: dict[str, int]) -> None:
    page.goto(f"/conversations/{waiting['Pia']}")
    page.get_by_label("Reply to Pia").fill("Dear Pia")
    with served.session() as session:
        service.set_status(
            session, get_conversation(session, waiting["Pia"]), "closed", user=None, now=utcnow()
        )
    page.get_by_label("Reply to Pia").press("Control+Enter")
    expect(toast(page)).to_contain_text("This conversation is closed")
    expect(page.locator('.message[data-kind="agent"]')).to_have_count(0)
