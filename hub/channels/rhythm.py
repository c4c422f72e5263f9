"""How long a channel is usually silent at this hour of the week, and whether it is silent for longer now.

For every hour of the past eight weeks we know how long the channel had been silent at most within it: from
the message before to the next one, or to the end of the hour. The limit for an hour of the week is

    max(15 minutes, 2 · Q80)

where Q80 is the 80th percentile (nearest rank) of those silences in that hour of the week and the hours
before and after it, over all weeks. So nights and weekends have limits of their own, a week of holidays or
of an outage among eight moves nothing, an hour that daylight saving shifts is covered, and whoever is busy
is missed within a quarter of an hour. Without two weeks and `LEAST_MESSAGES` messages nothing is said.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

HOURS = 168
WEEKS = timedelta(weeks=8)
LEAST_SPAN = timedelta(weeks=2)
LEAST_MESSAGES = 20
LEAST_SECONDS = 900.0
QUANTILE = 0.8
FACTOR = 2.0

Limits = Sequence[float | None]
"""For each hour of the week (`hour_of_week`) the longest usual silence in seconds; None: nobody can say."""


def hour_of_week(at: datetime) -> int:
    """0..167, counted in UTC from the first hour of a Thursday, as the Unix epoch began."""
    return int(at.timestamp() // 3600) % HOURS


def usual_silences(moments: Iterable[datetime]) -> tuple[float | None, ...]:
    """The limits by when messages came; `moments` ascend. All None where that is too little to go by."""
    times = [at.timestamp() for at in moments]
    if len(times) < LEAST_MESSAGES or times[-1] - times[0] < LEAST_SPAN.total_seconds():
        return (None,) * HOURS
    samples = defaultdict[int, list[float]](list)
    for hour, silence in _longest(times).items():
        samples[hour % HOURS].append(silence)
    return tuple(_limit(samples, hour) for hour in range(HOURS))


def is_silent(limits: Limits, last: datetime, now: datetime) -> bool:
    """Whether the silence since `last` is longer than usual at this hour."""
    limit = limits[hour_of_week(now)]
    return limit is not None and (now - last).total_seconds() > limit


def _longest(times: Sequence[float]) -> dict[int, float]:
    """For each hour since the epoch between the first message and the last: the longest silence within it."""
    longest: dict[int, float] = {}
    for before, after in pairwise(times):
        for hour in range(int(before // 3600), int(after // 3600) + 1):
            silence = min(after, (hour + 1) * 3600.0) - before
            longest[hour] = max(longest.get(hour, 0.0), silence)
    return longest


def _limit(samples: Mapping[int, Sequence[float]], hour: int) -> float | None:
    around = sorted(
        silence for near in (hour - 1, hour, hour + 1) for silence in samples.get(near % HOURS, ())
    )
    if not around:
        return None
    usual = around[math.ceil(QUANTILE * len(around)) - 1]
    return max(LEAST_SECONDS, FACTOR * usual)
