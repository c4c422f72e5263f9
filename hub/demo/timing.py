"""When things happen in the demo: the daily rhythm of customers, and how soon agents answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hub.demo.script import Line, Scene

CRISIS_DAYS_AGO = 3
CRISIS_STARTS = time(18, 35)
HISTORY_DAYS = 13

# Messages per local hour, from midnight: quiet nights, peaks before lunch and after work.
RHYTHM = (5, 2, 1, 1, 1, 3, 10, 22, 34, 42, 60, 64, 56, 34, 32, 34, 38, 46, 62, 68, 60, 38, 20, 10)

# By channel: median seconds to an agent's answer and to a customer's next word, and the hours agents work.
_ANSWER = {"chirp": 17 * 60, "mail": 70 * 60, "form": 48 * 60}
_FOLLOW_UP = {"chirp": 25 * 60, "mail": 5 * 3600, "form": 3 * 3600}
_HOURS = {"chirp": (7, 23), "mail": (8, 20), "form": (8, 20)}
_HASTE = {"platinum": 0.3, "gold": 0.55, "silver": 0.9}
_CRISIS_DRAG = 2.5


@dataclass(frozen=True, slots=True)
class Present:
    """The present and the place it is told for."""

    now: datetime
    zone: ZoneInfo

    @property
    def local(self) -> datetime:
        return self.now.astimezone(self.zone)

    @property
    def crisis_at(self) -> datetime:
        day = self.local.date() - timedelta(days=CRISIS_DAYS_AGO)
        return datetime.combine(day, CRISIS_STARTS, self.zone)


def rhythmic_seconds(rng: Random) -> int:
    """A moment of the local day, in seconds since midnight, drawn by the daily rhythm."""
    hour = rng.choices(range(24), RHYTHM)[0]
    return hour * 3600 + rng.randrange(3600)


def times(scene: Scene, present: Present, tier: str | None, rng: Random) -> list[datetime]:
    """When each line of a scene is said: never after now, each after the one before."""
    when = scene.when
    if when.anchor == "now":
        offsets = _offsets(scene, None, tier, rng, present)
        ago = when.offset_seconds if when.offset_seconds is not None else _waiting_seconds(rng)
        start = present.now - timedelta(seconds=ago) - offsets[-1]
        return [start + offset for offset in offsets]
    if when.anchor == "crisis":
        start = present.crisis_at + timedelta(seconds=(when.offset_seconds or 0) + rng.randrange(60))
    else:
        days = when.days if when.days is not None else rng.randint(1, HISTORY_DAYS)
        seconds = when.offset_seconds if when.offset_seconds is not None else rhythmic_seconds(rng)
        day = present.local.date() - timedelta(days=days)
        start = datetime.combine(day, time(), present.zone) + timedelta(seconds=seconds)
    return _fitted(start, _offsets(scene, start, tier, rng, present), present.now)


def _fitted(start: datetime, offsets: Sequence[timedelta], now: datetime) -> list[datetime]:
    # In UTC, since arithmetic within a zone may run backwards when the clocks change.
    start = start.astimezone(now.tzinfo)
    room = now - timedelta(seconds=90) - start
    squeeze = min(1.0, room / offsets[-1]) if offsets[-1] else 1.0
    return [start + offset * squeeze for offset in offsets]


def _offsets(
    scene: Scene, start: datetime | None, tier: str | None, rng: Random, present: Present
) -> list[timedelta]:
    """How long after the first each line is said. Opening hours count only where the start is known."""
    drag = _CRISIS_DRAG if scene.when.anchor == "crisis" else 1.0
    elapsed = timedelta()
    offsets = [elapsed]
    for line in scene.lines[1:]:
        elapsed += timedelta(seconds=_gap(line, scene.channel, tier, drag, rng))
        if start is not None and line.kind not in ("auto", "away") and (line.after_seconds or 3600) >= 3600:
            hours = (6, 24) if line.kind == "customer" else _HOURS[scene.channel]
            elapsed = _when_open(start + elapsed, hours, rng) - start
        offsets.append(elapsed)
    return offsets


def _gap(line: Line, channel: str, tier: str | None, drag: float, rng: Random) -> float:
    if line.after_seconds is not None:
        return line.after_seconds * rng.uniform(0.9, 1.1)
    if line.kind in ("auto", "away"):
        return rng.uniform(4, 50)
    if line.kind == "note":
        return rng.uniform(120, 900)
    if line.kind == "customer":
        return 120 + _FOLLOW_UP[channel] * rng.lognormvariate(0, 0.9)
    return 70 + _ANSWER[channel] * _HASTE.get(tier or "", 1.2) * drag * rng.lognormvariate(0, 0.8)


def _when_open(at: datetime, hours: tuple[int, int], rng: Random) -> datetime:
    opens, closes = hours
    if opens <= at.hour < closes:
        return at
    day = at.date() if at.hour < opens else at.date() + timedelta(days=1)
    return datetime.combine(day, time(opens), at.tzinfo) + timedelta(seconds=rng.uniform(120, 5400))


def _waiting_seconds(rng: Random) -> int:
    """How long one waits who waits now: most came in the last hour, a few are long overdue."""
    return int(min(60 + 2400 * rng.lognormvariate(0, 1.15), 26 * 3600))
