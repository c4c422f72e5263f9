"""Promise and weight: which policy matches, what is promised, and the reasons a manager reads."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.policy import DEFAULT_POLICY, Policy, read_policy
from routing.priority import prioritise
from routing.types import Facts, Reason
from sentiment.types import INTENTS, SENTIMENTS, Analysis, Intent, IntentLabel, Sentiment, SentimentLabel

POLICY = read_policy("""
time_zone: Europe/Berlin
currency: EUR
tiers: [platinum, gold]
calendars:
  office:
    hours: {monday: [09:00-17:00], tuesday: [09:00-17:00]}
policies:
  - name: Furious
    when: |
      channel.kind == "social" && sentiment == "negative"
      && intents.exists(i, i in ["escalation", "cancel_churn"])
    first_reply_time: {default: 5m}
    next_reply_time: {default: 5m}
  - name: Norway
    when: language == "no"
    first_reply_time: {default: 50m}
    next_reply_time: {default: 50m}
  - name: Big spender
    when: customer.spend_percentile >= 99 && channel.name == "shop-mail"
    first_reply_time: {default: 10m}
    next_reply_time: {default: 10m}
  - name: Star
    when: customer.followers >= 100000
    first_reply_time: {default: 11m}
    next_reply_time: {default: 11m}
  - name: Gold mail
    when: customer.tier == "gold" && channel.kind in ["mail", "ticket"]
    first_reply_time: {default: 12m}
    next_reply_time: {default: 12m}
  - name: Rest
    calendar: office
    first_reply_time: {platinum: 15m, default: 2h}
    next_reply_time: {platinum: 30m, default: 4h}
weights:
  tier: {platinum: 8, gold: 4, default: 1.1}
  spend: [{top: 20, factor: 1.2}, {top: 5, factor: 1.5}]
  followers: [{at_least: 1000, factor: 1.1}, {at_least: 50000, factor: 2}]
  sentiment: {negative: 1.4, positive: 0.8}
  intent: {escalation: 1.5, complaint: 1.3, spam_irrelevant: 0.1}
  confidence_threshold: 0.6
handling:
  default: 4m
  by_intent: {complaint: 10m, praise_thanks: 1m}
  factor: 1.5
