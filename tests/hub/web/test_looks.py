"""Every page on a laptop and on a phone, light and dark: readable by everybody, and nothing is cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import hub.web
from connectors.base import Attachment, Batch, Deleted, Edited, Identity, Rejected
from hub.accounts.models import User
from hub.clock import utcnow
from hub.conversations import service
from hub.conversations.models import Conversation, Promise
from hub.conversations.service import get_conversation
from hub.inbox.service import receive
from hub.learning.service import forget, teach
from hub.policies.service import activate
from hub.settings import Settings
from hub.warnings.models import PromiseWarning, WarningMail
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import inbound
from tests.hub.learning.pupil import LUGGAGE, Pupil
from tests.hub.web.conftest import Opened, sign_in
from tests.hub.web.looking import PIXEL
from tests.hub.web.serving import ServedHub

AXE = Path(hub.web.__file__).parent / "assets/node_modules/axe-core/axe.min.js"
# Of each chart on the page: whether anything is drawn, and the names in its legend whose colours are in it.
READ_CHARTS = """() => [...document.querySelectorAll("canvas")].map((chart) => {
    const pixels = (canvas) => {
        const drawing = canvas.getContext("2d", { willReadFrequently: true });
        return new Uint32Array(drawing.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    };
    const drawn = new Set(pixels(chart));
    const legend = [...chart.closest(".block").querySelectorAll(".legend span")];
    const isShown = (name) => {
        const dot = document.createElement("canvas");
        const drawing = dot.getContext("2d", { willReadFrequently: true });
        drawing.fillStyle = getComputedStyle(name, "::before").backgroundColor;
        drawing.fillRect(0, 0, 1, 1);
        return drawn.has(pixels(dot)[0]);
    };
    return [drawn.size > 1, legend.filter(isShown).map((name) => name.textContent)];
})"""
# What the dark changes is colours.
SCHEMES: tuple[tuple[Literal["light", "dark"], tuple[str, ...]], ...] = (
    ("light", ()),
    ("dark", ("color-contrast",)),
)
SMALL = {"width": 1280, "height": 400}
PHONE = {"width": 390, "height": 844}
PAGES = (
    "/queue",
    "/queue?owner=mine",
    "/conversations?view=all",
    "/conversations/1",
    "/conversations/2",
    "/conversations/1/decisions",
    "/warnings",
    "/customers",
    "/customers/1",
    "/listening",
    "/response-times",
    "/channels",
    "/rejects",
    "/model",
    "/model/compare",
    "/staffing",
    "/policy",
    "/policy/compare?old=2&new=1",
    "/policy/edit",
    "/agents",
    "/no-such-page",
)
CHARTS = {
    "/customers/1": [[True, []]],
    "/listening": [[True, ["Positive", "Negative", "Unsure"]]],
    "/response-times": [[True, ["Kept", "Broken"]], [True, ["Median", "p90"]]],
}


@pytest.fixture(scope="module")
def lived(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    """A hub with something of everything; nobody here changes it."""
    folder = tmp_path_factory.mktemp("lived")
    url = f"sqlite:///{copy(migrated_sqlite, folder / 'hub.db')}"
    served = ServedHub(Settings(home=folder, database_url=url, secret_key="key", brand="Test brand"))
    served.start()
    _live(served)
    yield served
    served.stop()


def _live(served: ServedHub) -> None:
    now = utcnow()
    with served.session() as session:
        alex = factories.user(session)
        chirp = factories.channel(session, outbox="out", at=now)
        mail = factories.channel(session, "hello@a-brand-with-a-long-name.example", kind="mail", at=now)
        tiers = ("platinum", "gold", "silver", "bronze", None)
        for number, tier in enumerate(tiers):
            customer = factories.customer(
                session,
                f"Customer Number-{number} von und zu Langenhausen",
                Identity("handle", f"author{number}", "chirp"),
                Identity("email", f"customer.number.{number}.von.und.zu@a-long-domain.example"),
                tier=tier,
                points=1000 * number,
                at=now,
            )
            for kind, days in (("purchase", 3), ("return", 2), ("check_in", 1)):
                at = now - timedelta(days=days)
                factories.event(
                    session, customer, kind, str(400 - 50 * number), at=at, now=now, place="Berlin"
                )
            for minutes, text in (
                (300, "This is bad " + "very " * 60),
                (90, "good, good"),
                (9, "unsure https://example.com/" + "x" * 90),
            ):
                at = now - timedelta(minutes=minutes)
                message = inbound(text, author=f"author{number}", sent_at=at, thread_key=f"t{number}")
                factories.receive_one(session, chirp, message, now=at)
            subject = "About an order with a long subject, and what came of it in the end"
            factories.receive_one(
                session,
                mail,
                inbound(f"good\n\n> {text}", author=f"author{number}", subject=subject, sent_at=now),
                now=now,
            )
        first, second, third, fourth = (get_conversation(session, number) for number in (1, 2, 3, 4))
        service.take(session, first, user=alex, now=now)
        for conversation, state in ((first, "unknown"), (first, "failed"), (first, "sent"), (fourth, "sent")):
            reply = service.reply(session, conversation, user=alex, text="We look into it.\nAlex", now=now)
            reply.delivery = state
        activate(session, DEFAULT_POLICY + "# One line more, and as long as a line may be" + " so" * 60, now)
        service.set_status(session, get_conversation(session, 6), "solved", user=alex, now=now)
        service.note(session, first, user=alex, text="She called too.", now=now)
        service.set_status(
            session, third, "snoozed", user=alex, now=now, snoozed_until=now + timedelta(days=3)
        )
        service.take(
            session, second, user=factories.user(session, "Oluwaseun Adeyemi-Featherstonhaugh"), now=now
        )
        _bring_everything(session, second, now)
        raw = Rejected(
            b"{" + b"x" * 300,
            "bad_json",
            "Not JSON: a bracket is open to the end.",
            "posts-of-november.jsonl:17",
        )
        receive(session, chirp.id, Batch((raw,)), now)
    served._hub._scorer = Pupil()
    teach(served._hub, "Lost luggage", LUGGAGE, user_id=alex.id)
    forget(served._hub, "lost luggage", user_id=None)
    teach(served._hub, "Luggage that never came, or came late", LUGGAGE, user_id=None)


def _warn(served: ServedHub) -> None:
    """Whoever came last is warned of every promise, and the last mail of that could not be sent."""
    with served.session() as session:
        reader_id = session.scalars(select(func.max(User.id))).one()
        for promise in session.scalars(select(Promise)).all():
            warning = PromiseWarning(
                promise=promise,
                conversation=promise.conversation,
                user_id=reader_id,
                step="15m before",
                metric=promise.metric,
                due_at=promise.due_at,
                created_at=utcnow(),
            )
            session.add(warning)
        session.add(WarningMail(warning=warning, state="failed", detail="550 no such mailbox " * 9))


def _bring_everything(session: Session, conversation: Conversation, now: datetime) -> None:
    """What connectors can bring: files, a mail as it was sent, an edit, a deletion, what no person wrote."""
    long_name = "what-came-with-it-" * 6 + ".pdf"
    files = (
        Attachment("pixel.png", "image/png", len(PIXEL), PIXEL, description="One point"),
        Attachment(long_name, "application/pdf", 1_400_000, url="https://example.com/a.pdf"),
        Attachment("note.txt", "text/plain", 5, b"hello"),
    )
    html = f'<p>good</p><img src="https://example.com/a.png" alt="A"><table width="900"><td>{"wide " * 60}'
    more: list[dict[str, Any]] = [
        {"external_id": "files", "attachments": files, "html": html, "url": "https://example.com/p/1"},
        {"external_id": "edited"},
        {"external_id": "deleted"},
        {"nature": "auto_reply"},
        {"addressed": False},
    ]
    subject = "Re: " + str(conversation.subject)
    for fields in more:
        item = inbound("good", author="author0", subject=subject, sent_at=now, **fields)
        factories.receive_one(session, conversation.channel, item, now=now)
    changes = (Edited("edited", "good " * 40), Deleted("deleted"))
    receive(session, conversation.channel_id, Batch(changes), now)


def _audit(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that keeps people from using the page; by some rules only, where they are named."""
    only: dict[str, Any] = {"type": "rule", "values": list(rules)}
    if not rules:
        only = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    found = page.evaluate("only => axe.run({runOnly: only, resultTypes: ['violations']})", only)
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.fixture
def reader(lived: ServedHub, opened: Opened, request: pytest.FixtureRequest) -> Page:
    """A page of somebody who is signed in, with the options of a browser context that the test names."""
    page = opened(lived.url, reduced_motion="reduce", **getattr(request, "param", {}))
    sign_in(lived, page, "Mona Manager", "manager")
    _warn(lived)
    return page


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: `npm ci` in hub/web/assets installs it")
def test_everybody_can_read_every_page_in_light_and_dark(
    lived: ServedHub, reader: Page, opened: Opened, troubles: list[str]
) -> None:
    script = AXE.read_text()
    found = {}
    stranger = opened(lived.url, reduced_motion="reduce")
    for page, path in (*((reader, path) for path in PAGES), (stranger, "/sign-in")):
        page.emulate_media(color_scheme="light")
        page.goto(path)
        page.evaluate(script)
        for scheme, rules in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            if problems := _audit(page, *rules):
                found[scheme, path] = problems
    assert found == {}
    # The browser notes the page that is not there.
    troubles[:] = [trouble for trouble in troubles if "404" not in trouble]


@pytest.mark.parametrize("reader", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_phone_shows_every_page_whole(reader: Page, troubles: list[str]) -> None:
    wide = {}
    for path in PAGES:
        reader.goto(path)
        over = reader.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        # What stands beyond the edge is named, and counts where the page itself cannot be moved too.
        cut = reader.evaluate(
            """() => [...document.querySelectorAll("main :is(a, button, h1, h2, time)")]
                .filter((e) => e.checkVisibility({visibilityProperty: true}))
                .filter((e) => !e.closest(".filters, .table-scroll, .sr-only"))
                .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
                .map((e) => e.outerHTML.slice(0, 120))"""
        )
        if over or cut:
            wide[path] = (over, cut)
    assert wide == {}
    troubles[:] = [trouble for trouble in troubles if "404" not in trouble]


@pytest.mark.parametrize("reader", [{"viewport": PHONE}], indirect=True)
def test_the_longest_time_to_a_breach_fits_on_a_phone(reader: Page) -> None:
    reader.goto("/queue")
    over = """(dd) => { dd.textContent = "in 23 h 59 min";
        return document.documentElement.scrollWidth - document.documentElement.clientWidth; }"""
    breach = reader.locator(".stats > div", has_text="Next breach").locator("dd")
    assert breach.evaluate(over) == 0


@pytest.mark.parametrize("reader", [{"viewport": SMALL}, {"viewport": PHONE}], indirect=True)
def test_a_conversation_scrolls_in_its_parts_and_not_as_a_page(reader: Page) -> None:
    for path in ("/conversations/1", "/conversations/2"):
        reader.goto(path)
        expect(reader.locator(".composer")).to_be_in_viewport(ratio=1)
        height, window = reader.evaluate("[document.documentElement.scrollHeight, innerHeight]")
        assert height == window


@pytest.mark.parametrize("reader", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_the_tab_bar_leads_everywhere(reader: Page) -> None:
    reader.goto("/queue")
    bar = reader.locator(".tabbar")
    for tab, heading in (
        ("Inbox", "Conversations"),
        ("Listening", "Listening"),
        ("Times", "Response times"),
        ("Queue", "Queue"),
    ):
        bar.get_by_text(tab, exact=True).tap()
        expect(reader.get_by_role("heading", level=1)).to_have_text(heading)
    bar.get_by_text("More").tap()
    bar.get_by_role("link", name="Customers").tap()
    expect(reader.get_by_role("heading", level=1)).to_have_text("Customers")
    reader.goto("/conversations/1")
    reader.get_by_role("tab", name="Customer").tap()
    expect(reader.locator("#profile")).to_be_visible()
    expect(reader.locator("#thread")).to_be_hidden()
    reader.locator(".conversation-acts summary").first.tap()
    shown = reader.locator(".conversation-acts .menu-item").filter(visible=True)
    expect(shown).not_to_have_count(0)
    for button in shown.all():
        expect(button).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(("path", "charts"), CHARTS.items())
def test_charts_show_their_numbers_in_their_colours(
    reader: Page, path: str, charts: list[tuple[bool, list[str]]]
) -> None:
    reader.goto(path)
    for chart in reader.locator("canvas").all():
        # Chart.js gives a canvas its height where it draws.
        expect(chart).to_have_attribute("height", re.compile("[1-9]"))
    assert reader.evaluate(READ_CHARTS) == charts
    reader.get_by_text("As a table").first.click()
    expect(reader.locator("figure table").first).to_be_visible()
