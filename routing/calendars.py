"""Opening hours: how much open time lies between two moments, and when so much of it will have passed.

A local time that occurs twice is its first occurrence, as in RFC 5545, section 3.3.5. One that the clock
skips is the moment of the jump: nobody works in an hour, or on a day, that is not there (Samoa had no Friday
in the last week of 2011, and its offices stayed closed on the Saturday). An interval belongs to the day it
begins on, so the night shift of the day before a holiday is worked to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
# All sums are whole microseconds, so that `elapsed` and `deadline` are exact inverses.
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_BLOCK_DAYS = 64
_HORIZON_DAYS = 5 * 366


class NeverOpen(Exception):
    """The calendar does not have that much open time in the five years that follow."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Open from `start` to `end`, in minutes after local midnight; an `end` past 1440 is on the next day."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class HolidaySource:
    """A country (ISO 3166-1) and perhaps one of its subdivisions, as the `holidays` package names them."""

    country: str
    subdivision: str | None = None


@lru_cache(maxsize=1024)
def _holidays(source: HolidaySource, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(source.country, source.subdivision, years=year, expand=False))


class Calendar:
    """Weekly hours in one time zone, less public holidays, with dated exceptions that overrule both.

    `week` holds the intervals of each weekday, Monday first. Moments go in aware; results are UTC.
    """

    def __init__(
        self,
        zone: str,
        week: Sequence[Sequence[Interval]],
        holidays: HolidaySource | None = None,
        exceptions: Mapping[date, Sequence[Interval]] | None = None,
    ) -> None:
        self._zone = ZoneInfo(zone)
        self._week = tuple(tuple(day) for day in week)
        self._holidays = holidays
        self._exceptions = dict(exceptions or {})
        self._spans: dict[int, tuple[tuple[int, int], ...]] = {}
        self._blocks: dict[int, int] = {}

    @classmethod
    def always(cls) -> Calendar:
        """Open at every moment."""
        return cls("UTC", [[Interval(0, 1440)]] * 7)

    def is_open(self, at: datetime) -> bool:
        """Whether `at` is in open time; an interval includes its start and not its end."""
        moment = _count(at)
        return any(start <= moment < end for start, end in self._spans_of(moment // _DAY))

    def is_holiday(self, day: date) -> bool:
        """Whether that local day is one of its public holidays."""
        return self._holidays is not None and day in _holidays(self._holidays, day.year)

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """The open time from `start` to `end`; nothing where `end` is not after `start`."""
        first, last = _count(start), _count(end)
        if last <= first:
            return timedelta(0)
        day, last_day = first // _DAY, last // _DAY
        total = sum(
            max(0, min(till, last) - max(since, first))
            for edge in {day, last_day}
            for since, till in self._spans_of(edge)
        )
        day += 1
        while day < last_day:
            if day % _BLOCK_DAYS == 0 and day + _BLOCK_DAYS <= last_day:
                total += self._open_in_block(day // _BLOCK_DAYS)
                day += _BLOCK_DAYS
            else:
                total += self._open_in_day(day)
                day += 1
        return timedelta(microseconds=total)

    def deadline(self, start: datetime, duration: timedelta) -> datetime:
        """The first moment by which `duration` of open time has passed since `start`.

        Raises: NeverOpen, where that is more than about five years away.
        """
        moment = _count(start)
        left = duration // _MICROSECOND
        if left <= 0:
            return start.astimezone(UTC)
        day = moment // _DAY
        horizon = day + _HORIZON_DAYS
        while day < horizon:
            if day % _BLOCK_DAYS == 0 and day * _DAY >= moment:
                in_block = self._open_in_block(day // _BLOCK_DAYS)
                if in_block < left:
                    left -= in_block
                    day += _BLOCK_DAYS
                    continue
            for since, till in self._spans_of(day):
                since = max(since, moment)
                if till - since >= left:
                    return _EPOCH + timedelta(microseconds=since + left)
                left -= max(0, till - since)
            day += 1
        raise NeverOpen(
            f"the calendar has no {duration} of open time in the five years after {start:%Y-%m-%d}"
        )

    def _open_in_day(self, day: int) -> int:
        return sum(till - since for since, till in self._spans_of(day))

    def _open_in_block(self, block: int) -> int:
        if block not in self._blocks:
            first = block * _BLOCK_DAYS
            self._blocks[block] = sum(self._open_in_day(day) for day in range(first, first + _BLOCK_DAYS))
        return self._blocks[block]

    def _spans_of(self, day: int) -> tuple[tuple[int, int], ...]:
        """The open spans of one UTC day, in order and apart, as microseconds since the epoch."""
        spans = self._spans.get(day)
        if spans is None:
            spans = self._spans[day] = self._make_spans(day)
        return spans

    def _make_spans(self, day: int) -> tuple[tuple[int, int], ...]:
        first, last = day * _DAY, (day + 1) * _DAY
        utc_date = date.fromordinal(_EPOCH_ORDINAL + day)
        found: list[tuple[int, int]] = []
        # An overnight interval of two local days before still reaches into a UTC day west of Greenwich.
        for local in (utc_date + timedelta(days=shift) for shift in (-2, -1, 0, 1)):
            for interval in self._intervals_on(local):
                since = max(first, self._instant(local, interval.start))
                till = min(last, self._instant(local, interval.end))
                if since < till:
                    found.append((since, till))
        merged: list[tuple[int, int]] = []
        for since, till in sorted(found):
            if merged and since <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(till, merged[-1][1]))
            else:
                merged.append((since, till))
        return tuple(merged)

    def _intervals_on(self, local: date) -> Sequence[Interval]:
        if local in self._exceptions:
            return self._exceptions[local]
        if self.is_holiday(local):
            return ()
        return self._week[local.weekday()]

    def _instant(self, local: date, minute: int) -> int:
        days, minute = divmod(minute, 1440)
        wall = datetime.combine(
            local + timedelta(days=days), time(minute // 60, minute % 60), tzinfo=self._zone
        )
        # PEP 495: of a time that is skipped, the first reading is the later one.
        first, second = _count(wall), _count(wall.replace(fold=1))
        return first if first <= second else self._jump(second, first)

    def _jump(self, before: int, after: int) -> int:
        """The moment in between, or `after` itself, at which the clock jumps; a whole second."""
        low, high = before // _SECOND, after // _SECOND
        offset = self._offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == offset else (low, middle)
        return high * _SECOND

    def _offset(self, second: int) -> timedelta | None:
        return (_EPOCH + timedelta(seconds=second)).astimezone(self._zone).utcoffset()


def _count(at: datetime) -> int:
    """Microseconds since the epoch. A naive datetime raises TypeError."""
    return (at - _EPOCH) // _MICROSECOND
