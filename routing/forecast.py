"""How many conversations to expect, hour by hour, and how sure that is.

A Poisson mixture (Jongbloed and Koole 2001, "Managing uncertainty in call centres using Poisson mixtures"):
the rate of an hour is the level of late, times the profile of that hour of the week, times a factor that the
whole day shares and one of the hour's own, both gamma-distributed about 1. So a busy morning foretells a busy
afternoon as far as past days did, and the ranges are as wide as past days were different. Public holidays
have a profile of their own, as far as past ones were seen, and else that of a Sunday.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from statistics import NormalDist
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
FEWEST_HOURS = 7 * 24
"""Less history than a week says nothing of a week."""
COVERED = 0.8
"""How much of what happens lies between `low` and `high`."""
RANGE_Z = NormalDist().inv_cdf((1 + COVERED) / 2)
"""Half of that range, in standard deviations of a normal."""

# The level follows the last weeks; the profile of the week is steadier.
_LEVEL_HALF_LIFE_DAYS = 14.0
_PROFILE_HALF_LIFE_DAYS = 42.0
# An hour of the week is believed as far as so many messages were expected in it; the rest is its day's sum at
# the usual rhythm of all days.
_PROFILE_BELIEF = 8.0
# What is more than so many times what the same hour brings on other days, or in other weeks, was a surge.
_SURGE = 3.0
_HOLIDAY_BELIEF = 20.0
_SUNDAY = 6
# Days and hours of fewer expected messages say nothing of how different they are.
_ENOUGH = 3.0
_LEAST_SPREAD, _MOST_SPREAD = 1e-6, 4.0
# Such a share of days is like none before. How far those may differ, and how long an hour speaks of the next.
_CRISIS, _CRISIS_SPREAD = 0.02, 1.0
_CRISIS_HALF_LIFE_HOURS = 1.5
# Beyond this mean a negative binomial is as good as normal.
_NORMAL_FROM = 3000.0


@dataclass(frozen=True, slots=True)
class HourAhead:
    """What is expected from `starts_at` for an hour: the mean, and the range that four of five fall in."""

    starts_at: datetime
    expected: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The hours ahead, in order. `today` is how busy the day is so far beside what was expected of it: 1 as
    expected, 2 twice as busy, drawn towards 1 as far as too little was seen yet."""

    hours: tuple[HourAhead, ...]
    today: float


def forecast(
    counts: Sequence[int],
    since: datetime,
    zone: str,
    ahead: int,
    is_holiday: Callable[[date], bool] = lambda day: False,
) -> Forecast:
    """What comes in the `ahead` hours after the last of `counts`, which are by the hour from `since` on.

    `since` is aware and at a full hour of UTC; days and weeks are those of `zone`.
    Raises: ValueError, where there are fewer than `FEWEST_HOURS`.
    """
    if len(counts) < FEWEST_HOURS:
        raise ValueError(f"{len(counts)} hours of history are less than a week")
    local = ZoneInfo(zone)
    hours = [(since + index * HOUR).astimezone(local) for index in range(len(counts) + ahead)]
    holidays = {day: is_holiday(day) for day in {hour.date() for hour in hours}}
    seen = len(counts)
    kinds = [_SUNDAY * 24 + hour.hour if holidays[hour.date()] else _of_week(hour) for hour in hours]
    usual = _without_surges(counts, hours[:seen])
    profile = _profile(usual, hours[:seen], [holidays[hour.date()] for hour in hours[:seen]])
    shape = [profile[kind] for kind in kinds]
    holiday = _holiday_factor(counts, hours, holidays, shape)
    shape = [each * holiday if holidays[at.date()] else each for each, at in zip(shape, hours, strict=True)]
    levels = _levels(counts, shape, hours)
    expected = [level * each for level, each in zip(levels, shape, strict=True)]
    spread_of_days, spread_of_hours = _spreads(usual, expected, hours)
    today = hours[seen].date() if ahead else None
    so_far = [
        (counts[index], expected[index])
        for index in range(max(0, seen - 25), seen)
        if hours[index].date() == today
    ]
    factor, unsure = _factor(so_far, spread_of_days, spread_of_hours)
    return Forecast(
        tuple(
            _hour(
                since + index * HOUR,
                expected[index] * (factor if hours[index].date() == today else 1.0),
                spread_of_hours + (unsure if hours[index].date() == today else spread_of_days),
            )
            for index in range(seen, seen + ahead)
        ),
        factor,
    )


