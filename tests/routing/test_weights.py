"""What the relation with a customer adds to the worth of a conversation."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from routing.policy import read_policy
from routing.priority import prioritise
from routing.types import Facts, Reason

POLICY = read_policy("""
time_zone: UTC
currency: EUR
tiers: [gold]
policies:
  - name: Everybody
    first_reply_time: {default: 1h}
    next_reply_time: {default: 1h}
handling: {default: 5m}
weights:
  priority: {urgent: 2, low: 0.5}
  lifetime_value: [{at_least: 1000, factor: 1.2}, {at_least: 100, factor: 1.1}]
  contacts: [{at_least: 2, factor: 1.2}, {at_least: 5, factor: 1.5}]
  valence: [{at_most: -0.2, factor: 1.1}, {at_most: -0.6, factor: 1.4}]
  journey_stage: {prospect: 1.3, new: 1.2, at_risk: 1.6}
""")
FACTS = Facts("shop-mail", "mail", "first_reply_time", tier="gold")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FACTS, urgency="urgent"), Reason(2, "urgent priority")),
        (replace(FACTS, urgency="low"), Reason(0.5, "low priority")),
        (replace(FACTS, urgency="high"), None),
        (replace(FACTS, lifetime_value=99.99), None),
        (replace(FACTS, lifetime_value=100.0), Reason(1.1, "bought for 100 EUR in all")),
        (replace(FACTS, lifetime_value=12345.6), Reason(1.2, "bought for 12,346 EUR in all")),
        (replace(FACTS, contacts=1), None),
        (replace(FACTS, contacts=4), Reason(1.2, "4 other contacts in 30 days")),
        (replace(FACTS, contacts=5), Reason(1.5, "5 other contacts in 30 days")),
        (replace(FACTS, valence=-0.19), None),
        (replace(FACTS, valence=-0.2), Reason(1.1, "relation at -0.20")),
        (replace(FACTS, valence=-0.7), Reason(1.4, "relation at -0.70")),
        (replace(FACTS, journey_stage="prospect"), Reason(1.3, "never bought yet")),
        (replace(FACTS, journey_stage="new"), Reason(1.2, "a new customer")),
        (replace(FACTS, journey_stage="at_risk"), Reason(1.6, "a loyal customer at risk")),
        (replace(FACTS, journey_stage="active"), None),
    ],
)
def test_each_weight_has_its_reason(facts: Facts, reason: Reason | None) -> None:
    priority = prioritise(facts, NOW, POLICY)
    between = priority.reasons[1:-1]
    assert between == (() if reason is None else (reason,))
    assert priority.weight == pytest.approx(reason.factor if reason else 1)


def test_the_weight_is_the_product() -> None:
    facts = replace(FACTS, urgency="urgent", contacts=3, valence=-0.9, journey_stage="at_risk")
    priority = prioritise(facts, NOW, POLICY)
    assert priority.weight == pytest.approx(2 * 1.2 * 1.4 * 1.6)
    assert priority.weight == math.prod(reason.factor for reason in priority.reasons)
