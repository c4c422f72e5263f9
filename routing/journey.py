"""Where a customer stands with the brand: how they have felt about it lately, and how far they came."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from routing.types import JourneyStage

VALENCE_WINDOW = timedelta(days=180)
"""What was said longer ago does not count for the valence."""
HALF_LIFE = timedelta(days=30)
"""A message counts half as much as one that came so much later."""

NEW_FOR = timedelta(days=90)
LAPSED_AFTER = timedelta(days=365)
LOYAL_PURCHASES = 4
AT_RISK_AFTER = timedelta(days=180)
AT_RISK_VALENCE = -0.3


@dataclass(frozen=True, slots=True)
class Purchases:
    """What a customer bought: `recent` counts the purchases of the last 365 days, returns aside."""

    first_at: datetime
    last_at: datetime
    recent: int


def valence(moods: Iterable[tuple[datetime, float]], now: datetime) -> float | None:
    """How a customer has felt lately, from -1 (bad) to 1 (good), None where nothing was read.

    `moods`: when each of their messages was written, and its mood from -1 to 1. A mean in which a message
    loses half its weight in `HALF_LIFE`, with one neutral message more, so that a single one does not decide.
    """
    total = weight = 0.0
    for at, mood in moods:
        age = max(now - at, timedelta(0))
        if age <= VALENCE_WINDOW:
            counts = math.exp2(-age / HALF_LIFE)
            total += counts * mood
            weight += counts
    return total / (weight + 1) if weight else None


def journey_stage(
    bought: Purchases | None, *, is_member: bool, valence: float | None, now: datetime
) -> JourneyStage:
    """The first of these that fits.

    `prospect`: never bought. `lapsed`: the last purchase is more than a year ago. `at_risk`: one of the loyal
    who feels badly (`AT_RISK_VALENCE`) or has not bought for `AT_RISK_AFTER`. `new`: the first purchase is at
    most `NEW_FOR` ago. `loyal`: a member of the loyalty programme, or `LOYAL_PURCHASES` in a year, who is not
    new. `active`: all others.
    """
    if bought is None:
        return "prospect"
    if now - bought.last_at > LAPSED_AFTER:
        return "lapsed"
    is_new = now - bought.first_at <= NEW_FOR
    is_loyal = is_member or bought.recent >= LOYAL_PURCHASES
    feels_badly = valence is not None and valence <= AT_RISK_VALENCE
    if is_loyal and not is_new and (feels_badly or now - bought.last_at > AT_RISK_AFTER):
        return "at_risk"
    if is_new:
        return "new"
    return "loyal" if is_loyal else "active"