def _factor(so_far: Sequence[tuple[int, float]], days: float, hours: float) -> tuple[float, float]:
    """How busy the day is, given what was counted and expected of its hours, and the variance of that as a
    share of its square.

    Mostly days differ as they did before. But few past days were a crisis, so that a steady brand would not
    see one that is going on: of the other days, `_CRISIS` of all, anything is believed that the last hours
    say. Which of the two it is, what was heard says by how likely either makes it (Bayes).
    """
    count = len(so_far)
    late = [0.5 ** ((count - 1 - index) / _CRISIS_HALF_LIFE_HOURS) for index in range(count)]
    heard, hoped = (sum(each) for each in zip(*so_far, strict=True)) if so_far else (0, 0.0)
    heard_late = sum(weight * seen for weight, (seen, _) in zip(late, so_far, strict=True))
    hoped_late = sum(weight * mean for weight, (_, mean) in zip(late, so_far, strict=True))
    # How far an hour differs by itself is no word on the day.
    weight = 1 / (1 + hours * hoped / max(count, 1))
    usual, sure = _posterior(weight * heard, weight * hoped, days)
    if days >= _CRISIS_SPREAD or not hoped_late:
        return usual, 1 / sure
    crisis, sure_of_crisis = _posterior(weight * heard_late, weight * hoped_late, _CRISIS_SPREAD)
    odds = _log_likelihood(weight * heard_late, weight * hoped_late, _CRISIS_SPREAD) - _log_likelihood(
        weight * heard_late, weight * hoped_late, days
    )
    share = 1 / (1 + (1 - _CRISIS) / _CRISIS * math.exp(-max(min(odds, 500.0), -500.0)))
    factor = (1 - share) * usual + share * crisis
    square = (1 - share) * usual**2 * (1 + 1 / sure) + share * crisis**2 * (1 + 1 / sure_of_crisis)
    return factor, max(square / factor**2 - 1, _LEAST_SPREAD)


def _posterior(heard: float, hoped: float, spread: float) -> tuple[float, float]:
    """The mean of a factor that is gamma-distributed about 1, and how sure it is: gamma is conjugate to
    Poisson."""
    sure = 1 / spread + hoped
    return (1 / spread + heard) / sure, sure


def _log_likelihood(heard: float, hoped: float, spread: float) -> float:
    """Of a negative binomial with that mean and spread, up to what depends on `heard` alone."""
    size = 1 / spread
    return (
        math.lgamma(size + heard)
        - math.lgamma(size)
        - size * math.log1p(hoped / size)
        + heard * (math.log(hoped) - math.log(size + hoped))
    )


def _of_week(hour: datetime) -> int:
    return hour.weekday() * 24 + hour.hour


def _faded(hours: Sequence[datetime], half_life_days: float) -> list[float]:
    """The weight of each hour of the past, 1 for the newest."""
    step = 0.5 ** (1 / (24 * half_life_days))
    return [step ** (len(hours) - 1 - index) for index in range(len(hours))]


def _without_surges(counts: Sequence[int], hours: Sequence[datetime]) -> list[float]:
    """The counts, of a surge only as much as an unusual hour may bring.

    A surge is no word on the hours of other days, nor on how far those differ. What comes at the same hour of
    every week is none.
    """
    sums: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for count, hour in zip(counts, hours, strict=True):
        for key in _alike(hour):
            sums[key] += count
            seen[key] += 1
    found = []
    for count, hour in zip(counts, hours, strict=True):
        elsewhere = max((sums[key] - count) / max(seen[key] - 1, 1) for key in _alike(hour))
        found.append(min(count, _ENOUGH + _SURGE * elsewhere))
    return found


def _alike(hour: datetime) -> tuple[int, int]:
    """What an hour may be compared with: the same hour of other days, and that of other weeks."""
    return hour.hour, 24 + _of_week(hour)


