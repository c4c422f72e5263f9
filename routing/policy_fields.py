"""What all parts of a policy are made of: names, durations, shares."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

_DURATION = re.compile(r"(?:(\d{1,4})d)?\s*(?:(\d{1,5})h)?\s*(?:(\d{1,6})m)?\s*(?:(\d{1,8})s)?")
_CURRENCY = re.compile("[A-Z]{3}")
_YEAR = timedelta(days=366)


def parse_duration(value: object) -> timedelta:
    """Read `90s`, `15m`, `2h`, `1d` or a sum of them, largest first (`1h 30m`). Raises: ValueError."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) and value.strip() else None
    if match is None:
        raise ValueError(f"{value!r} is no duration: write 90s, 15m, 2h, 1d or 1h 30m")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(0) < duration <= _YEAR:
        raise ValueError(f"{value!r} is not between one second and a year")
    return duration


def write_duration(duration: timedelta) -> str:
    """A duration as `parse_duration` reads it: `1d 4h`."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts)


STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
"""What a part of a policy does not know it refuses."""


def _check_currency(value: str) -> str:
    if not _CURRENCY.fullmatch(value):
        upper = value.strip().upper()
        near = f"; did you mean {upper}?" if _CURRENCY.fullmatch(upper) else ", whose code is such as EUR"
        raise ValueError(f"no such currency: {value!r}{near}")
    return value


Currency = Annotated[
    str,
    AfterValidator(_check_currency),
    WithJsonSchema({"type": "string", "pattern": f"^{_CURRENCY.pattern}$"}),
]
"""By its code in ISO 4217."""
Name = Annotated[str, Field(min_length=1, max_length=40)]
Factor = Annotated[float, Field(ge=0.01, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
DURATION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 2,
    "pattern": f"^{_DURATION.pattern}$",
    "examples": ["15m", "2h", "1d"],
}
Duration = Annotated[timedelta, BeforeValidator(parse_duration), WithJsonSchema(DURATION_SCHEMA)]
