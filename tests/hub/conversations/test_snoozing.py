"""Until when a conversation sleeps."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hub.conversations.snoozing import Snooze, snooze_choices, snooze_until

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "snooze", "until"),
    [
        ("2026-11-20T11:00", "1h", "2026-11-20T12:00"),
        ("2026-11-20T11:00", "4h", "2026-11-20T15:00"),
        ("2026-11-20T11:00", "tomorrow", "2026-11-21T08:00"),
        pytest.param("2026-11-20T23:30", "tomorrow", "2026-11-22T08:00", id="past midnight in Berlin"),
        ("2026-11-20T11:00", "monday", "2026-11-23T08:00"),
        pytest.param("2026-11-23T06:00", "monday", "2026-11-30T08:00", id="on a Monday: the next"),
        pytest.param("2026-03-28T11:00", "tomorrow", "2026-03-29T07:00", id="summer time begins"),
    ],
)
def test_nine_is_nine_in_the_readers_zone(now: str, snooze: Snooze, until: str) -> None:
    found = snooze_until(snooze, datetime.fromisoformat(now).replace(tzinfo=UTC), BERLIN)
    assert found == datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


def test_no_moment_is_offered_twice() -> None:
    friday, sunday = datetime(2026, 11, 20, 11, tzinfo=UTC), datetime(2026, 11, 22, 11, tzinfo=UTC)
    assert [each["value"] for each in snooze_choices(friday, BERLIN)] == ["1h", "4h", "tomorrow", "monday"]
    assert [each["value"] for each in snooze_choices(sunday, BERLIN)] == ["1h", "4h", "tomorrow"]
