"""Until when a conversation may sleep, in the words and the zone of whoever puts it to sleep."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

Snooze = Literal["1h", "4h", "tomorrow", "monday"]
MORNING = time(9)
TEXTS: dict[Snooze, str] = {"1h": "1 hour", "4h": "4 hours", "tomorrow": "Tomorrow", "monday": "Monday"}
MONDAY = 0


def snooze_until(snooze: Snooze, now: datetime, zone: ZoneInfo) -> datetime:
    """When it wakes, in UTC: after some hours, or at nine on a morning of `zone` after today."""
    if snooze == "1h":
        return now + timedelta(hours=1)
    if snooze == "4h":
        return now + timedelta(hours=4)
    day = now.astimezone(zone).date() + timedelta(days=1)
    while snooze == "monday" and day.weekday() != MONDAY:
        day += timedelta(days=1)
    return datetime.combine(day, MORNING, zone).astimezone(UTC)


def snooze_choices(now: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """What is offered, with the moment that each means now; no Monday where tomorrow is one."""
    choices = [
        {"value": snooze, "text": TEXTS[snooze], "at": snooze_until(snooze, now, zone)}
        for snooze in get_args(Snooze)
    ]
    return choices if choices[-1]["at"] != choices[-2]["at"] else choices[:-1]
