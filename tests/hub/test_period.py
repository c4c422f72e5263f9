"""The time a report looks back on, in hours or days of the brand's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.period import Range, look_back

BERLIN, KOLKATA = "Europe/Berlin", "Asia/Kolkata"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("range_", "zone", "now", "before", "first", "last", "count"),
    [
        ("24h", BERLIN, "2026-11-20T11:20", "2026-11-18T12:00", "2026-11-19T12:00", "2026-11-20T11:00", 24),
        # India's hours begin at half past.
        ("24h", KOLKATA, "2026-11-20T11:20", "2026-11-18T11:30", "2026-11-19T11:30", "2026-11-20T10:30", 24),
        ("7d", BERLIN, "2026-11-20T11:20", "2026-11-06T23:00", "2026-11-13T23:00", "2026-11-19T23:00", 7),
        # Just after midnight in Berlin it is another day than in UTC.
        ("7d", BERLIN, "2026-11-19T23:01", "2026-11-06T23:00", "2026-11-13T23:00", "2026-11-19T23:00", 7),
        # The clocks went back on 25 October: that day began at 22:00 UTC and had 25 hours.
        ("7d", BERLIN, "2026-10-27T12:00", "2026-10-13T22:00", "2026-10-20T22:00", "2026-10-26T23:00", 7),
    ],
)  # fmt: skip
def test_ranges(range_: Range, zone: str, now: str, before: str, first: str, last: str, count: int) -> None:
    period = look_back(range_, zone, at(now))
    assert (period.before, period.since, period.starts[-1]) == (at(before), at(first), at(last))
    assert len(period.starts) == count
    assert period.until == at(now)
    assert period.unit == ("hour" if range_ == "24h" else "day")


@given(
    seconds=st.integers(1_577_836_800, 2_051_222_400),
    zone=st.sampled_from(
        ("UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Sao_Paulo")
    ),
    range_=st.sampled_from(get_args(Range)),
)
def test_a_period_has_no_gap_and_holds_now(seconds: int, zone: str, range_: Range) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    period = look_back(range_, zone, now)
    lengths = {later - earlier for earlier, later in zip(period.starts, period.starts[1:], strict=False)}
    assert period.starts[-1] <= now
    if period.unit == "hour":
        assert lengths == {timedelta(hours=1)}
        assert now - period.starts[-1] < timedelta(hours=1)
    else:
        assert lengths <= {timedelta(hours=hours) for hours in (23, 24, 25)}
        assert all(start.astimezone(ZoneInfo(zone)).hour == 0 for start in period.starts)
        assert now.astimezone(ZoneInfo(zone)).date() == period.starts[-1].astimezone(ZoneInfo(zone)).date()
