"""The page of a replay: whole by itself, safe, and true to the report."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from hub.replay.charts import over_time
from hub.replay.files import Problems
from hub.replay.html import html_page
from hub.replay.service import Replayed, Source, as_json, run
from routing.policy import DEFAULT_POLICY, read_policy
from routing.replay.jobs import Staffing
from routing.replay.records import Record
from routing.types import Facts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVIL = '<script>alert("x")</script>'


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not open; collects what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def replayed(count: int = 12) -> Replayed:
    tiers = ["platinum", EVIL, None]
    records = [
        Record(
            n,
            NOON + timedelta(minutes=n),
            Facts(f"{EVIL}&", "social", "first_reply_time", tiers[n % 3]),
            None if n == 1 else 900.0,
        )
        for n in range(count)
    ]
    problems = Problems()
    problems.add(3, "bad", EVIL)
    source = Source(EVIL, records, Staffing.constant(1), 20, problems, Problems(), ["one handling time"])
    policy = read_policy(DEFAULT_POLICY)
    return run(source, {"A": policy, EVIL: policy}, ["first-come"])


def test_the_page_stands_by_itself_and_lets_nothing_in() -> None:
    page = html_page(replayed(), NOON)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert parser.loads == []
    assert "<script" not in page
    assert "&lt;script&gt;alert" in page
    assert "one handling time" in page
    assert page.count("<svg") == 4
    assert "light-dark(" in page


def test_the_page_says_what_the_report_says() -> None:
    found = replayed()
    page = html_page(found, NOON)
    assert f"{found.report.runs[0].all.attainment:.1%}" in page
    assert f"{found.report.runs[2].breached} in all" in page
    assert re.search(r"line</th>.*\n.*\n.*<td class=\"n\">3</td><td>bad</td>", page)


def test_an_empty_replay_is_a_page_too() -> None:
    page = html_page(replayed(0), NOON)
    assert "0 conversations" in page
    assert "every promise is kept" in page


def test_json_holds_all_of_it() -> None:
    told = as_json(replayed())
    assert told["source"]["skipped"] == 1
    assert told["source"]["problems"]["first"][0]["line"] == 3
    assert told["begins_at"] == "2026-03-02T12:00:00Z"
    assert [each["name"] for each in told["runs"]] == ["A", EVIL, "first-come"]
    assert told["runs"][0]["all"]["count"] == 12
    assert [each["after"] for each in told["changes"]] == [EVIL, "first-come"]


def test_lines_of_a_chart_keep_within_it() -> None:
    at = [NOON + timedelta(hours=n) for n in range(30)]
    chart = str(over_time("Load", at, {"a": [0.0, *[n * 7.3 for n in range(29)]]}, "%", guide=300))
    points = re.search(r'points="([^"]+)"', chart)
    assert points is not None
    pairs = [tuple(map(float, pair.split(","))) for pair in points[1].split()]
    assert len(pairs) == 30
    assert all(56 <= x <= 946 and 12 <= y <= 258 for x, y in pairs)
    assert "400%" in chart
    assert over_time("Load", [], {}, "") == ""