""")
MONDAY_NOON = datetime(2026, 11, 16, 11, tzinfo=UTC)  # 12:00 in Berlin


def analysis(
    sentiment: SentimentLabel | None = "neutral",
    sure: float = 0.9,
    intents: dict[IntentLabel, float] | None = None,
    language: str = "en",
) -> Analysis:
    shown: SentimentLabel = sentiment or "negative"
    scores = {label: sure if label == shown else (1 - sure) / 2 for label in SENTIMENTS}
    found = tuple(Intent(label, confidence) for label, confidence in (intents or {"other": 0.9}).items())
    return Analysis("model-1", language, 0.95, Sentiment(sentiment, sure, scores), found)


FACTS = Facts(
    channel="shop-mail", channel_kind="mail", metric="first_reply_time", tier=None, analysis=analysis()
)
FURIOUS = replace(FACTS, channel_kind="social", analysis=analysis("negative", 0.9, {"escalation": 0.8}))


@pytest.mark.parametrize(
    ("facts", "policy"),
    [
        pytest.param(FACTS, "Rest", id="nothing special"),
        pytest.param(FURIOUS, "Furious", id="all conditions hold"),
        pytest.param(replace(FURIOUS, channel_kind="mail"), "Rest", id="one does not"),
        pytest.param(
            replace(FURIOUS, analysis=analysis("negative", 0.5, {"escalation": 0.8})), "Rest", id="unsure"
        ),
        pytest.param(
            replace(FURIOUS, analysis=analysis("negative", 0.9, {"other": 0.9, "cancel_churn": 0.7})),
            "Furious",
            id="the second intent",
        ),
        pytest.param(
            replace(FURIOUS, analysis=analysis("negative", 0.9, {"escalation": 0.5})),
            "Rest",
            id="an unsure intent",
        ),
        pytest.param(replace(FURIOUS, analysis=None), "Rest", id="not analysed"),
        pytest.param(replace(FACTS, analysis=analysis(language="no")), "Norway", id="language"),
        pytest.param(replace(FACTS, spend_percentile=99.0), "Big spender", id="spend"),
        pytest.param(replace(FACTS, spend_percentile=98.9), "Rest", id="too little spend"),
        pytest.param(replace(FACTS, spend_percentile=99.0, channel="other"), "Rest", id="another channel"),
        pytest.param(replace(FACTS, followers=100_000), "Star", id="followers"),
        pytest.param(replace(FACTS, tier="gold"), "Gold mail", id="tier"),
        pytest.param(replace(FACTS, tier="GOLD", channel_kind="ticket"), "Gold mail", id="in capitals"),
        pytest.param(replace(FACTS, tier="gold", channel_kind="social"), "Rest", id="tier elsewhere"),
    ],
)
def test_the_first_policy_that_matches_decides(facts: Facts, policy: str) -> None:
    assert prioritise(facts, MONDAY_NOON, POLICY).policy == policy


@pytest.mark.parametrize(
    ("facts", "target", "due", "second_due"),
    [
        (replace(FACTS, tier="platinum"), 900, timedelta(minutes=15), timedelta(minutes=30)),
        (FACTS, 7200, timedelta(hours=2), timedelta(hours=4)),
        (
            replace(FACTS, metric="next_reply_time", tier="platinum"),
            1800,
            timedelta(minutes=30),
            timedelta(hours=1),
        ),
        # Of the second four hours one is left today, until 17:00.
        (replace(FACTS, metric="next_reply_time"), 14400, timedelta(hours=4), timedelta(hours=24)),
        # Around the clock.
        (FURIOUS, 300, timedelta(minutes=5), timedelta(minutes=10)),
    ],
)
def test_promises_count_in_the_policys_calendar(
    facts: Facts, target: int, due: timedelta, second_due: timedelta
) -> None:
    priority = prioritise(facts, MONDAY_NOON, POLICY)
    assert priority.metric == facts.metric
    assert priority.target_seconds == target
    assert priority.due_at == MONDAY_NOON + due
    assert priority.second_due_at == MONDAY_NOON + second_due


NO_TIER = Reason(1.1, "no tier")


@pytest.mark.parametrize(
    ("facts", "reasons"),
    [
        pytest.param(FACTS, [NO_TIER], id="nothing that the policy has a factor for"),
        pytest.param(replace(FACTS, tier="platinum"), [Reason(8.0, "Platinum")], id="tier"),
        pytest.param(replace(FACTS, tier="Gold"), [Reason(4.0, "Gold")], id="tier in another spelling"),
        pytest.param(
            replace(FACTS, tier="diamond"),
            [Reason(1.1, "tier 'diamond' is not in the policy")],
            id="unknown tier",
        ),
        pytest.param(
            replace(FACTS, spend_percentile=95.0),
            [NO_TIER, Reason(1.5, "top 5 % by spend")],
            id="narrowest band",
        ),
        pytest.param(
            replace(FACTS, spend_percentile=94.9),
            [NO_TIER, Reason(1.2, "top 20 % by spend")],
            id="wider band",
        ),
        pytest.param(replace(FACTS, spend_percentile=10.0), [NO_TIER], id="no band"),
        pytest.param(
            replace(FACTS, followers=60_000), [NO_TIER, Reason(2.0, "60,000 followers")], id="followers"
        ),
        pytest.param(replace(FACTS, followers=10), [NO_TIER], id="few followers"),
        pytest.param(
            replace(FACTS, analysis=analysis("negative", 0.93)),
            [NO_TIER, Reason(1.37, "negative (0.93 sure)")],
            id="as far as it is sure",
        ),
        pytest.param(
            replace(FACTS, analysis=analysis("positive", 1.0)),
            [NO_TIER, Reason(0.8, "positive (1.00 sure)")],
            id="quite sure",
        ),
        pytest.param(
            replace(FACTS, analysis=analysis("negative", 0.48)),
            [NO_TIER, Reason(1.0, "sentiment left out: negative only 0.48 sure")],
            id="below the threshold",
        ),
        pytest.param(
            replace(FACTS, analysis=analysis(None, 0.55)),
            [NO_TIER, Reason(1.0, "sentiment left out: negative only 0.55 sure")],
            id="abstained",
        ),
        pytest.param(
            replace(
                FACTS,
                analysis=replace(
                    analysis(None, 0.0),
                    intents=(),
                    abstained=("language: too short", "sentiment: not in German", "intents: not in German"),
                ),
            ),
            [
                NO_TIER,
                Reason(1.0, "sentiment left out: not in German"),
                Reason(1.0, "intent left out: not in German"),
            ],
            id="the model says why it is silent",
        ),
        pytest.param(
            replace(FACTS, analysis=replace(analysis(), sentiment=Sentiment(None, 0.0, {}), intents=())),
            [
                NO_TIER,
                Reason(1.0, "sentiment left out: the model cannot tell"),
                Reason(1.0, "intent left out: the model cannot tell"),
            ],
            id="nothing to go by",
        ),
        pytest.param(
            replace(FACTS, analysis=analysis(intents={"complaint": 0.9, "escalation": 0.8, "other": 0.7})),
            [NO_TIER, Reason(1.4, "escalation (0.80 sure)")],
            id="the weightiest intent",
        ),
        pytest.param(
            replace(FACTS, analysis=analysis(intents={"spam_irrelevant": 1.0})),
            [NO_TIER, Reason(0.1, "spam irrelevant (1.00 sure)")],
            id="less than nothing special",
        ),
        pytest.param(
            replace(FACTS, analysis=analysis(intents={"complaint": 0.5})),
            [NO_TIER, Reason(1.0, "intent left out: complaint only 0.50 sure")],
            id="unsure intent",
        ),
        pytest.param(
            replace(FACTS, analysis=None), [NO_TIER, Reason(1.0, "not read by the model yet")], id="unread"
        ),
        pytest.param(
            Facts("x", "social", "first_reply_time", "platinum", 97.0, 2000, analysis("negative", 0.93)),
            [
                Reason(8.0, "Platinum"),
                Reason(1.5, "top 5 % by spend"),
                Reason(1.1, "2,000 followers"),
                Reason(1.37, "negative (0.93 sure)"),
            ],
            id="all together",
        ),
    ],
)
def test_the_weight_is_the_product_of_its_reasons(facts: Facts, reasons: list[Reason]) -> None:
    priority = prioritise(facts, MONDAY_NOON, POLICY)
    assert list(priority.reasons) == reasons
    assert priority.weight == pytest.approx(math.prod(reason.factor for reason in reasons))


@pytest.mark.parametrize(
    ("intents", "seconds"),
    [
        ({"other": 0.9}, 360),
        ({"complaint": 0.9}, 900),
        ({"complaint": 0.9, "praise_thanks": 0.9}, 900),
        ({"praise_thanks": 0.9}, 90),
        ({"complaint": 0.5}, 360),
    ],
)
def test_work_is_what_the_intent_takes_times_the_safety_factor(
    intents: dict[IntentLabel, float], seconds: int
) -> None:
    facts = replace(FACTS, analysis=analysis(intents=intents))
    assert prioritise(facts, MONDAY_NOON, POLICY).work_seconds == seconds


confidences = st.floats(0, 1)
analyses = st.builds(
    Analysis,
    model=st.just("m"),
    language=st.sampled_from(["en", "no", None]),
    language_confidence=confidences,
    sentiment=st.builds(
        Sentiment,
        st.sampled_from([*SENTIMENTS, None]),
        confidences,
        st.just(dict.fromkeys(SENTIMENTS, 1 / 3)),
    ),
    intents=st.lists(st.builds(Intent, st.sampled_from(INTENTS), confidences), max_size=14).map(tuple),
)
facts_of_any_kind = st.builds(
    Facts,
    channel=st.text(max_size=80),
    channel_kind=st.sampled_from(["social", "mail", "ticket"]),
    metric=st.sampled_from(["first_reply_time", "next_reply_time"]),
    tier=st.none() | st.sampled_from(["platinum", "GOLD"]) | st.text(max_size=200),
    spend_percentile=st.none() | st.floats(0, 100),
    followers=st.none() | st.integers(0, 10**9),
    analysis=st.none() | analyses,
)


@given(facts_of_any_kind, st.sampled_from([POLICY, read_policy(DEFAULT_POLICY)]))
def test_any_facts_get_a_promise_and_short_reasons(facts: Facts, policy: Policy) -> None:
    priority = prioritise(facts, MONDAY_NOON, policy)
    assert MONDAY_NOON < priority.due_at < priority.second_due_at
    assert priority.weight > 0
    assert priority.work_seconds > 0
    assert len(json.dumps([asdict(reason) for reason in priority.reasons]).encode()) < 1024
