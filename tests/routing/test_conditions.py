"""Conditions in CEL: what they answer, and what is said of a wrong one."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from routing.conditions import Condition, ConditionError, Known
from routing.facts import ABSENT, FACTS, FactType, facts_table
from routing.types import Facts, Happened
from sentiment.types import Analysis, Emotion, Intent, Sentiment, TaughtIntent

GUIDE = Path(__file__).parents[2] / "docs" / "policy.md"

READ = Analysis(
    model="test",
    language="de",
    language_confidence=0.9,
    sentiment=Sentiment("negative", 0.9, {}),
    intents=(Intent("complaint", 0.9), Intent("escalation", 0.4)),
    emotion=Emotion("anger", 0.9),
    expects_reply=0.9,
    taught=(TaughtIntent("warranty", 0.9), TaughtIntent("gift card", 0.2)),
)
ALL = Facts(
    "shop-mail",
    "mail",
    "next_reply_time",
    tier="GOLD",
    spend_percentile=97.5,
    followers=1200,
    analysis=READ,
    text="My parcel is broken!",
    status="open",
    urgency="high",
    subject="Broken",
    tags=("parcel", "vip"),
    messages=3,
    reopened=True,
    waiting_minutes=12.5,
    known=True,
    lifetime_value=1234.5,
    valence=-0.4,
    journey_stage="loyal",
    customer_language="de",
    contacts=2,
    customer_name="Ann",
    event=Happened("tag_added", before="new", tag="vip", promise="first_reply_time"),
)
NOTHING = Facts("shop-mail", "mail", "first_reply_time")


def holds(condition: str, facts: Facts, tier: str | None = None) -> bool:
    return Condition.parse(condition).holds(Known(facts, tier, 0.6))


@pytest.mark.parametrize(
    ("condition", "of_all", "of_nothing"),
    [
        ('channel.kind == "mail" && channel.name == "shop-mail"', True, True),
        ('customer.tier == "gold"', True, False),
        ('customer.tier != "gold"', False, True),
        ('customer.tier in ["gold", "silver"]', True, False),
        ('!(customer.tier in ["gold", "silver"])', False, True),
        ('customer.tier == ""', False, True),
        ("customer.spend_percentile >= 95", True, False),
        ("customer.spend_percentile < 95", False, False),
        ("!(customer.spend_percentile >= 95)", False, True),
        ("customer.spend_percentile >= 0", True, False),
        ("customer.followers == 1200", True, False),
        ("customer.followers in [1200, 1300]", True, False),
        ("customer.lifetime_value / customer.contacts > 600", True, False),
        ("customer.valence < -0.3", True, False),
        ('customer.known && customer.language == "de"', True, False),
        ('customer.journey_stage in ["loyal", "at_risk"]', True, False),
        ('"complaint" in intents', True, False),
        ('"escalation" in intents', False, False),
        ('intents.exists(i, i in ["complaint", "refund_return"])', True, False),
        ('intents.all(i, i == "complaint")', True, True),
        ("size(intents) > 0 && intents.size() < 2", True, False),
        ('intents[0] == "complaint"', True, False),
        ('intents[1] == "complaint" || customer.known', True, False),
        ('intents.filter(i, i != "other")[0] == "complaint"', True, False),
        ('["de", "en"][0] == language', True, False),
        ('"warranty" in taught_intents && !("gift card" in taught_intents)', True, False),
        ('sentiment == "negative" && sentiment_confidence > 0.8', True, False),
        ('emotion == "anger" && expects_reply', True, False),
        ('language == "de"', True, False),
        ('text.contains("parcel") && text.matches("(?i)BROKEN!$")', True, False),
        ('conversation.status == "open" && conversation.priority == "high"', True, False),
        ('conversation.priority == "normal"', False, True),
        ('"vip" in conversation.tags && conversation.subject.startsWith("Bro")', True, False),
        ("conversation.messages > 2 && conversation.reopened", True, False),
        ("conversation.first_reply_owed", False, True),
        ("conversation.waiting_minutes > 12", True, False),
        ('channel.kind == "social" ? customer.known : customer.contacts > 1', True, False),
        ("true", True, True),
        ('channel.kind == "mail" // by post\n  && customer.known', True, False),
    ],
)
def test_what_a_condition_answers(condition: str, of_all: bool, of_nothing: bool) -> None:
    assert holds(condition, ALL, "gold") is of_all
    assert holds(condition, NOTHING) is of_nothing


@pytest.mark.parametrize(
    ("condition", "at", "message"),
    [
        ('custmer.tier == "gold"', 0, "no such fact: custmer.tier; did you mean customer.tier?"),
        ('tier == "gold"', 0, "no such fact: tier; did you mean customer.tier?"),
        ("customer.tier == 5", 17, "customer.tier is a text, 5 a number"),
        ('customer.followers == "5"', 22, 'customer.followers is a number, "5" is a text'),
        ('customer.known == "yes"', 18, 'customer.known is yes or no, "yes" is a text'),
        ("5 in intents", 0, "intents is a list of texts, 5 a number"),
        ('customer.tier in ["gold", 5]', 26, "customer.tier is a text, 5 a number"),
        ('channel.kind == "sozial"', 16, "channel.kind is never 'sozial'; did you mean social?"),
        ('"mial" == channel.kind', 0, "channel.kind is never 'mial'; did you mean mail?"),
        ('"escalate" in intents', 0, "intents is never 'escalate'; did you mean escalation?"),
        ('intents.exists(i, i == "complant")', 23, "intents is never 'complant'; did you mean complaint?"),
        ('sentiment in ["bad"]', 14, "sentiment is never 'bad'; known are negative, neutral, positive"),
        (
            "customer.tier > customer.followers",
            14,
            "customer.tier is a text, customer.followers is a number: > needs two that match",
        ),
        ("customer.tier", 0, "gives a text, and a condition must be yes or no: compare it with something"),
        ("customer == 1", 0, "customer is a group of facts: write one of customer.known,"),
        (
            "!customer.tier",
            0,
            "! denies yes or no, and customer.tier is a text: put a comparison in brackets",
        ),
        ("size(5) > 3", 4, "size cannot be used with a number"),
        (
            'sentiment.label == "negative"',
            0,
            "no such fact: sentiment.label; did you mean sentiment? It is a text",
        ),
        ('intents[0].label == "other"', 10, "a text has no parts with names"),
        (
            "conversation.messages % 2 == 0",
            22,
            "% is of whole numbers, and every number here may have a point",
        ),
        ('intents == "complaint"', 8, 'intents is a list: write "complaint" in intents'),
        ('"vip" != conversation.tags', 6, 'conversation.tags is a list: write !("vip" in conversation.tags)'),
        ('intents["a"] == "b"', 7, "what stands in [ ] is the place in a list, counted from 0, not a text"),
        ('(customer.known ? "a" : 5) == 5', 16, "? and : need two that match, not a text and a number"),
        ("1 < customer.followers < 5", 23, "< cannot go on from <: join two comparisons by &&"),
        ('text - text == ""', 5, "- cannot be used with a text and a text"),
        ('text.exists(x, x == "a")', 0, "exists needs a list before it, not a text"),
        ("intents.exists(5, true)", 15, "exists first needs a name for what it looks at: intents.exists(i,"),
        ('text.matches("a", "b")', 5, "matches is used otherwise"),
        ("sentiment in [negative]", 14, 'no such fact: negative; a text stands in quotes: "negative"'),
        ("sentiment_confidence > 90", 23, "sentiment_confidence is 0 to 1, never 90; did you mean 0.9?"),
        ("-5 < customer.valence", 1, "customer.valence is -1 to 1, never -5"),
        ("customer.valence > -1.5 || true", 20, "customer.valence is -1 to 1, never -1.5"),
        ("customer.spend_percentile > 101", 28, "customer.spend_percentile is 0 to 100, never 101"),
        (r'text == "\x"', 8, "cannot be read near"),
        ('language == "english"', 12, "language is an ISO 639-1 code such as \"de\", never 'english'"),
        ('language in ["en", "DE"]', 19, "never 'DE'; did you mean de?"),
        ('customer.journey_stage == "Loyal"', 26, "did you mean loyal?"),
        ("customer.tier.startsWith(5)", 24, "startsWith cannot be used with a text and a number"),
        ('text.contian("x")', 5, "no such function: contian; did you mean contains?"),
        ("sizes(intents) > 1", 0, "no such function: sizes; did you mean size?"),
        ('text.matches("(")', 13, '"(": invalid regular expression: missing ): ('),
        ("customer.known and expects_reply", 15, "'and' is no word of CEL: write &&"),
        ("customer.known = true", 15, "'=' is no word of CEL: write =="),
        ("has(customer.tier)", 0, "has() is not needed"),
        ("customer.tier == null", 17, "null is not needed"),
        ("channel.kind ==", 15, "cannot be read near its end: something is missing after it"),
        ("(customer.known", 15, "cannot be read near its end: a bracket is not closed"),
        ("customer.known)", 14, "cannot be read near ')': a bracket too many"),
        ("customer.known expects_reply", 15, "cannot be read near 'expects_reply': an operator"),
        ('text == "abc', 8, "a text begins here and does not end"),
        ("customer.known; true", 14, "';' cannot stand here"),
        ("", 0, "is empty"),
        ("(" * 40 + "customer.known" + ")" * 40, 0, "is nested too deeply"),
        ("true || " * 600 + "true", 0, "has more than 4000 characters"),
        ("customer.followers > 10 &&\n  custmer.known", 29, "did you mean customer.known?"),
        ('text == "ü" && langage == "de"', 15, "no such fact: langage; did you mean language?"),
    ],
)
def test_what_is_said_of_a_wrong_one(condition: str, at: int, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition.parse(condition)
    (fault,) = caught.value.faults
    assert fault.at == at
    assert message in fault.message


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (
            {"channel_kind": ["social"], "tier": ["gold"]},
            """'channel.kind in ["social"] && customer.tier in ["gold"]'""",
        ),
        (
            {"intent": ["complaint", "escalation"], "followers_at_least": 5},
            """'("complaint" in intents || "escalation" in intents) && customer.followers >= 5'""",
        ),
        ({"known_customer": False, "expects_reply": True}, "'!customer.known && expects_reply'"),
        ({"query": "x", "intent": ["complaint"]}, "'\"complaint\" in intents'; `query` stands beside `when`"),
    ],
)
def test_the_old_spelling_is_told_the_new(given: dict[str, object], written: str) -> None:
    with pytest.raises(ConditionError, match="is one line now") as caught:
        Condition.parse(given)
    assert f"write {written}" in str(caught.value)
    if "`" not in written:
        Condition.parse(written.strip("'"))


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConditionError) as caught:
        Condition.parse(
            'channel.kind == "sozial" || sentiment == "bad" || custmer.known || emotion == intents'
        )
    assert [fault.at for fault in caught.value.faults] == [16, 41, 50, 75]


@pytest.mark.parametrize(
    "condition",
    [
        "sentiment_confidence * 100 > 90",
        "90 > 100 * sentiment_confidence",
        "3 - 5 < customer.valence",
        "customer.valence >= -1 && -1 <= customer.valence",
        "customer.valence > 0 - 5",
        'language == "" || language == "nds"',
        'customer.language == "English"',
    ],
)
def test_what_may_be_is_no_mistake(condition: str) -> None:
    assert Condition.parse(condition).text == condition


def test_every_fact_can_be_asked_of_all_and_of_nothing() -> None:
    for fact in FACTS.values():
        test = {
            "text": f'{fact.name} == "{fact.values[0] if fact.values else "xx"}" || {fact.name} != ""',
            "number": f"{fact.name} >= {fact.within[0] if fact.within else 0}",
            "yes or no": fact.name,
            "list": f"size({fact.name}) > 0",
        }[fact.type]
        assert Condition.parse(test).facts == {fact}
        known = fact.name != "conversation.first_reply_owed"
        assert holds(test, ALL, "gold") is known, f"{fact.name} is not read"
        assert isinstance(holds(test, NOTHING), bool)


def test_there_is_an_answer_for_every_type() -> None:
    assert set(ABSENT) == set(get_args(FactType))


def test_the_guide_has_every_fact() -> None:
    assert facts_table() in GUIDE.read_text(encoding="utf-8"), "put facts_table() into docs/policy.md"


def test_a_condition_is_its_text() -> None:
    class Rule(BaseModel):
        when: Condition

    rule = Rule.model_validate({"when": "customer.known"})
    assert rule == Rule(when=Condition("customer.known"))
    assert rule.model_dump(mode="json") == {"when": "customer.known"}
    assert Rule.model_json_schema()["properties"]["when"]["type"] == "string"
    assert pickle.loads(pickle.dumps(rule.when)) == rule.when
    assert rule.when.holds(Known(ALL, None, 0.6))


def test_what_a_fact_is_compared_with() -> None:
    condition = Condition.parse(
        'customer.tier == "gold" || customer.tier in ["a b", \'c\'] || language == "de"'
    )
    assert [tier for _, tier in condition.compared_with("customer.tier")] == ["gold", "a b", "c"]


PIECES = st.sampled_from(
    [
        *FACTS,
        "&&",
        "||",
        "!",
        "(",
        ")",
        "==",
        "<",
        "in",
        "[",
        "]",
        ",",
        '"gold"',
        "5",
        "1.5",
        "true",
        "size",
        "?",
        ":",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=8).map(" ".join)))
def test_any_text_is_a_condition_or_a_clear_no(text: str) -> None:
    try:
        condition = Condition.parse(text)
    except ConditionError as error:
        faults = error.faults
    else:
        assert holds(condition.text, ALL) in (True, False)
        assert holds(condition.text, NOTHING) in (True, False)
        return
    assert faults
    assert all(0 <= fault.at <= len(text) and fault.message for fault in faults)
    assert not any("INVALID_ARGUMENT" in fault.message for fault in faults)
