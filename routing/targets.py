"""What is promised to a customer: the target of each metric and the calendar that it counts in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from routing.calendars import Calendar
from routing.conditions import Known
from routing.policy import Policy
from routing.types import METRICS, Facts, Metric


@dataclass(frozen=True, slots=True)
class Target:
    """How much time of `calendar` may pass."""

    time: timedelta
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Promised:
    """What the policy of that name promises; a metric that is not there is not promised."""

    policy: str
    targets: Mapping[Metric, Target]

    def target(self, metric: Metric) -> Target | None:
        """The target of a metric, None where nothing is promised; never None for a first or next reply."""
        return self.targets.get(metric)


def known_of(facts: Facts, policy: Policy) -> Known:
    """The facts as this policy's conditions see them: its tiers, and what the model is sure enough of."""
    tier, threshold = policy.known_tier(facts.tier), policy.weights.confidence_threshold
    return Known(facts, tier, threshold, policy.asked)


def promised(facts: Facts, policy: Policy, known: Known | None = None) -> Promised:
    """What is promised by the first policy that matches. `facts.metric` does not matter.

    `known` is `known_of` these facts, where the caller asks more of them.
    """
    known = known or known_of(facts, policy)
    rule = next(rule for rule in policy.policies if rule.when is None or rule.when.holds(known))
    tier = policy.known_tier(facts.tier)
    return Promised(
        rule.name,
        {
            metric: Target(time, policy.calendar(rule.calendar_name(metric)))
            for metric in METRICS
            if (time := rule.target(metric, tier, facts.urgency)) is not None
        },
    )
