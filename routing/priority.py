"""Facts and policy in, promise and weight with their reasons out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from routing.facts import sure_intents
from routing.handling import HandlingTimes
from routing.policy import Policy
from routing.promise_rules import DEFAULT
from routing.targets import Promised, promised
from routing.types import Facts, JourneyStage, Priority, Reason
from routing.weight_rules import CountBand, LifetimeBand, Weights
from sentiment.types import Analysis, IntentLabel

_Band = TypeVar("_Band", CountBand, LifetimeBand)


def prioritise(
    facts: Facts,
    waiting_since: datetime,
    policy: Policy,
    terms: Promised | None = None,
    times: HandlingTimes | None = None,
) -> Priority:
    """What is promised to a customer who has waited since then, and what keeping it is worth.

    `terms` are what the policy promises by these facts, where the caller has asked that already; `times` is
    how long agents are expected to work, where more is known of it than the policy says.
    Raises: routing.calendars.NeverOpen, where exceptions leave a calendar next to no open time for years.
    """
    owed = terms or promised(facts, policy)
    target = owed.targets[facts.metric]
    due_at = target.calendar.deadline(waiting_since, target.time)
    reasons = tuple(_reasons(facts, policy.known_tier(facts.tier), policy))
    work = (times or HandlingTimes(policy.handling)).of(wished(facts, policy))
    return Priority(
        metric=facts.metric,
        policy=owed.policy,
        target_seconds=int(target.time.total_seconds()),
        due_at=due_at,
        second_due_at=target.calendar.deadline(due_at, target.time),
        weight=math.prod(reason.factor for reason in reasons),
        reasons=reasons,
        work_seconds=work.whole_seconds,
        work_intent=work.intent,
    )


def wished(facts: Facts, policy: Policy) -> tuple[IntentLabel, ...]:
    """The intents that the policy is sure enough of."""
    return tuple([i.label for i in sure_intents(facts.analysis, policy.weights.confidence_threshold)])


def _reasons(facts: Facts, tier: str | None, policy: Policy) -> Iterator[Reason]:
    weights = policy.weights
    yield _tier_reason(facts.tier, tier, weights)
    if facts.urgency in weights.priority:
        yield Reason(weights.priority[facts.urgency], f"{facts.urgency} priority")
    yield from _worth_reasons(facts, policy)
    if (followers := _highest(weights.followers, facts.followers)) is not None:
        yield Reason(followers.factor, f"{facts.followers:,} followers")
    if (contacts := _highest(weights.contacts, facts.contacts)) is not None:
        yield Reason(contacts.factor, f"{facts.contacts} other contacts in 30 days")
    if facts.valence is not None:
        for band in sorted(weights.valence, key=lambda band: band.at_most):
            if facts.valence <= band.at_most:
                yield Reason(band.factor, f"relation at {facts.valence:+.2f}")
                break
    if facts.journey_stage in weights.journey_stage:
        yield Reason(weights.journey_stage[facts.journey_stage], _STAGES[facts.journey_stage])
    if facts.analysis is None:
        yield Reason(1.0, "not read by the model yet")
    else:
        yield from _sentiment_reason(facts.analysis, weights)
        yield from _intent_reason(facts.analysis, weights)


def _worth_reasons(facts: Facts, policy: Policy) -> Iterator[Reason]:
    if facts.spend_percentile is not None:
        for band in sorted(policy.weights.spend, key=lambda band: band.top):
            if facts.spend_percentile >= 100 - band.top:
                yield Reason(band.factor, f"top {band.top:g} % by spend")
                break
    if (value := _highest(policy.weights.lifetime_value, facts.lifetime_value)) is not None:
        yield Reason(value.factor, f"bought for {facts.lifetime_value:,.0f} {policy.currency} in all")


_STAGES: Mapping[JourneyStage, str] = {
    "prospect": "never bought yet",
    "new": "a new customer",
    "active": "an active customer",
    "loyal": "a loyal customer",
    "at_risk": "a loyal customer at risk",
    "lapsed": "bought last over a year ago",
}


def _highest(bands: Sequence[_Band], value: float | None) -> _Band | None:
    """The highest band that a value reaches."""
    reached = [band for band in bands if value is not None and value >= band.at_least]
    return max(reached, key=lambda band: band.at_least, default=None)


def _tier_reason(given: str | None, tier: str | None, weights: Weights) -> Reason:
    if tier is not None:
        return Reason(weights.tier.get(tier, 1.0), tier[0].upper() + tier[1:])
    text = f"tier {given[:40]!r} is not in the policy" if given else "no tier"
    return Reason(weights.tier.get(DEFAULT, 1.0), text)


def _sentiment_reason(analysis: Analysis, weights: Weights) -> Iterator[Reason]:
    sentiment = analysis.sentiment
    label = sentiment.label
    if label is None and sentiment.scores and sentiment.confidence:
        label, _ = max(sentiment.scores.items(), key=lambda item: item[1])
    if label is None:
        yield Reason(1.0, f"sentiment left out: {_why_silent(analysis, 'sentiment')}")
    elif label in weights.sentiment:
        sure = sentiment.confidence
        if sentiment.label is None or not sure >= weights.confidence_threshold:
            yield Reason(1.0, f"sentiment left out: {label} only {sure:.2f} sure")
        else:
            yield _scaled(weights.sentiment[label], label, sure)


def _intent_reason(analysis: Analysis, weights: Weights) -> Iterator[Reason]:
    """Of the intents that the policy has a factor for, the sure one with the highest counts."""
    weighty = [intent for intent in analysis.intents if intent.label in weights.intent]
    sure = [intent for intent in weighty if intent.confidence >= weights.confidence_threshold]
    if sure:
        yield max(
            (_scaled(weights.intent[i.label], _in_words(i.label), i.confidence) for i in sure),
            key=lambda reason: reason.factor,
        )
    elif weighty:
        best = weighty[0]
        yield Reason(1.0, f"intent left out: {_in_words(best.label)} only {best.confidence:.2f} sure")
    elif not analysis.intents:
        yield Reason(1.0, f"intent left out: {_why_silent(analysis, 'intents')}")


def _why_silent(analysis: Analysis, head: str) -> str:
    """What the model says of why a head is silent; it begins with the head's name."""
    said = (why.removeprefix(f"{head}: ") for why in analysis.abstained if why.startswith(f"{head}: "))
    return next(said, "the model cannot tell")[:80]


def _scaled(full: float, text: str, confidence: float) -> Reason:
    """A factor counts as far as the model is sure; two decimals, so that a manager can multiply it again."""
    return Reason(round(1 + (full - 1) * min(confidence, 1.0), 2), f"{text} ({confidence:.2f} sure)")


def _in_words(label: IntentLabel) -> str:
    return label.replace("_", " ")
