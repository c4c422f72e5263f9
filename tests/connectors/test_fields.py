"""People, times and ids, read the same way from every source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Identity
from connectors.fields import BadRecord, body, clean, content_id, identity, known_id, moment

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ida@Example.com", Identity("email", "ida@example.com")),
        ("+49 (170) 123-4567", Identity("phone", "+491701234567")),
        ("@ida", Identity("handle", "ida", "social")),
        ("ida", Identity("handle", "ida", "social")),
        ("@ida@social.example", Identity("handle", "ida@social.example", "social")),
        ("105834", Identity("handle", "105834", "social")),
        ("+1", Identity("handle", "+1", "social")),
        ("  ida ", Identity("handle", "ida", "social")),
    ],
)
def test_identity(value: str, expected: Identity) -> None:
    assert identity(value, "social") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01T08:15:00Z", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        ("2026-03-01T08:15:00+01:00", datetime(2026, 3, 1, 7, 15, tzinfo=UTC)),
        ("2026-03-01 08:15", datetime(2026, 3, 1, 7, 15, tzinfo=UTC)),
        ("2026-07-01", None),
        ("2026-05-01", datetime(2026, 4, 30, 22, 0, tzinfo=UTC)),
        ("Sun, 01 Mar 2026 08:15:00 +0000", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        ("Sun Mar 01 08:15:00 +0000 2026", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        (1772352900, datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        ("1772352900", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        (1772352900.5, datetime(2026, 3, 1, 8, 15, 0, 500_000, tzinfo=UTC)),
        (1772352900000, datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("31/12/2025", None),
        ("2026-02-30", None),
        ("0001-01-01T00:00:00", None),
        ("1969-12-31", None),
        ("9" * 16, None),
        ("," * 1_000_000, None),
        (True, None),
        (["2026-01-01"], None),
        (float("nan"), None),
    ],
)
def test_moment(value: Any, expected: datetime | None) -> None:
    if expected is None:
        with pytest.raises(BadRecord) as bad:
            moment(value, BERLIN, NOW)
        assert bad.value.reason in ("bad_date", "future_date")
    else:
        assert moment(value, BERLIN, NOW) == expected


def test_a_day_ahead_is_a_wrong_clock_and_more_is_the_future() -> None:
    assert moment("2026-06-02T12:00:00Z", UTC, NOW) == NOW + timedelta(days=1)
    with pytest.raises(BadRecord) as bad:
        moment("2026-06-02T12:00:01Z", UTC, NOW)
    assert bad.value.reason == "future_date"


@given(st.integers(86_400, int(NOW.timestamp())), st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_what_was_written_is_read_again(seconds: int, zone: str) -> None:
    written = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    assert moment(written.isoformat(), BERLIN, NOW) == written


@given(st.text(max_size=40) | st.integers() | st.floats() | st.none())
def test_a_moment_is_utc_or_a_bad_record(value: Any) -> None:
    try:
        found = moment(value, BERLIN, NOW)
    except BadRecord:
        return
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing_text"),
        (" \n\t", "missing_text"),
        ("a\x00b", "nul_bytes"),
        ("half \ud83d", "bad_encoding"),
        ("é" * 6, "body_too_large"),
        ("x" * 12, "body_too_large"),
    ],
)
def test_bad_body(text: str, reason: str) -> None:
    with pytest.raises(BadRecord) as bad:
        body(text, max_bytes=11)
    assert bad.value.reason == reason


def test_a_good_body_is_left_as_it_is() -> None:
    assert body(" &amp; 🙂\n", max_bytes=20) == " &amp; 🙂\n"
    assert clean("x", "name") == "x"


def test_ids() -> None:
    assert content_id(b"a") == content_id(b"a", 1) != content_id(b"a", 2)
    assert known_id(" 42 ") == "42"
    assert known_id("x" * 5_000) == known_id("x" * 5_000) != known_id("y" * 5_000)
    assert len(known_id("x" * 5_000)) < 100
