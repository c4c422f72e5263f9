"""The forecast: right on average, ranges that hold what they say, and days that turn out otherwise."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.forecast import FEWEST_HOURS, forecast, quantile

SINCE = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = 7 * 24


def rate(at: datetime, level: float) -> float:
    """Quiet nights, busy noons, half of it at weekends."""
    return level * (0.1 + math.exp(-(((at.hour - 12) / 4) ** 2))) * (0.5 if at.weekday() >= 5 else 1)


@cache
def busy_weeks(seed: int, weeks: int = 9, level: float = 60) -> tuple[int, ...]:
    """Counts by the hour; days differ, and hours of their own."""
    random = Random(seed)
    counts, day = [], 1.0
    for index in range(weeks * WEEK):
        at = SINCE + index * HOUR
        if at.hour == 0:
            day = random.gammavariate(20, 1 / 20)
        mean = rate(at, level) * day * random.gammavariate(30, 1 / 30)
        counts.append(poisson(random, mean))
    return tuple(counts)


def poisson(random: Random, mean: float) -> int:
    count, passed = 0, random.expovariate(1)
    while passed <= mean:
        count, passed = count + 1, passed + random.expovariate(1)
    return count


def test_ranges_hold_four_of_five_and_last_week_is_beaten() -> None:
    inside, errors, last_week = [], [], []
    for seed in range(3):
        counts = busy_weeks(seed)
        for end in range(7 * WEEK + 7, len(counts) - 24, 23):
            for step, hour in enumerate(forecast(counts[:end], SINCE, "UTC", 24).hours):
                count = counts[end + step]
                inside.append(hour.low <= count <= hour.high)
                errors.append(abs(count - hour.expected))
                last_week.append(abs(count - counts[end + step - WEEK]))
    assert 0.77 < sum(inside) / len(inside) < 0.87
    assert sum(errors) < 0.8 * sum(last_week)


def test_hours_follow_the_history_by_the_local_clock() -> None:
    # A shop that is written to from nine to five in Berlin, through the change to summer time.
    zone = ZoneInfo("Europe/Berlin")
    since = datetime(2026, 2, 2, tzinfo=UTC)
    counts = []
    for index in range(8 * WEEK):
        local = (since + index * HOUR).astimezone(zone)
        counts.append(20 if local.weekday() < 5 and 9 <= local.hour < 17 else 0)
    found = forecast(counts, since, "Europe/Berlin", 48).hours
    assert found[0].starts_at == since + 8 * WEEK * HOUR
    assert [hour.starts_at - found[0].starts_at for hour in found] == [step * HOUR for step in range(48)]
    for hour in found:
        local = hour.starts_at.astimezone(zone)
        busy = local.weekday() < 5 and 9 <= local.hour < 17
        assert hour.expected == pytest.approx(20 if busy else 0, abs=1.5), local


def test_a_busy_morning_foretells_a_busy_afternoon() -> None:
    counts = list(busy_weeks(5))[: 8 * WEEK + 12]
    plain = forecast(counts, SINCE, "UTC", 12)
    surge = [*counts[:-6], *(3 * count for count in counts[-6:])]
    busy = forecast(surge, SINCE, "UTC", 36)
    assert plain.today == pytest.approx(1, abs=0.35)
    assert busy.today > 1.5
    assert busy.hours[2].expected > 1.4 * plain.hours[2].expected
    # Tomorrow is a day of its own.
    tomorrow = forecast(counts, SINCE, "UTC", 36).hours[24:]
    assert sum(h.expected for h in busy.hours[24:]) < 1.3 * sum(h.expected for h in tomorrow)


def test_a_crisis_is_seen_at_a_brand_whose_days_are_all_alike() -> None:
    random = Random(3)
    counts = [poisson(random, 10) for _ in range(10 * WEEK + 8)]
    calm = forecast(counts, SINCE, "UTC", 24)
    assert calm.today == pytest.approx(1, abs=0.1)
    assert 5 <= calm.hours[0].low < calm.hours[0].high <= 17
    for hours in (1, 2, 8):
        crisis = [*counts, *(poisson(random, 40) for _ in range(hours))]
        found = forecast(crisis, SINCE, "UTC", 36)
        assert 18 < found.hours[0].expected < 45
        assert found.hours[0].high > 27
        # Tomorrow is a day like others, until it has shown otherwise.
        assert found.hours[24].expected < 14
    # It is over: after some hours the day is one like others again.
    over = forecast([*crisis, *(poisson(random, 10) for _ in range(5))], SINCE, "UTC", 2)
    assert over.hours[0].expected < 22


def test_holidays_are_like_sundays_until_some_were_seen() -> None:
    counts = list(busy_weeks(6))
    first = (SINCE + len(counts) * HOUR).date()
    assert first.weekday() == 0
    ahead = forecast(counts, SINCE, "UTC", 24, lambda day: day == first)
    usual = forecast(counts, SINCE, "UTC", 24)
    share = sum(h.expected for h in ahead.hours) / sum(h.expected for h in usual.hours)
    assert share == pytest.approx(0.5, abs=0.15)

    # Nobody wrote on the Wednesdays of four weeks, which were holidays.
    def quiet(day: date) -> bool:
        return day == first or (day.weekday() == 2 and day > first - timedelta(days=28))

    for index in range(len(counts)):
        if quiet((SINCE + index * HOUR).date()):
            counts[index] = 0
    seen = forecast(counts, SINCE, "UTC", 24, quiet)
    assert sum(h.expected for h in seen.hours) < 0.2 * sum(h.expected for h in usual.hours)


def test_a_new_level_is_followed() -> None:
    counts = [*busy_weeks(7), *(2 * count for count in busy_weeks(8, weeks=4))]
    now = sum(h.expected for h in forecast(counts, SINCE, "UTC", WEEK).hours)
    assert now == pytest.approx(2 * sum(counts[: 9 * WEEK]) / 9, rel=0.25)


def test_a_surge_says_nothing_of_other_days() -> None:
    quiet = [round(count / 20) for count in busy_weeks(9, weeks=2)]
    surge = list(quiet)
    # On the second Thursday, from 17:00 to 20:00; the forecast begins on the Monday after it.
    for clock, count in ((17, 26), (18, 51), (19, 25)):
        surge[WEEK + 3 * 24 + clock] += count
    usual = forecast(quiet, SINCE, "UTC", 24).hours
    found = forecast(surge, SINCE, "UTC", 24).hours
    assert sum(hour.expected for hour in found) < 1.5 * sum(hour.expected for hour in usual)
    for hour, before in zip(found, usual, strict=True):
        assert hour.expected < 2 * before.expected + 2, hour
        assert hour.high <= 3 * before.high + 3, hour


def test_what_comes_every_week_is_no_surge() -> None:
    counts = list(busy_weeks(9))
    for week in range(9):
        counts[week * WEEK + 3 * 24 + 18] += 400
    found = forecast(counts, SINCE, "UTC", WEEK).hours
    assert found[3 * 24 + 18].expected > 250
    assert found[2 * 24 + 18].expected < 150


def test_less_than_a_week_says_nothing() -> None:
    with pytest.raises(ValueError, match="less than a week"):
        forecast([1] * (FEWEST_HOURS - 1), SINCE, "UTC", 3)
    silent = forecast([0] * FEWEST_HOURS, SINCE, "UTC", 3)
    assert [(h.expected, h.low, h.high) for h in silent.hours] == [(0.0, 0, 0)] * 3
    assert forecast([1] * FEWEST_HOURS, SINCE, "UTC", 0).hours == ()


@given(st.floats(0.01, 5000), st.floats(1e-6, 2))
def test_quantiles_are_in_order(mean: float, spread: float) -> None:
    low, middle, high = (quantile(share, mean, spread) for share in (0.1, 0.5, 0.9))
    assert 0 <= low <= middle <= high
    assert high >= mean * 0.5 or mean < 3 or spread > 0.5


@pytest.mark.parametrize(
    ("share", "mean", "spread", "count"),
    [(0.5, 10, 1e-9, 10), (0.9, 10, 1e-9, 14), (0.1, 10, 1e-9, 6), (0.9, 10, 0.2, 17), (0.5, 0, 1, 0)],
)
def test_quantiles(share: float, mean: float, spread: float, count: int) -> None:
    # Poisson's from a table; the mixture's by its variance of 30: scipy.stats.nbinom.ppf(.9, 5, 1/3) is 17.
    assert quantile(share, mean, spread) == count
