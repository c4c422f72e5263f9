"""What becomes of what was overheard."""

from __future__ import annotations

import pytest

from routing.listening import Overheard, decide
from routing.policy import DEFAULT_POLICY, Policy, PolicyError, read_policy
from routing.types import Facts
from sentiment.types import Analysis, Intent, IntentLabel, Sentiment

AT_THE_END = "handling: {default: 5m}\n"
POLICY = (
    """\
time_zone: Europe/Berlin
currency: EUR
tiers: [gold]
policies:
  - name: Everybody
    first_reply_time: {default: 4h}
    next_reply_time: {default: 4h}
"""
    + AT_THE_END
)


def overheard(
    text: str = "a thought",
    *,
    intents: tuple[IntentLabel, ...] = (),
    asks: float = 0.1,
    sure: float = 0.9,
    known: bool = False,
    followers: int | None = None,
) -> Overheard:
    analysis = Analysis(
        model="test",
        language="en",
        language_confidence=0.9,
        sentiment=Sentiment("neutral", 0.9, {}),
        intents=tuple(Intent(intent, sure) for intent in intents),
        expects_reply=asks,
    )
    facts = Facts(
        "search", "social", "first_reply_time", followers=followers, analysis=analysis, text=text, known=known
    )
    return Overheard(text, ("@ann",), facts)


def policy(rules: str) -> Policy:
    return read_policy(f"{POLICY}listening:\n{rules}")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (overheard(), None),
        (overheard(known=True), "A known customer"),
        (overheard(known=True, intents=("spam_irrelevant",)), "Advertising"),
        (overheard(asks=0.9), "A question"),
        (overheard(asks=0.5), None),
        (overheard(intents=("complaint",), followers=1000), "A complaint with reach"),
        (overheard(intents=("complaint",), followers=999), None),
        (overheard(intents=("complaint",)), None),
        (overheard(intents=("complaint",), followers=1000, sure=0.5), None),
    ],
)
def test_the_default_policy(said: Overheard, expected: str | None) -> None:
    rule = decide(said, read_policy(DEFAULT_POLICY))
    assert (rule and rule.name) == expected


@pytest.mark.parametrize(
    ("conditions", "said", "matches"),
    [
        ("query: '@acme OR #acme'", overheard("hi @Acme"), True),
        ("query: '@acme OR #acme'", overheard("hi acme"), False),
        ("query: 'refund followers:>10'", overheard("refund!", followers=11), True),
        ("query: 'intent:complaint'", overheard(intents=("complaint",)), True),
        ("query: 'intent:complaint'", overheard(intents=("complaint",), sure=0.5), False),
        ("query: 'from:ann channel:search lang:en sentiment:neutral'", overheard(), True),
        ("query: hello, when: customer.known", overheard("hello"), False),
        ("query: hello, when: '!customer.known'", overheard("hello"), True),
        ("when: '!expects_reply'", overheard(asks=0.9), False),
        ("when: channel.name == 'search'", overheard(), True),
        ("when: customer.tier == 'gold'", overheard(), False),
        ("when: text.contains('thought')", overheard(), True),
    ],
)
def test_conditions(conditions: str, said: Overheard, matches: bool) -> None:
    rules = policy(f"  - {{name: A rule, {conditions}, then: conversation}}\n")
    assert (decide(said, rules) is not None) is matches


def test_the_first_that_matches_decides() -> None:
    rules = policy(
        "  - {name: Noise, query: giveaway, then: count}\n  - {name: All else, then: conversation}\n"
    )
    found = [decide(overheard(text), rules) for text in ("a giveaway", "a question")]
    assert [rule and rule.then for rule in found] == ["count", "conversation"]


def test_without_rules_all_is_only_counted() -> None:
    assert decide(overheard(known=True), read_policy(POLICY)) is None


@pytest.mark.parametrize(
    ("rules", "line", "field", "message"),
    [
        (
            "  - name: A\n    query: 'refund langg:de'\n    then: count\n",
            11,
            "listening[0].query",
            "no field 'langg'; did you mean lang? (at character 8)",
        ),
        (
            "  - {name: A, querry: x, then: count}\n",
            10,
            "listening[0].querry",
            "unknown name; did you mean query?",
        ),
        (
            "  - {name: A, query: x, then: counted}\n",
            10,
            "listening[0].then",
            "'counted' is not known; did you mean count?",
        ),
        (
            "  - {name: A, then: count}\n  - {name: B, then: count}\n",
            10,
            "listening[0]",
            "has no conditions, so that no rule after it is ever used",
        ),
        (
            "  - {name: A, query: x, then: count}\n  - {name: A, then: count}\n",
            11,
            "listening[1].name",
            "'A' is already the name of listening[0]",
        ),
        (
            "  - {name: A, when: customer.tier == 'silver', then: count}\n",
            10,
            "listening[0].when",
            "no such tier: 'silver'; known are gold",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(rules: str, line: int, field: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy(rules)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field, problem.message) == (line, field, message)