def _profile(counts: Sequence[float], hours: Sequence[datetime], off: Sequence[bool]) -> list[float]:
    """The share of each hour of the week, such that their mean is 1; holidays are left out."""
    said, weighed = [0.0] * 168, [0.0] * 168
    for count, hour, weight, holiday in zip(
        counts, hours, _faded(hours, _PROFILE_HALF_LIFE_DAYS), off, strict=True
    ):
        if not holiday:
            said[_of_week(hour)] += weight * count
            weighed[_of_week(hour)] += weight
    total = sum(weighed)
    mean = sum(said) / total if total else 0.0
    if not mean:
        return [1.0] * 168
    days = [
        _rate(said[24 * day : 24 * day + 24], weighed[24 * day : 24 * day + 24], mean) for day in range(7)
    ]
    clock = [_rate(said[hour::24], weighed[hour::24], mean) for hour in range(24)]
    usual = [days[index // 24] * clock[index % 24] / mean for index in range(168)]
    rates = [
        (said[index] + _PROFILE_BELIEF * usual[index] / mean) / (weighed[index] + _PROFILE_BELIEF / mean)
        for index in range(168)
    ]
    middle = sum(rates) / 168
    return [rate / middle for rate in rates]


def _rate(said: Sequence[float], weighed: Sequence[float], mean: float) -> float:
    """Messages an hour, drawn to the mean of all hours by one message's worth of belief."""
    return (sum(said) + 1.0) / (sum(weighed) + 1.0 / mean)


def _holiday_factor(
    counts: Sequence[int], hours: Sequence[datetime], holidays: dict[date, bool], shape: Sequence[float]
) -> float:
    """How busy past holidays were beside Sundays."""
    on_holiday = [index for index in range(len(counts)) if holidays[hours[index].date()]]
    total = sum(shape[: len(counts)])
    rate = sum(counts) / total if total else 0.0
    hoped = sum(shape[index] for index in on_holiday) * rate
    return (sum(counts[index] for index in on_holiday) + _HOLIDAY_BELIEF) / (hoped + _HOLIDAY_BELIEF)


def _levels(counts: Sequence[int], shape: Sequence[float], hours: Sequence[datetime]) -> list[float]:
    """Messages an hour at a profile of 1, as known when each day began; the last for all that is ahead."""
    step = 0.5 ** (1 / (24 * _LEVEL_HALF_LIFE_DAYS))
    start = sum(counts[:FEWEST_HOURS]) / max(sum(shape[:FEWEST_HOURS]), 1e-9)
    # The first week's mean stands for what was before.
    said, hoped = start * 24.0, 24.0
    levels: list[float] = []
    level, day = start, hours[0].date()
    for index, hour in enumerate(hours):
        if hour.date() != day:
            level, day = said / hoped, hour.date()
        levels.append(level)
        if index < len(counts):
            said = step * said + counts[index]
            hoped = step * hoped + shape[index]
    return levels


def _spreads(
    counts: Sequence[float], expected: Sequence[float], hours: Sequence[datetime]
) -> tuple[float, float]:
    """The variance of the days' factor and of the hours' own, by the method of moments."""
    by_day: dict[date, list[int]] = {}
    for index in range(len(counts)):
        by_day.setdefault(hours[index].date(), []).append(index)
    within = _excess([(counts[index], expected[index]) for index in range(len(counts))])
    days = [
        (sum(counts[index] for index in day), sum(expected[index] for index in day))
        for day in by_day.values()
        if len(day) >= 23
    ]
    of_days = _excess(days)
    # What days differ by, every hour of them differs by too.
    return max(of_days, _LEAST_SPREAD), max(within - of_days, _LEAST_SPREAD)


def _excess(pairs: Sequence[tuple[float, float]]) -> float:
    """How much more counts vary than Poisson's about what was expected, as a share of its square."""
    known = [(count, mean) for count, mean in pairs if mean >= _ENOUGH]
    squares = sum(mean * mean for _, mean in known)
    if not squares:
        return 0.0
    return min(max(sum((count - mean) ** 2 - mean for count, mean in known) / squares, 0.0), _MOST_SPREAD)


def _hour(starts_at: datetime, mean: float, spread: float) -> HourAhead:
    low, high = (quantile(share, mean, spread) for share in ((1 - COVERED) / 2, (1 + COVERED) / 2))
    return HourAhead(starts_at, mean, low, high)


def quantile(share: float, mean: float, spread: float) -> int:
    """The least count that `share` of a negative binomial does not exceed; its variance is
    `mean + spread * mean ** 2`."""
    if mean <= 0:
        return 0
    if mean > _NORMAL_FROM:
        return max(0, round(NormalDist(mean, math.sqrt(mean + spread * mean * mean)).inv_cdf(share)))
    size = 1 / max(spread, _LEAST_SPREAD)
    odds = mean / (size + mean)
    most = int(mean + 12 * math.sqrt(mean + spread * mean * mean)) + 12
    log_odds = math.log(odds)
    first = size * math.log1p(-odds)
    terms = (
        first + math.lgamma(size + count) - math.lgamma(size) - math.lgamma(count + 1) + count * log_odds
        for count in range(most + 1)
    )
    return bisect_left(list(accumulate(math.exp(term) for term in terms)), share)
