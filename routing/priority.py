"""Facts and policy in, promise and weight with their reasons out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from routing.conditions import Known
from routing.facts import sure_intents
from routing.policy import Handling, Policy, Rule, Weights
from routing.policy_problems import DEFAULT
from routing.types import Facts, Priority, Reason
from sentiment.types import Analysis, IntentLabel


def prioritise(facts: Facts, waiting_since: datetime, policy: Policy) -> Priority:
    """What is promised to a customer who has waited since then, and what keeping it is worth.

    Raises: routing.calendars.NeverOpen, where exceptions leave a calendar next to no open time for years.
    """
    threshold = policy.weights.confidence_threshold
    tier = policy.known_tier(facts.tier)
    known = Known(facts, tier, threshold)
    rule = next(rule for rule in policy.policies if rule.when is None or rule.when.holds(known))
    target = _target(rule, facts, tier)
    calendar = policy.calendar(rule.calendar)
    due_at = calendar.deadline(waiting_since, target)
    reasons = tuple(_reasons(facts, tier, policy.weights))
    return Priority(
        metric=facts.metric,
        policy=rule.name,
        target_seconds=int(target.total_seconds()),
        due_at=due_at,
        second_due_at=calendar.deadline(due_at, target),
        weight=math.prod(reason.factor for reason in reasons),
        reasons=reasons,
        work_seconds=_work_seconds(facts.analysis, policy.handling, threshold),
    )


def _target(rule: Rule, facts: Facts, tier: str | None) -> timedelta:
    targets = rule.first_reply_time if facts.metric == "first_reply_time" else rule.next_reply_time
    return targets.get(tier or DEFAULT, targets[DEFAULT])


def _work_seconds(analysis: Analysis | None, handling: Handling, threshold: float) -> int:
    known = (handling.by_intent.get(intent.label) for intent in sure_intents(analysis, threshold))
    expected = max((duration for duration in known if duration is not None), default=handling.default)
    return math.ceil(expected.total_seconds() * handling.factor)


def _reasons(facts: Facts, tier: str | None, weights: Weights) -> Iterator[Reason]:
    yield _tier_reason(facts.tier, tier, weights)
    if facts.spend_percentile is not None:
        for spend in sorted(weights.spend, key=lambda band: band.top):
            if facts.spend_percentile >= 100 - spend.top:
                yield Reason(spend.factor, f"top {spend.top:g} % by spend")
                break
    if facts.followers is not None:
        for followers in sorted(weights.followers, key=lambda band: -band.at_least):
            if facts.followers >= followers.at_least:
                yield Reason(followers.factor, f"{facts.followers:,} followers")
                break
    if facts.analysis is None:
        yield Reason(1.0, "not read by the model yet")
    else:
        yield from _sentiment_reason(facts.analysis, weights)
        yield from _intent_reason(facts.analysis, weights)


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
