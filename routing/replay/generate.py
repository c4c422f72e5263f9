"""Traces made up from a seed: a daily rhythm, a surge, tiers, intents that take different times."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from routing.handling import Handling
from routing.replay.jobs import EPOCH, Jobs
from sentiment.types import IntentLabel

_HOUR = 3600.0
_DAY_HOURS = 24
# The rhythm of a day: so much more than the mean at its peak, half past two, and less half a day later.
_SWING = 0.55
_PEAK_HOUR = 14.5
# Handling times are log-normal in call centres (Brown et al. 2005, "Statistical analysis of a telephone
# call center"); this is the standard deviation of their logarithm.
_SPREAD = 0.6


@dataclass(frozen=True, slots=True)
class Tier:
    """A loyalty tier: its name (None for customers of no tier), share, promise, and value to the brand."""

    name: str | None
    share: float
    target_seconds: float
    value: float


TIERS = (
    Tier("platinum", 0.05, 900, 8),
    Tier("gold", 0.15, 1800, 4),
    Tier("silver", 0.30, 3600, 2),
    Tier(None, 0.50, 7200, 1),
)

INTENTS: dict[IntentLabel, tuple[float, float]] = {
    "product_question": (0.28, 300),
    "delivery_status": (0.22, 240),
    "refund_return": (0.12, 480),
    "technical_problem": (0.10, 600),
    "billing_payment": (0.08, 480),
    "complaint": (0.08, 300),
    "praise_thanks": (0.08, 120),
    "spam_irrelevant": (0.04, 30),
}
"""Of each intent its share, and the mean seconds that an agent works on it."""


def handling(factor: float = 1.0, learn: bool = True) -> Handling:
    """What a policy might say of these traces: the true means, times a factor that makes them wrong."""
    told = {label: timedelta(seconds=mean * factor) for label, (_, mean) in INTENTS.items()}
    return Handling(default=timedelta(seconds=MEAN_SECONDS * factor), by_intent=told, learn=learn)


MEAN_SECONDS = sum(share * mean for share, mean in INTENTS.values())
"""The mean handling time of a generated trace."""


@dataclass(frozen=True, slots=True)
class Surge:
    """A crisis: for `hours` from hour `begins` of the trace on, `times` as many write as usual."""

    begins: float = 58.0
    hours: float = 3.0
    times: float = 1.75


@dataclass(frozen=True, slots=True)
class Trace:
    """Generated conversations, in columns, in the order of their arrival (seconds since `start`)."""

    start: datetime
    at: Sequence[float]
    handle: Sequence[float]
    tier: Sequence[int]
    intent: Sequence[IntentLabel]
    tiers: Sequence[Tier]

    def jobs(self, safety: float = 1.5, by_intent: bool = False) -> Jobs:
        """As promises of targets in calendar time, each worth its tier's value.

        Expected work is the mean handling time, or with `by_intent` that of its intent, times `safety`.
        """
        targets = [tier.target_seconds for tier in self.tiers]
        values = [tier.value for tier in self.tiers]
        mean = math.ceil(MEAN_SECONDS * safety)
        means = {label: math.ceil(seconds * safety) for label, (_, seconds) in INTENTS.items()}
        weight = [values[tier] for tier in self.tier]
        return Jobs(
            at=self.at,
            handle=self.handle,
            due=[at + targets[tier] for at, tier in zip(self.at, self.tier, strict=True)],
            second_due=[at + 2 * targets[tier] for at, tier in zip(self.at, self.tier, strict=True)],
            weight=weight,
            work=[means[label] for label in self.intent] if by_intent else [mean] * len(self.at),
            level=self.tier,
            value=weight,
            start=self.start,
            intents=[(label,) for label in self.intent],
        )

    def lines(self) -> Iterator[dict[str, Any]]:
        """As the lines of a trace file."""
        for at, handle, tier, label in zip(self.at, self.handle, self.tier, self.intent, strict=True):
            yield {
                "arrived_at": (self.start + timedelta(seconds=round(at, 3))).isoformat(),
                "channel": "social",
                "handle_seconds": round(handle, 3),
                "customer": {"tier": self.tiers[tier].name},
                "analysis": {"intents": [{"label": label, "confidence": 1.0}]},
            }


def generate(
    load: float,
    seed: int,
    agents: int = 10,
    days: float = 5.0,
    surge: Surge | None = Surge(),
    tiers: Sequence[Tier] = TIERS,
    start: datetime = EPOCH,
) -> Trace:
    """A trace whose expected work is `load` times what `agents` on duty all the time can do.

    The load is that of the whole trace, the surge included; at noon and in the surge it is higher.
    """
    dice = random.Random(seed)  # noqa: S311 - a simulation, no secret
    rates = _hourly(days, surge)
    per_second = load * agents / MEAN_SECONDS
    scale = per_second * days * _DAY_HOURS / sum(rates)
    # A Poisson process of rate 1 over the cumulated rate (Çinlar 1975, inversion).
    reached = [0.0, *accumulate(rate * scale * _HOUR for rate in rates)]
    at: list[float] = []
    passed = dice.expovariate(1.0)
    while passed < reached[-1]:
        hour = bisect_right(reached, passed) - 1
        at.append((hour + (passed - reached[hour]) / (reached[hour + 1] - reached[hour])) * _HOUR)
        passed += dice.expovariate(1.0)
    labels = list(INTENTS)
    intent = dice.choices(labels, [INTENTS[label][0] for label in labels], k=len(at))
    tier = dice.choices(range(len(tiers)), [tier.share for tier in tiers], k=len(at))
    middle = {label: math.log(mean) - _SPREAD**2 / 2 for label, (_, mean) in INTENTS.items()}
    handle = [dice.lognormvariate(middle[label], _SPREAD) for label in intent]
    return Trace(start, at, handle, tier, intent, tiers)


def _hourly(days: float, surge: Surge | None) -> list[float]:
    rates = []
    for hour in range(math.ceil(days * _DAY_HOURS)):
        time_of_day = 2 * math.pi * (hour + 0.5 - _PEAK_HOUR) / _DAY_HOURS
        rate = (1 + _SWING * math.cos(time_of_day)) * min(1.0, days * _DAY_HOURS - hour)
        if surge is not None:
            within = min(hour + 1, surge.begins + surge.hours) - max(hour, surge.begins)
            rate *= 1 + (surge.times - 1) * max(0.0, within)
        rates.append(rate)
    return rates
