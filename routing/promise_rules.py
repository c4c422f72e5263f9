"""The part of a policy that says what is promised to whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema

from routing.conditions import Condition, suggest
from routing.policy_fields import DURATION_SCHEMA, STRICT, Name, parse_duration
from routing.types import METRICS, URGENCIES, Metric, Urgency

# Names that a policy may use without defining them.
ALWAYS = "always"
DEFAULT = "default"

Hours = Literal["business", "calendar"]
"""Zendesk's names: only while the policy's calendar is open, or round the clock."""
_HOURS: tuple[Hours, ...] = get_args(Hours)


def _parse_hours(value: object) -> dict[Metric, Hours]:
    given = value if isinstance(value, dict) else dict.fromkeys(METRICS, value)
    parsed: dict[Metric, Hours] = {}
    for metric, hours in given.items():
        if metric not in METRICS:
            raise ValueError(f"no such metric: {metric!r}{suggest(metric, METRICS)}")
        if hours not in _HOURS:
            raise ValueError(f"{hours!r} is not known{suggest(str(hours), _HOURS)}")
        parsed[metric] = hours
    return parsed


def _parse_target(value: object) -> timedelta | dict[Urgency, timedelta]:
    if not isinstance(value, dict):
        return parse_duration(value)
    parsed: dict[Urgency, timedelta] = {}
    for urgency, duration in value.items():
        if urgency not in URGENCIES:
            raise ValueError(f"no such priority: {urgency!r}; known are {', '.join(URGENCIES)}")
        parsed[urgency] = parse_duration(duration)
    if "normal" not in parsed:
        raise ValueError("has no normal, for conversations whose priority is not named")
    return parsed


HoursByMetric = Annotated[
    dict[Metric, Hours],
    PlainValidator(_parse_hours),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_HOURS)},
                {
                    "type": "object",
                    "properties": {key: {"enum": list(_HOURS)} for key in METRICS},
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
Target = Annotated[
    timedelta | dict[Urgency, timedelta],
    PlainValidator(_parse_target),
    WithJsonSchema(
        {
            "anyOf": [
                DURATION_SCHEMA,
                {
                    "type": "object",
                    "properties": dict.fromkeys(URGENCIES, DURATION_SCHEMA),
                    "required": ["normal"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class Rule(BaseModel):
    """One policy: for whom it is, which calendar counts, and what is promised.

    Each target is by tier, with a default for everybody else, and may differ by the conversation's priority.
    """

    model_config = STRICT

    name: Name
    when: Condition | None = None
    """An expression in CEL over the facts; for everybody where it is not given."""
    calendar: str = ALWAYS
    """A name under calendars, or always."""
    hours: HoursByMetric = {}
    """Whether targets count while the calendar is open (business) or round the clock (calendar), for all
    metrics or for each; business where it is not given."""
    first_reply_time: Annotated[dict[str, Target], Field(min_length=1)]
    """From the first message to the first answer of a person."""
    next_reply_time: Annotated[dict[str, Target], Field(min_length=1)]
    """From the oldest unanswered message after that to the answer of a person."""
    periodic_update_time: dict[str, Target] = {}
    """From one answer to the next while it is not solved; nothing is promised to whom it does not name."""
    resolution_time: dict[str, Target] = {}
    """From the first message until it is solved; nothing is promised to whom it does not name."""

    @property
    def matches_all(self) -> bool:
        """Whether there is no condition."""
        return self.when is None

    def targets(self, metric: Metric) -> dict[str, timedelta | dict[Urgency, timedelta]]:
        """By tier, as it is written."""
        found: dict[str, timedelta | dict[Urgency, timedelta]] = getattr(self, metric)
        return found

    def target(self, metric: Metric, tier: str | None, urgency: Urgency) -> timedelta | None:
        """What is promised to somebody of this tier, None where nothing is."""
        targets = self.targets(metric)
        target = targets.get(tier or DEFAULT, targets.get(DEFAULT))
        return target.get(urgency, target["normal"]) if isinstance(target, dict) else target

    def calendar_name(self, metric: Metric) -> str:
        """The calendar that a metric counts in."""
        return self.calendar if self.hours.get(metric, "business") == "business" else ALWAYS


REQUIRED: tuple[Metric, ...] = METRICS[:2]
"""What every policy promises to everybody: an answer."""
