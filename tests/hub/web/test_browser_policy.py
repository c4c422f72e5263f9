"""A manager mends a policy line by line, in a real browser."""

from __future__ import annotations

from playwright.sync_api import expect

from hub.clock import utcnow
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import PASSWORD
from tests.hub.web.conftest import Opened
from tests.hub.web.serving import ServedHub

SELECTED = "field => field.value.slice(field.selectionStart, field.selectionEnd)"
# Whether the line that begins the selection is within what the field shows.
SHOWN = """(field) => {
    const lines = field.value.split("\\n").length;
    const above = field.value.slice(0, field.selectionStart).split("\\n").length - 1;
    const top = (field.scrollHeight / lines) * above - field.scrollTop;
    return top >= 0 && top < field.clientHeight;
}"""


def test_each_problem_leads_to_its_line(served: ServedHub, opened: Opened) -> None:
    with served.session() as session:
        activate(session, DEFAULT_POLICY, utcnow())
        manager = factories.user(session, "Mia Manager", role="manager").email
    page = opened(served.url)
    assert page.request.post("/sign-in", form={"email": manager, "password": PASSWORD}).ok
    page.goto("/policy/edit")
    field = page.get_by_label("The policy, in YAML")
    faulty = DEFAULT_POLICY.replace("country: DE", "country: Germany").replace("{at: 75%", "{at: 0%")
    field.fill(faulty)
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#outcome")).to_contain_text("2 problems")
    for wrong in ("country: Germany", "{at: 0%"):
        line = next(n for n, text in enumerate(faulty.splitlines(), 1) if wrong in text)
        page.get_by_role("link", name=f"Line {line}", exact=True).click()
        expect(field).to_be_focused()
        assert wrong in field.evaluate(SELECTED)
        assert field.evaluate(SHOWN)
