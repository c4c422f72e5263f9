"""How long a channel is usually silent: by tables of cases, and whatever the messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.rhythm import HOURS, LEAST_SECONDS, hour_of_week, is_silent, usual_silences

MONDAY = datetime(2026, 9, 28, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def office_hours(weeks: int, every_minutes: int = 30, without: Iterable[int] = ()) -> list[datetime]:
    """Messages from 8 to 18 on workdays, but not in some weeks."""
    return [
        MONDAY + week * WEEK + day * DAY + timedelta(minutes=minute)
        for week in range(weeks)
        if week not in without
        for day in range(5)
        for minute in range(8 * 60, 18 * 60 + 1, every_minutes)
    ]


NEXT = MONDAY + 8 * WEEK


@pytest.mark.parametrize(
    ("moments", "last", "now", "silent"),
    [
        pytest.param(office_hours(8), NEXT - 2 * DAY - 6 * HOUR, NEXT + 7 * HOUR, False, id="weekend"),
        pytest.param(office_hours(8), NEXT - 2 * DAY - 6 * HOUR, NEXT + 12 * HOUR, True, id="monday noon"),
        pytest.param(office_hours(8), NEXT + 12 * HOUR, NEXT + 12.9 * HOUR, False, id="lunch"),
        pytest.param(office_hours(8), NEXT + 12 * HOUR, NEXT + 13.5 * HOUR, True, id="long lunch"),
        pytest.param(office_hours(8), NEXT + 18 * HOUR, NEXT + 30 * HOUR, False, id="night"),
        pytest.param(office_hours(8, without=[3]), NEXT + 12 * HOUR, NEXT + 14 * HOUR, True, id="holidays"),
        pytest.param(office_hours(8, 1), NEXT + 12 * HOUR, NEXT + 12.2 * HOUR, False, id="12 min of busy"),
        pytest.param(office_hours(8, 1), NEXT + 12 * HOUR, NEXT + 12.3 * HOUR, True, id="18 min of busy"),
        pytest.param(office_hours(1), NEXT, NEXT + 99 * DAY, False, id="one week is too little"),
        pytest.param(office_hours(8)[::30], NEXT, NEXT + 99 * DAY, False, id="13 messages are too few"),
        pytest.param([], NEXT, NEXT + 99 * DAY, False, id="nothing"),
    ],
)
def test_silence(moments: list[datetime], last: datetime, now: datetime, silent: bool) -> None:
    if moments == office_hours(8)[::30]:
        moments = moments[:13]
    assert is_silent(usual_silences(moments), last, now) is silent


def test_the_formula() -> None:
    """A message at each full hour but one: 2 · 3,600 s, and at the hole 80 of 100 are shorter still."""
    moments = [MONDAY + n * HOUR for n in range(8 * HOURS)]
    assert usual_silences(moments) == (7200.0,) * HOURS


messages = st.lists(st.integers(0, 8 * 7 * 24 * 60), min_size=25, max_size=200, unique=True).map(
    lambda minutes: [MONDAY + timedelta(minutes=minute) for minute in sorted(minutes)]
)


@given(messages, st.integers(1, 100))
def test_whole_weeks_later_is_the_same(moments: list[datetime], weeks: int) -> None:
    assert usual_silences(moments) == pytest.approx(usual_silences([at + weeks * WEEK for at in moments]))


@given(messages)
def test_a_limit_is_never_shorter_than_the_least_nor_longer_than_twice_the_longest_gap(
    moments: list[datetime],
) -> None:
    longest = max((b - a).total_seconds() for a, b in pairwise(moments))
    for limit in usual_silences(moments):
        assert limit is None or LEAST_SECONDS <= limit <= max(LEAST_SECONDS, 2 * longest)


@given(messages, st.data())
def test_one_more_message_between_makes_no_limit_longer(moments: list[datetime], data: st.DataObject) -> None:
    span = int((moments[-1] - moments[0]).total_seconds())
    more = sorted({*moments, moments[0] + timedelta(seconds=data.draw(st.integers(0, span)))})
    for before, after in zip(usual_silences(moments), usual_silences(more), strict=True):
        assert before is None or (after is not None and after <= before)


@given(st.lists(st.integers(0, 7 * 24 * 60 - 1), min_size=5, max_size=60, unique=True))
def test_a_week_like_every_other_is_never_silent(minutes: list[int]) -> None:
    week = [timedelta(minutes=minute) for minute in sorted(minutes)]
    moments = [MONDAY + number * WEEK + at for number in range(8) for at in week]
    limits = usual_silences(moments)
    coming = [NEXT + at for at in week]
    for last, following in zip([moments[-1], *coming], coming, strict=False):
        now = last
        while now < following:
            assert not is_silent(limits, last, now)
            now += timedelta(minutes=29)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_an_hour_of_the_week_comes_every_week(at: datetime) -> None:
    moment = at.replace(tzinfo=UTC)
    assert 0 <= hour_of_week(moment) < HOURS
    assert hour_of_week(moment + WEEK) == hour_of_week(moment)
    assert hour_of_week(moment + HOUR) == (hour_of_week(moment) + 1) % HOURS
