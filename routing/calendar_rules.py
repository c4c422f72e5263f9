"""What a policy says of when somebody answers: opening hours, holidays, exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import holidays
from holidays.registry import COUNTRIES
from pydantic import AfterValidator, BaseModel, BeforeValidator, WithJsonSchema

from routing.calendars import Interval
from routing.conditions import suggest
from routing.located_yaml import Path
from routing.policy_fields import STRICT
from routing.promise_rules import ALWAYS

if TYPE_CHECKING:
    from routing.policy import Policy

_INTERVAL = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_DAY = 1440


def _parse_hours(value: object) -> tuple[Interval, ...]:
    if value == "closed":
        return ()
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("write closed, or a list of times such as [09:00-12:30, 13:30-18:00]")
    return tuple(item if isinstance(item, Interval) else _parse_interval(item) for item in value)


def _parse_interval(value: object) -> Interval:
    match = _INTERVAL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no interval: write 09:00-17:30, or 22:00-06:00 for a night")
    from_hour, from_minute, to_hour, to_minute = match.groups()
    start = int(from_hour) * 60 + int(from_minute)
    end = 1440 if to_hour is None else int(to_hour) * 60 + int(to_minute)
    if start == end:
        raise ValueError(f"{value!r} begins and ends at the same time; a whole day is 00:00-24:00")
    return Interval(start, end if end > start else end + 1440)


def _check_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no IANA time zone{_near_zone(value)}") from None
    return value


def _near_zone(value: str) -> str:
    known = available_timezones()
    city = value.replace(" ", "_").casefold()
    by_city = sorted(zone for zone in known if zone.rpartition("/")[2].casefold() == city)
    return suggest(by_city[0] if by_city else value, known) or " such as Europe/Berlin"


TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
Hours = Annotated[
    tuple[Interval, ...],
    BeforeValidator(_parse_hours),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "closed"},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "pattern": f"^{_INTERVAL.pattern}$"},
                },
            ],
            "examples": ["closed", ["09:00-12:30", "13:30-18:00"]],
        }
    ),
]


class _Part(BaseModel):
    model_config = STRICT


class Week(_Part):
    """Opening hours of each weekday; a day that is not named is closed."""

    monday: Hours = ()
    tuesday: Hours = ()
    wednesday: Hours = ()
    thursday: Hours = ()
    friday: Hours = ()
    saturday: Hours = ()
    sunday: Hours = ()

    @property
    def days(self) -> tuple[tuple[Interval, ...], ...]:
        """The intervals of each day, Monday first."""
        return (
            self.monday,
            self.tuesday,
            self.wednesday,
            self.thursday,
            self.friday,
            self.saturday,
            self.sunday,
        )


class Holidays(_Part):
    """Public holidays, on which the calendar is closed."""

    country: str
    """ISO 3166-1 code, such as DE."""
    subdivision: str | None = None
    """ISO 3166-2 code without the country, such as BY."""


class CalendarRules(_Part):
    """When somebody answers."""

    time_zone: TimeZone | None = None
    """IANA zone; the brand's where it is not given."""
    hours: Week
    holidays: Holidays | None = None
    exceptions: dict[date, Hours] = {}
    """Single dates with hours of their own, or closed; they overrule week and holidays."""


def contradictions(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Where calendars do not fit together."""
    for name, rules in policy.calendars.items():
        for path, message in _in_calendar(name, rules):
            yield ("calendars", name, *path), message


def _in_calendar(name: str, rules: CalendarRules) -> Iterator[tuple[Path, str]]:
    if name == ALWAYS:
        yield (), f"{ALWAYS} is built in: choose another name"
    if not any(rules.hours.days):
        yield ("hours",), "is never open: give hours for at least one weekday"
    for day, hours in zip(Week.model_fields, rules.hours.days, strict=True):
        yield from _overlaps(("hours", day), hours)
    for date_, hours in rules.exceptions.items():
        yield from _overlaps(("exceptions", date_.isoformat()), hours)
    if rules.holidays is not None:
        yield from _of_holidays(rules.holidays)


def _overlaps(path: Path, hours: Sequence[Interval]) -> Iterator[tuple[Path, str]]:
    for before, after in pairwise(sorted(hours, key=lambda interval: interval.start)):
        if after.start < before.end:
            yield path, f"{_written(after)} overlaps {_written(before)}"


def _written(interval: Interval) -> str:
    end = interval.end if interval.end <= _DAY else interval.end - _DAY
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (interval.start, end))


def _of_holidays(given: Holidays) -> Iterator[tuple[Path, str]]:
    supported = holidays.list_supported_countries(include_aliases=True)
    country, subdivision = given.country, given.subdivision
    if country not in supported:
        # The library writes united_states, and has US and USA for it.
        names = {name.replace("_", " "): codes[1] for name, codes in COUNTRIES.items()}
        meant = _near(country, names, supported) or ", whose code is such as DE"
        yield ("holidays", "country"), f"no such country: {country!r}{meant}"
    elif subdivision is not None and subdivision not in supported[country]:
        names = holidays.country_holidays(country).subdivisions_aliases
        meant = _near(subdivision, names, supported[country])
        yield ("holidays", "subdivision"), f"no such subdivision of {country}: {subdivision!r}{meant}"


def _near(given: str, codes_by_name: Mapping[str, str], codes: Iterable[str]) -> str:
    """The code that was meant: by its name, or by one like it."""
    by_name = {name.casefold(): code for name, code in codes_by_name.items()}
    near = get_close_matches(given.casefold(), by_name, n=1, cutoff=0.8)
    return suggest(by_name[near[0]] if near else given, codes)
