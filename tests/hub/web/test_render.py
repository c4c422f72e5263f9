"""What the pages say of times, amounts and people, and that they are safe."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.web import render as web

NOW = datetime(2026, 11, 3, 14, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (45.4, "45 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4800, "1 h 20 min"),
        (86_400, "1 d"),
        (97_200, "1 d 3 h"),
    ],
)
def test_a_duration_reads_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert web.duration(seconds) == words


@given(st.floats(min_value=0, max_value=1e9))
def test_a_duration_never_says_more_than_has_passed(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
    parts = re.findall(r"(\d+) (s|min|h|d)", web.duration(seconds))
    assert 1 <= len(parts) <= 2
    assert sum(int(count) * units[unit] for count, unit in parts) <= seconds + 0.5


@pytest.mark.parametrize(
    ("used", "target", "words", "level"),
    [
        (0, 900, "0 s of 15 min", "calm"),
        (449, 900, "7 of 15 min", "calm"),
        (720, 900, "12 of 15 min", "close"),
        (450, 900, "7 of 15 min", "near"),
        (3900, 7200, "1 h 5 min of 2 h", "near"),
        (900, 900, "0 s over", "over"),
        (1380, 900, "8 min over", "over"),
        (10, 0, "10 s over", "over"),
    ],
)
def test_a_promise_says_how_much_of_it_is_used(used: float, target: float, words: str, level: str) -> None:
    assert web.used_of_target(used, target) == words
    assert web.promise_level(used, target) == level


@pytest.mark.parametrize(("percentile", "top"), [(100, 1), (99.4, 1), (95, 5), (94.9, 6), (0, 100)])
def test_a_percentile_reads_as_the_top_so_many_percent(percentile: float, top: int) -> None:
    assert web.top_percent(percentile) == top


@pytest.mark.parametrize(
    ("value", "text"), [(8, "8"), (1.5, "1.5"), (1.366, "1.37"), (16.44, "16.4"), (40, "40")]
)
def test_a_factor_has_no_more_digits_than_it_needs(value: float, text: str) -> None:
    assert web.factor(value) == text


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Marta Kowalska", "MK"),
        ("@nightbus_dan", "N"),
        ("Ana María de la Cruz", "AC"),
        ("李 小龙", "李小"),
        ("🙂", "?"),
    ],
)
def test_an_avatar_shows_first_and_last_initial(name: str, letters: str) -> None:
    assert web.initials(name) == letters


def test_counts_amounts_and_moments_read_as_people_write_them() -> None:
    east = timezone(timedelta(hours=2))
    assert web.plural(1, "reply", "replies") == "1 reply"
    assert web.plural(1204, "message") == "1,204 messages"
    assert web.money(Decimal("1240.5"), "EUR") == "1,240.50\N{NO-BREAK SPACE}EUR"
    assert web.percent(None) == "–"
    assert web.iso(datetime(2026, 11, 3, 1, 0, 30, tzinfo=east)) == "2026-11-02T23:00:30Z"
    assert web.utc(datetime(2026, 11, 3, 1, tzinfo=east), "day") == "2 Nov 2026"
    assert web.intent("praise_thanks") == "Praise"
    assert web.intent("delivery_status") == "Delivery status"


def test_a_sparkline_stays_within_its_box() -> None:
    points = [point.split(",") for point in web.sparkline([-1, 0, 1], width=100, height=28).split()]
    assert [(float(x), float(y)) for x, y in points] == [(0, 26), (50, 14), (100, 2)]


def test_json_in_a_page_cannot_end_its_script() -> None:
    hostile = {"note": "</script><script>alert(1)</script> & <!--"}
    text = web.to_json(hostile)
    assert "<" not in text
    assert json.loads(text) == hostile


def everybody(**more: Any) -> dict[str, Any]:
    return {
        "brand": "A & B",
        "me": {"name": "Noor Haddad", "email": "noor@example.org", "role": "agent", "presence": "online"},
        "badges": {"waiting": 1, "overdue": 0, "rejects": 1, "warnings": 1},
        "theme": "auto",
        "toasts": [],
        "now": NOW,
        "here": "/rejects",
        **more,
    }


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_what_customers_wrote_is_shown_and_never_run() -> None:
    channel = {"name": HOSTILE, "kind": "mail"}
    html = web.render(
        "rejects.html",
        **everybody(
            nav="rejects",
            filters={"reason": "", "channel": ""},
            reasons=[{"reason": HOSTILE, "count": 1}],
            rejects=[
                {
                    "id": 1,
                    "channel": channel,
                    "reason": HOSTILE,
                    "detail": HOSTILE,
                    "where": HOSTILE,
                    "received_at": NOW,
                    "size_bytes": 9,
                    "raw": HOSTILE,
                    "truncated": False,
                    "raw_url": "/rejects/1/raw",
                }
            ],
            more_url=None,
        ),
    )
    assert "<script>" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 6


@pytest.mark.parametrize(
    ("text", "link"),
    [("see https://example.org/a", True), ("javascript:alert(1)", False), ("data:text/html,hi", False)],
)
def test_only_addresses_of_the_web_become_links(text: str, link: bool) -> None:
    message = {
        "id": 7,
        "kind": "customer",
        "author": "Marta",
        "sent_at": NOW,
        "text": text,
        "quoted": "",
        "channel": None,
        "nature": None,
        "overheard": False,
        "url": None,
        "edited_at": None,
        "versions": [],
        "deleted_at": None,
        "html": None,
        "attachments": [],
        "analysis": None,
        "delivery": None,
    }
    html = web.render(
        "_thread.html",
        here="/conversations/1",
        now=NOW,
        conversation={"id": 1, "place": None, "merged_into": None},
        messages=[message],
    )
    assert ('<a href="' in html) is link
