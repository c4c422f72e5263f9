"""What is promised to whom: by tier, by priority, in which hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from routing.policy import read_policy
from routing.priority import prioritise
from routing.targets import promised
from routing.types import METRICS, Facts, Metric, Urgency

POLICY = read_policy("""
time_zone: Europe/Berlin
currency: EUR
tiers: [gold, silver]
calendars:
  office: {hours: {monday: [09:00-17:00], tuesday: [09:00-17:00]}}
policies:
  - name: Contracts
    when: channel.name == "contracts" && conversation.priority != "low"
    calendar: office
    hours: {resolution_time: calendar}
    first_reply_time: {gold: {urgent: 15m, high: 30m, normal: 1h}, default: 2h}
    next_reply_time: {default: 3h}
    periodic_update_time: {gold: 4h}
    resolution_time: {gold: 1d, default: {urgent: 2d, normal: 4d}}
  - name: Rest
    calendar: office
    hours: calendar
    first_reply_time: {default: 5h}
    next_reply_time: {default: 6h}
handling: {default: 5m}
""")
CONTRACTS = POLICY.calendar("office")
ALWAYS = POLICY.calendar("always")


def facts(channel: str = "contracts", tier: str | None = None, urgency: Urgency = "normal") -> Facts:
    return Facts(channel, "mail", "first_reply_time", tier=tier, urgency=urgency)


@pytest.mark.parametrize(
    ("given", "hours"),
    [
        (facts(tier="Gold"), (1, 3, 4, 24)),
        (facts(tier="gold", urgency="urgent"), (0.25, 3, 4, 24)),
        (facts(tier="gold", urgency="high"), (0.5, 3, 4, 24)),
        (facts(tier="silver", urgency="urgent"), (2, 3, None, 48)),
        (facts(tier="silver"), (2, 3, None, 96)),
        (facts(), (2, 3, None, 96)),
        (facts(tier="copper"), (2, 3, None, 96)),
        (facts(tier="gold", urgency="low"), (5, 6, None, None)),
        (facts("shop"), (5, 6, None, None)),
    ],
)
def test_targets(given: Facts, hours: tuple[float | None, ...]) -> None:
    found = [promised(given, POLICY).target(metric) for metric in METRICS]
    assert [each and each.time for each in found] == [
        None if each is None else timedelta(hours=each) for each in hours
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_the_calendar_of_each_metric(metric: Metric) -> None:
    in_office = promised(facts(tier="gold"), POLICY).targets[metric].calendar
    expected = ALWAYS if metric == "resolution_time" else CONTRACTS
    assert in_office is expected
    assert POLICY.calendar_of("Contracts", metric) is expected
    assert POLICY.calendar_of("Rest", metric) is ALWAYS
    assert POLICY.calendar_of("no longer there", metric) is ALWAYS


def test_hours_decide_when_an_answer_is_due() -> None:
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert prioritise(facts(), saturday, POLICY).due_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert prioritise(facts("shop"), saturday, POLICY).due_at == saturday + timedelta(hours=5)


def test_a_policy_knows_what_its_conditions_ask() -> None:
    assert POLICY.asks("conversation.priority")
    assert not POLICY.asks("customer.valence")
