"""What the check of a policy says of what would be read otherwise, could never work, or is misspelt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.located_yaml import read_yaml
from routing.policy import PolicyError, read_policy
from tests.routing.test_policy import SMALL as POLICY


def problems(text: str) -> list[str]:
    try:
        read_policy(text)
    except PolicyError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("when", "field", "quoted"),
    [
        # YAML takes what stands after the sign for a tag, and the sign alone for nothing.
        ("!(customer.valence < 0)", "policies[0].when", "'!(customer.valence < 0)'"),
        ("!customer.known", "policies[0].when", "'!customer.known'"),
        ("! customer.known # not yet", "policies[0].when", "'! customer.known'"),
        ('!("complaint" in intents)', "", """'!("complaint" in intents)'"""),
        ("!customer.known && customer.followers > 5", "", "'!customer.known && customer.followers > 5'"),
        ('"complaint" in intents # or so', "", """'"complaint" in intents'"""),
    ],
)
def test_a_condition_that_yaml_reads_otherwise(when: str, field: str, quoted: str) -> None:
    text = POLICY.replace('when: channel.kind == "social"', f"when: {when}")
    (told,) = problems(text)
    assert told.startswith(f"line 9: {field}: ")
    assert f"what begins with {quoted[1]} stands in single quotes: {quoted}" in told
    assert problems(POLICY.replace('channel.kind == "social"', quoted)) == []


def changed(old: str, new: str) -> str:
    """The policy with `new` in the place of `old`, or at its end."""
    if old:
        assert POLICY.count(old) == 1
        return POLICY.replace(old, new)
    return POLICY + new + "\n"


ZONE, CURRENCY, WEEK = "Europe/Berlin", "currency: EUR", "{monday: [09:00-17:00]}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            ZONE,
            "America/New_Yrok",
            "1: time_zone: 'America/New_Yrok' is no IANA time zone; did you mean America/New_York?",
        ),
        (
            ZONE,
            "europe/berlin",
            "1: time_zone: 'europe/berlin' is no IANA time zone; did you mean Europe/Berlin?",
        ),
        (ZONE, "New York", "1: time_zone: 'New York' is no IANA time zone; did you mean America/New_York?"),
        (ZONE, "here", "1: time_zone: 'here' is no IANA time zone such as Europe/Berlin"),
        (CURRENCY, "currency: eur", "2: currency: no such currency: 'eur'; did you mean EUR?"),
        (CURRENCY, "currency: €", "2: currency: no such currency: '€', whose code is such as EUR"),
        (
            "",
            "exchange_rates: {usd: 2}",
            "17: exchange_rates.usd: no such currency: 'usd'; did you mean USD?",
        ),
        (
            "",
            "exchange_rates: {EUR: 2}",
            "17: exchange_rates.EUR: is the policy's own currency, which counts 1",
        ),
        (
            WEEK,
            "{monday: [11:00-18:00, 09:00-12:00, 20:00-24:00]}",
            "6: calendars.office.hours.monday: 11:00-18:00 overlaps 09:00-12:00",
        ),
        (
            WEEK,
            WEEK + "\n    exceptions: {2026-12-24: [22:00-06:00, 23:00-23:30]}",
            "7: calendars.office.exceptions.2026-12-24: 23:00-23:30 overlaps 22:00-06:00",
        ),
        (WEEK, WEEK + "\n    holidays: {country: Germny}", "no such country: 'Germny'; did you mean DE?"),
        (WEEK, WEEK + "\n    holidays: {country: United States}", "'United States'; did you mean US?"),
        (WEEK, WEEK + "\n    holidays: {country: de}", "no such country: 'de'; did you mean DE?"),
        (
            WEEK,
            WEEK + "\n    holidays: {country: Atlantis}",
            "no such country: 'Atlantis', whose code is such as DE",
        ),
        (
            WEEK,
            WEEK + "\n    holidays: {country: DE, subdivision: Bayern}",
            "7: calendars.office.holidays.subdivision: no such subdivision of DE: 'Bayern'; did you mean BY?",
        ),
        ("[platinum, gold]", "[Gold, Platinum]", "no such tier: 'platinum'; did you mean Platinum?"),
        (
            "calendar: office",
            "calendar: shop\n    hours: business",
            "13: policies[1].calendar: no such calendar: 'shop'; known are always, office",
        ),
        *(
            (
                "",
                f"weights: {{{factor}: [{{{bound}: 0.5, factor: 2}}, {{{bound}: 0.50, factor: 3}}]}}",
                f"17: weights.{factor}[1].{bound}: is already the bound of weights.{factor}[0]",
            )
            for factor, bound in (("spend", "top"), ("lifetime_value", "at_least"), ("valence", "at_most"))
        ),
        (
            "",
            "weights: {contacts: [{at_least: 5, factor: 2}, {at_least: 5, factor: 1}]}",
            "17: weights.contacts[1].at_least: is already the bound of weights.contacts[0]",
        ),
        ("", "warnings: [{at: 80%, to: []}]", "17: warnings[0].to: is empty: name at least one"),
        (
            "",
            "warnings: [{at: 80%, to: [manager], metrics: []}]",
            "17: warnings[0].metrics: is empty: name at least one",
        ),
        (
            "",
            "warnings: [{at: 0%, to: [team]}]",
            "17: warnings[0].at: 0% is before any promise begins: the longest is 4h",
        ),
        (
            "",
            "warnings: [{at: 4h before, to: [team]}]",
            "4h before is before any promise begins: the longest is 4h",
        ),
        (
            "",
            "warnings: [{at: 80%, to: [team], metrics: [resolution_time]}]",
            "17: warnings[0].metrics: nobody is promised any resolution_time",
        ),
        (
            "",
            "warnings: [{at: 60m before, to: [team]}, {at: 1h before, to: [manager]}]",
            "17: warnings[1].at: 1h before is already in warnings[0], for first_reply_time",
        ),
        (
            "",
            "warnings: [{at: 80%, to: [team]}, {at: 80 %, to: [manager]}]",
            "80 % is already in warnings[0]",
        ),
        (
            "",
            "warnings: [{at: 80%, to: [team], hours: offic}]",
            "no such calendar: 'offic'; did you mean office?",
        ),
        ("", "teams: [5]", "17: teams[0]: is no text: put it in quotes"),
        (
            "",
            "templates: {Sorry: {default: Hi, german: Hallo}}",
            "17: templates.Sorry.german: does not look like ^(",
        ),
        ("", "teams: ['']", "17: teams[0]: is empty"),
        ("", f"teams: [{'x' * 41}]", "17: teams[0]: has more than 40 characters"),
        ("", "teams: shop", "17: teams: write a list, such as [a, b]"),
        ("", "capacity: {default: many}", "17: capacity.default: write a whole number"),
        ("", "capacity: {default: 1.5}", "17: capacity.default: write a whole number"),
        ("", "capacity: {default: 0}", "17: capacity.default: is less than 1, the least"),
        ("", "weights: {tier: {gold: much}}", "17: weights.tier.gold: write a number"),
        ("", "weights: {spend: [{top: 0, factor: 1}]}", "17: weights.spend[0].top: must be more than 0"),
        (
            "",
            "weights: {confidence_threshold: 60}",
            "17: weights.confidence_threshold: is more than 1, the most",
        ),
        ("{default: 5m}\n", "{default: 5m, learn: perhaps}\n", "16: handling.learn: write true or false"),
        (
            WEEK,
            WEEK + "\n    exceptions: {tomorrow: closed}",
            "exceptions.tomorrow: is no date: write it as 2026-12-24",
        ),
    ],
)
def test_what_is_said(old: str, new: str, told: str) -> None:
    assert any(told in problem for problem in problems(changed(old, new))), problems(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (WEEK, "{monday: [09:00-12:00, 12:00-18:00], tuesday: [22:00-06:00], wednesday: [00:00-24:00]}"),
        ("", "warnings: [{at: 75%, to: [team]}, {at: 18h after, to: [team]}, {at: 239m before, to: [team]}]"),
        ("", "warnings: [{at: 9%, to: [team], metrics: [first_reply_time, resolution_time]}]"),
        ("", "exchange_rates: {USD: 0.9}\nweights: {spend: [{top: 5, factor: 2}, {top: 10, factor: 2}]}"),
    ],
)
def test_what_can_work_is_right(old: str, new: str) -> None:
    assert problems(changed(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "warnings: [{at: 0%, to: [team]}]"),
        (WEEK, "{monday: [09:00-17:00, 10:00-18:00]}"),
        ('channel.kind == "social"', "sentiment_confidence > 90"),
        ('channel.kind == "social"', 'language == "english"'),
    ],
)
def test_what_ruled_can_be_read_though_it_is_refused_by_now(old: str, new: str) -> None:
    text = changed(old, new)
    assert len(problems(text)) == 1
    assert read_policy(text, ruled=True).policies[1].name == "Rest"
    with pytest.raises(PolicyError, match="timezone"):
        read_policy(text.replace("time_zone", "timezone"), ruled=True)


def test_what_does_not_fit_is_told_beside_faulty_conditions() -> None:
    when = 'channel.knd == "social" && customer.tier == "platinm" && intents == "complaint"'
    text = POLICY.replace('channel.kind == "social"', when)
    text = text.replace("platinum: 15m", "platinm: 15m").replace("calendar: office", "calendar: ofice")
    told = problems(text)
    assert [problem.partition(": ")[0] for problem in told] == ["line 9"] * 3 + ["line 10", "line 13"]
    assert sum("did you mean platinum?" in problem for problem in told) == 2


EVERYTHING = (
    POLICY.replace(
        WEEK, WEEK + "\n    holidays: {country: DE, subdivision: BY}\n    exceptions: {2026-12-24: closed}"
    )
    + """
