"""An agent's day in a real browser: signing in, the queue, and what moves by itself."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from connectors.base import Author, Batch, Identity, Rejected
from connectors.webhook.signature import sign
from hub.clock import utcnow
from hub.conversations import service
from hub.conversations.service import get_conversation
from hub.inbox.service import receive
from tests import factories
from tests.factories import PASSWORD, inbound
from tests.hub.web.conftest import Opened, sign_in
from tests.hub.web.looking import arrive, is_marked, mark, names, rows, say, toast
from tests.hub.web.serving import ServedHub

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_wrong_password_says_so_and_the_right_one_leads_where_one_wanted_to_go(
    served: ServedHub, opened: Opened, troubles: list[str]
) -> None:
    with served.session() as session:
        email = factories.user(session).email
    page = opened(served.url)
    page.goto("/customers")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill("something else")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("Email")).to_have_value(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{served.url}/customers")
    troubles.clear()


def test_signing_out_ends_it(page: Page, waiting: dict[str, int], troubles: list[str]) -> None:
    page.goto("/queue")
    page.locator("summary.user").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    page.goto("/queue")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=/queue"))
    troubles.clear()


def test_the_queue_shows_its_order_and_its_reasons(page: Page, waiting: dict[str, int]) -> None:
    page.goto("/queue")
    expect(names(page)).to_have_text(["Pia", "Gus", "Ned"])
    pia = rows(page).first
    expect(pia.locator(".sentiment")).to_contain_text("Negative")
    expect(pia.locator(".promise-text")).to_have_text("2 of 15 min")
    expect(pia.locator(".tier")).to_have_text("Platinum")
    pia.locator(".why > summary").click()
    expect(pia.locator(".reasons")).to_contain_text("8Platinum")
    expect(pia.locator(".reasons")).to_contain_text("negative (0.90 sure)")
    expect(pia.locator(".why-body")).to_contain_text("Social: answer within 15 min")
    expect(page.locator("#summary")).to_contain_text("Waiting3")


def test_the_keys(page: Page, waiting: dict[str, int]) -> None:
    page.goto("/queue")
    for key, name in (("j", "Pia"), ("j", "Gus"), ("j", "Ned"), ("j", "Ned"), ("k", "Gus")):
        page.keyboard.press(key)
        expect(page.locator(":focus")).to_have_text(name)
    page.keyboard.press("w")
    expect(rows(page).nth(1).locator("details.why")).to_have_attribute("open", "")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{page.url.split('/queue')[0]}/conversations/{waiting['Gus']}")
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile("/queue$"))
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1)).to_have_text("Customers")
    # The heading is there before the scripts are.
    page.wait_for_load_state()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_next_gives_everybody_another_one(
    served: ServedHub, page: Page, opened: Opened, waiting: dict[str, int]
) -> None:
    page.goto("/queue")
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(f"/conversations/{waiting['Pia']}$"))
    expect(page.get_by_role("button", name="Release")).to_be_visible()
    other = opened(served.url)
    sign_in(served, other, "Olga Other")
    other.goto("/queue")
    expect(rows(other).first.locator(".owner")).to_have_text("Alex Agent")
    other.get_by_role("button", name="Next").click()
    expect(other).to_have_url(re.compile(f"/conversations/{waiting['Gus']}$"))
    # What a colleague has cannot be taken.
    other.goto(f"/conversations/{waiting['Pia']}")
    expect(other.locator(".owner")).to_have_text("Alex Agent")
    expect(other.get_by_role("button", name="Take")).to_have_count(0)


def test_filters(page: Page, waiting: dict[str, int]) -> None:
    page.goto("/queue")
    page.get_by_label("Sentiment").select_option("negative")
    expect(names(page)).to_have_text(["Pia"])
    expect(page).to_have_url(re.compile("sentiment=negative"))
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Tier").select_option("Gold")
    expect(names(page)).to_have_text(["Gus"])
    page.get_by_label("Tier").select_option("")
    expect(names(page)).to_have_count(3)
    page.get_by_text("Mine", exact=True).click()
    expect(page.get_by_role("heading", name="Nobody is waiting")).to_be_visible()


def test_more_are_shown_and_stay_shown_while_the_queue_moves(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    now = utcnow()
    with served.session() as session:
        channel = get_conversation(session, waiting["Ned"]).channel
        many = tuple(inbound(author=f"author {number}", sent_at=now) for number in range(57))
        receive(session, channel.id, Batch(many), now)
    arrive(page, "/queue")
    expect(rows(page)).to_have_count(50)
    page.get_by_role("link", name="Show more").click()
    expect(rows(page)).to_have_count(60)
    expect(rows(page).last.locator(".rank")).to_have_text("60")
    with served.session() as session:
        service.set_status(
            session, get_conversation(session, waiting["Pia"]), "solved", user=None, now=utcnow()
        )
    expect(rows(page)).to_have_count(59)


def test_a_pushed_message_appears_in_the_open_queue_and_disturbs_nobody(
    served: ServedHub, page: Page, waiting: dict[str, int]
) -> None:
    with served.session() as session:
        factories.channel(session, "shop", connector="webhook", secrets=[SECRET], at=utcnow())
    arrive(page, "/queue")
    mark(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("w")
    body = json.dumps({"text": "bad, bad, bad", "author": {"id": "paula", "name": "Paula"}})
    stamp = int(time.time())
    pushed = page.request.post(
        "/webhooks/shop",
        data=body,
        headers={
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign(SECRET, "msg_1", stamp, body),
        },
    )
    assert pushed.ok, pushed.text()
    expect(names(page)).to_have_text(["Pia", "Gus", "Ned", "Paula"], timeout=2_000)
    expect(page.locator("#summary")).to_contain_text("Waiting4")
    expect(page.locator("#sections .badge").first).to_contain_text("4")
    expect(page.locator(":focus")).to_have_text("Gus")
    expect(page.locator("details.why[open]")).to_have_count(1)
    expect(rows(page).nth(1).locator("details.why")).to_have_attribute("open", "")
    assert is_marked(page)


def test_the_stream_comes_back_after_a_restart_and_catches_up(
    served: ServedHub, page: Page, troubles: list[str], waiting: dict[str, int]
) -> None:
    arrive(page, "/queue")
    mark(page)
    served.stop()
    expect(page.locator(".sidebar [data-live-text]")).to_contain_text("Connection lost")
    served.start()
    say(served, waiting["Ned"], "Hello? bad")
    expect(rows(page).nth(2)).to_contain_text("Hello? bad")
    expect(page.locator(".sidebar [data-live-text]")).to_have_text("Live")
    assert is_marked(page)
    troubles.clear()


def test_what_customers_write_is_text(served: ServedHub, page: Page) -> None:
    evil = (
        "<script>window.hacked=1</script><img src=x onerror=window.hacked=1> bad {{7*7}} "
        "\u202eevil\u202c javascript:alert(1)"
    )
    with served.session() as session:
        chirp = factories.channel(session, at=utcnow())
        author = Author((Identity("handle", "<b>mallory</b>"),), name="<i>M</i> \u202eyrollaM")
        message = inbound(evil, author=author, subject="<u>subject</u>", sent_at=utcnow())
        stored = factories.receive_one(session, chirp, message, now=utcnow())
        reply = service.reply(
            session,
            get_conversation(session, stored.conversation_id),
            user=factories.user(session),
            text=evil,
            now=utcnow(),
        )
        reply.delivery = "failed"
        again = inbound(evil, author=author, subject="<u>subject</u>", sent_at=utcnow())
        factories.receive_one(session, chirp, again, now=utcnow())
    for path in ("/queue", "/conversations", f"/conversations/{stored.conversation_id}", "/listening"):
        page.goto(path)
        expect(page.locator("main").get_by_text("window.hacked=1").first).to_be_visible()
        assert page.evaluate("window.hacked") is None
        assert (
            page.locator("main :is(script:not([type='application/json']), img, i:not([class]), u)").count()
            == 0
        )
    page.goto(f"/conversations/{stored.conversation_id}")
    expect(page.locator(".said").first).to_have_text(evil)
    expect(page.locator("h1")).to_contain_text("<i>M</i>")


def test_the_theme_stays_as_chosen(page: Page, waiting: dict[str, int]) -> None:
    def background() -> str:
        colour: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return colour

    page.goto("/queue")
    light = background()
    page.locator("summary.user").click()
    page.get_by_role("button", name="Dark").click()
    dark = background()
    assert dark != light
    page.reload()
    assert background() == dark
    page.goto("/customers")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_rejects_open_and_show_what_came(served: ServedHub, page: Page) -> None:
    raw = b"<script>alert(1)</script>\x00\xff"
    with served.session() as session:
        chirp = factories.channel(session, at=utcnow())
        items = (
            Rejected(raw, "bad_json", "Not JSON at all.", "a.jsonl:3"),
            Rejected(b"x", "nul_bytes", "NUL.", "b"),
        )
        receive(session, chirp.id, Batch(items), utcnow())
    page.goto("/rejects")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="Bad json").click()
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("pre")).to_have_text(r"<script>alert(1)</script>\x00\xff")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as it came").click()
    assert Path(download.value.path()).read_bytes() == raw


def test_a_channel_pauses_and_goes_on(served: ServedHub, page: Page, waiting: dict[str, int]) -> None:
    page.goto("/channels")
    page.get_by_role("button", name="Pause chirp").click()
    expect(page.locator(".health")).to_have_text("Off")
    toast(page).get_by_role("button", name="Undo").click()
    expect(page.locator(".health")).to_have_text("Working")
