"""An agent's day in a real browser: the conversation, and that nothing written in it is lost."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from connectors.base import Attachment, Batch, Deleted, Edited
from connectors.files.connector import FilesConnector
from hub.clock import utcnow
from hub.conversations import service
from hub.conversations.service import get_conversation
from hub.inbox.service import receive
from tests import factories
from tests.hub.web.conftest import Opened, sign_in
from tests.hub.web.looking import PIXEL, arrive, is_marked, mark, say, status, toast
from tests.hub.web.serving import ServedHub

# A file as a person pastes or drops it: an event name and the file's name.
GIVE_FILE = """(field, [event, name]) => {
    const files = new DataTransfer();
    files.items.add(new File(["some words"], name, { type: "text/plain" }));
    const how = { bubbles: true, cancelable: true };
    field.dispatchEvent(
        event === "paste"
            ? new ClipboardEvent("paste", { ...how, clipboardData: files })
            : new DragEvent("drop", { ...how, dataTransfer: files }),
    );
}"""


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
    menu = page.locator(".conversation-acts summary").first
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
    page.locator(".conversation-acts summary").first.click()
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


def test_files_are_chosen_pasted_and_dropped_and_go_with_the_reply(
    page: Page, waiting: dict[str, int], tmp_path: Path
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    field, listed = page.get_by_label("Reply to Pia"), page.locator("[data-file-list] li")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files([{"name": "map.txt", "mimeType": "text/plain", "buffer": b"to the left"}])
    expect(listed).to_have_count(1)
    for event, name in (("paste", "pasted.txt"), ("drop", "dropped.txt")):
        field.evaluate(GIVE_FILE, [event, name])
    expect(listed).to_contain_text(["map.txt", "pasted.txt", "dropped.txt"])
    page.get_by_role("button", name="Remove pasted.txt").click()
    expect(listed).to_contain_text(["map.txt", "dropped.txt"])
    field.fill("See the map.")
    field.press("Control+Enter")
    said = page.locator('.message[data-kind="agent"]')
    expect(said.locator(".attachments .file")).to_have_text(["map.txt", "dropped.txt"])
    expect(said.locator(".delivery")).to_have_text("Sent")
    expect(listed).to_have_count(0)
    (sent,) = (tmp_path / "outbox").iterdir()
    assert [each["name"] for each in json.loads(sent.read_text())["attachments"]] == [
        "map.txt",
        "dropped.txt",
    ]
    with page.expect_download() as download:
        said.get_by_role("link", name="map.txt").click()
    assert download.value.path().read_bytes() == b"to the left"


def test_files_that_are_too_large_are_told_before_they_are_sent(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    page.locator("[data-files]").evaluate("(input) => (input.dataset.maxBytes = 2)")
    page.get_by_label("Reply to Pia").evaluate(GIVE_FILE, ["drop", "big.txt"])
    expect(toast(page)).to_contain_text("big.txt is too large")
    expect(page.locator("[data-file-list] li")).to_have_count(0)


def test_files_stay_while_the_thread_goes_on(served: ServedHub, page: Page, waiting: dict[str, int]) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    page.get_by_label("Reply to Pia").evaluate(GIVE_FILE, ["drop", "map.txt"])
    say(served, waiting["Pia"], "And now it is good")
    expect(page.locator("#thread")).to_contain_text("And now it is good")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take").click()
    expect(page.get_by_role("button", name="Release")).to_be_visible()
    expect(page.locator("[data-file-list] li")).to_contain_text(["map.txt"])


def test_remote_images_are_fetched_only_when_asked_for(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body=PIXEL, content_type="image/png")

    page.route("https://tracker.example/**", answer)
    html = '<p>Look</p><img src="https://tracker.example/1.png" alt="Pixel"><img src="cid:logo" alt="Logo">'
    logo = Attachment("logo.png", "image/png", len(PIXEL), PIXEL, content_id="logo")
    with served.session() as session:
        conversation = get_conversation(session, waiting["Pia"])
        message = factories.inbound("Look", author="Pia", html=html, attachments=(logo,), sent_at=utcnow())
        factories.receive_one(session, conversation.channel, message, now=utcnow())
    arrive(page, f"/conversations/{waiting['Pia']}")
    page.get_by_text("Show as it was sent").click()
    mail = page.frame_locator("iframe[data-mail]")
    expect(mail.get_by_text("Look")).to_be_visible()
    assert is_loaded(mail.get_by_alt_text("Logo"))
    expect(mail.get_by_alt_text("Pixel")).not_to_have_attribute("src", re.compile("."))
    assert asked == []
    button = page.get_by_role("button", name="Show remote images")
    button.click()
    expect(mail.get_by_alt_text("Pixel")).to_have_attribute("src", "https://tracker.example/1.png")
    assert is_loaded(mail.get_by_alt_text("Pixel"))
    expect(button).to_be_hidden()
    more = factories.inbound("One more thing", author="Pia", sent_at=utcnow())
    with served.session() as session:
        channel = get_conversation(session, waiting["Pia"]).channel
        factories.receive_one(session, channel, more, now=utcnow())
    expect(page.locator("#thread")).to_contain_text("One more thing")
    expect(button).to_be_hidden()
    assert asked == ["https://tracker.example/1.png"]


def test_an_edited_message_shows_what_it_said_before_on_demand(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    arrive(page, f"/conversations/{waiting['Pia']}")
    with served.session() as session:
        conversation = get_conversation(session, waiting["Pia"])
        assert conversation.newest_message is not None
        name = conversation.newest_message.external_id
        receive(session, conversation.channel_id, Batch((Edited(name, "It is good now"),)), utcnow())
    expect(page.locator("#thread .sentiment").last).to_contain_text("Positive")
    page.get_by_text("Edited").click()
    expect(page.locator(".earlier .said")).to_have_text("This is bad, again")
    with served.session() as session:
        receive(session, conversation.channel_id, Batch((Deleted(name),)), utcnow())
    expect(page.locator("#thread")).to_contain_text("Deleted by its author")
    expect(page.locator("#thread")).not_to_contain_text("good")
    expect(status(page)).to_have_text("New")


def test_how_long_a_reply_is_the_network_says(
    page: Page, waiting: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesConnector, "max_length", 20)
    monkeypatch.setattr(FilesConnector, "length", lambda self, text: 2 * len(text))
    arrive(page, f"/conversations/{waiting['Pia']}")
    field = page.get_by_label("Reply to Pia")
    field.fill("Sorry, dear Pia")
    expect(page.locator("[data-left]")).to_have_text("-10")
    expect(page.locator("[data-left]")).to_have_attribute("data-over", "")
    field.press("Control+Enter")
    expect(toast(page)).to_contain_text("30 characters; this channel takes at most 20")
    expect(field).to_have_value("Sorry, dear Pia")


def is_loaded(image: Locator) -> bool:
    """Whether a picture came, once it has come or not."""
    expect(image).to_have_js_property("complete", True)
    return bool(image.evaluate("(image) => image.naturalWidth > 0"))