exchange_rates: {USD: 0.9}
listening: [{name: Ours, query: '@acme', when: customer.known, then: conversation}]
weights: {tier: {gold: 2}, spend: [{top: 5, factor: 2}], sentiment: {negative: 1.5}}
teams: [service]
skills: [french]
capacity: {default: 3, weights: {mail: 2}}
assignment: {mode: push, needs: [{name: French, team: service, skills: {french: 2}, relax_after: 5m}]}
warnings: [{at: 80%, to: [team], metrics: [first_reply_time], hours: office}]
automations: [{name: Tell, on: [tag_added], when: event.tag == "vip", do: [{reply: Sorry}, {tag: [told]}]}]
templates: {Sorry: {default: 'Hi {customer.name}', de: Hallo}}
"""
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**9),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["5h", "80%", "XX", "a{2,3}", "{", "%s", "always", "default", "2026-12-24"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_whatever_stands_somewhere_is_right_or_told_in_our_words(data: st.DataObject) -> None:
    policy = read_yaml(EVERYTHING).data
    assert problems(EVERYTHING) == []
    place: Any = policy
    while True:
        key = data.draw(st.sampled_from(range(len(place)) if isinstance(place, list) else sorted(place)))
        if not (isinstance(place[key], dict | list) and place[key]) or data.draw(st.integers(0, 4)) == 0:
            break
        place = place[key]
    if isinstance(place, dict) and data.draw(st.booleans()):
        place[data.draw(st.text(max_size=6))] = place.pop(key)
    else:
        place[key] = data.draw(VALUES)
    for problem in problems(json.dumps(policy, ensure_ascii=False)):
        assert "nput should" not in problem
        assert "valid" not in problem.partition(": ")[2].replace("invalid regular expression", "")
