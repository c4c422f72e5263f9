"""When to warn of a promise, and whom: the `warnings:` of a policy.

A step is reached when the promise's clock has run so long: a share of its target, or some time before or
after it is due. So it counts in the promise's calendar, and waits while the clock stands still.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from routing.calendars import Calendar, NeverOpen
from routing.located_yaml import Path
from routing.policy_fields import STRICT, parse_duration, write_duration
from routing.policy_problems import no_such
from routing.promise_rules import ALWAYS
from routing.promises import Pause, due_at
from routing.types import METRICS, Metric

if TYPE_CHECKING:
    from routing.policy import Policy

Recipient = Literal["assignee", "team", "manager"]
_SHARE = re.compile(r"(\d{1,3})\s?%")
_AWAY = re.compile(r"(.+?)\s+(before|after)")
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


def _check_at(value: str) -> str:
    _reach(value, timedelta(days=366))
    return value


def _reach(at: str, target: timedelta) -> timedelta:
    """How long the clock has run by then. Raises: ValueError for what is no such moment."""
    if share := _SHARE.fullmatch(at.strip()):
        return target * int(share[1]) / 100
    if away := _AWAY.fullmatch(at.strip()):
        duration = parse_duration(away[1])
        return target - duration if away[2] == "before" else target + duration
    raise ValueError(f"{at!r} is no moment of a promise: write 80%, 15m before or 1h after")


class WarningStep(BaseModel):
    """One warning: when, and who is told."""

    model_config = STRICT

    at: Annotated[str, Field(max_length=40), AfterValidator(_check_at)]
    """A share of the promised time (80%), or a time before or after it is due (15m before, 1h after)."""
    to: Annotated[tuple[Recipient, ...], Field(min_length=1)]
    """Who is told; where none of them is there, the managers are."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] = METRICS
    """Of which promises."""
    hours: str | None = None
    """A calendar outside which nobody is disturbed: what comes then is told when it opens."""

    def moment(
        self,
        started_at: datetime,
        target: timedelta,
        calendar: Calendar,
        stood: Sequence[Pause],
        hours: Calendar | None,
    ) -> datetime | None:
        """When to warn of this promise; None where that would be before it began, or never comes."""
        reach = _reach(self.at, target)
        if reach <= timedelta(0):
            return None
        try:
            at = due_at(started_at, reach, calendar, stood)
            return at if hours is None or hours.is_open(at) else hours.deadline(at, _INSTANT) - _INSTANT
        except NeverOpen:
            return None


def coming(
    steps: Sequence[WarningStep],
    metric: Metric,
    warned: Collection[str],
    started_at: datetime,
    target: timedelta,
    calendar: Calendar,
    stood: Sequence[Pause],
    hours_of: Callable[[str], Calendar],
) -> list[tuple[datetime, WarningStep]]:
    """The warnings of a promise that were not given yet, the earliest first; none while its clock stands.

    Those that wait for the same hours stand as they would have come.
    """
    if stood and stood[-1].end is None:
        return []
    found = []
    for step in steps:
        if metric in step.metrics and step.at not in warned:
            hours = hours_of(step.hours) if step.hours else None
            at = step.moment(started_at, target, calendar, stood, hours)
            if at is not None:
                found.append((at, step))
    return sorted(found, key=lambda each: (each[0], _reach(each[1].at, target)))


def contradictions(policy: Policy) -> Iterator[tuple[Path, str]]:
    """What does not fit the rest of the policy, or would never be told."""
    calendars = (*policy.calendars, ALWAYS)
    seen: dict[tuple[bool, timedelta, Metric], int] = {}
    for index, step in enumerate(policy.warnings):
        path: Path = ("warnings", index)
        if step.hours is not None and step.hours not in calendars:
            yield (*path, "hours"), no_such("calendar", step.hours, calendars)
        longest = max(_longest(policy, metric) for metric in step.metrics)
        if not longest:
            yield (*path, "metrics"), f"nobody is promised any {' or '.join(step.metrics)}"
        elif _reach(step.at, longest) <= timedelta(0):
            most = write_duration(longest)
            yield (*path, "at"), f"{step.at} is before any promise begins: the longest is {most}"
        for metric in step.metrics:
            # 60m is 1h, and a share is no time.
            is_share = step.at.strip().endswith("%")
            before = seen.setdefault((is_share, _reach(step.at, _DAY), metric), index)
            if before != index:
                yield (*path, "at"), f"{step.at} is already in warnings[{before}], for {metric}"
                break


def _longest(policy: Policy, metric: Metric) -> timedelta:
    """What is promised to whoever waits longest, nothing where nobody is promised any."""
    targets = [target for rule in policy.policies for target in rule.targets(metric).values()]
    times = [max(each.values()) if isinstance(each, dict) else each for each in targets]
    return max(times, default=timedelta(0))
