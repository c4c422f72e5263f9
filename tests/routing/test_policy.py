"""Reading a policy: what is right, and what is said of what is wrong."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from routing.calendars import Interval
from routing.located_yaml import Problem, read_yaml
from routing.policy import DEFAULT_POLICY, PolicyError, policy_schema, read_policy
from routing.policy_fields import parse_duration

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED_SCHEMA = DOCS / "policy.schema.json"
GUIDE = DOCS / "policy.md"

SMALL = """\
time_zone: Europe/Berlin
currency: EUR
tiers: [platinum, gold]
calendars:
  office:
    hours: {monday: [09:00-17:00]}
policies:
  - name: Social
    when: channel.kind == "social"
    first_reply_time: {platinum: 15m, default: 2h}
    next_reply_time: {default: 2h}
  - name: Rest
    calendar: office
    first_reply_time: {default: 4h}
    next_reply_time: {default: 4h}
handling: {default: 5m}
"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 1d 1s ", 86401),
    ],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    ["", " ", "15", "15 min", "-1h", "1.5h", "30m 1h", "0m", "400d", "m", 15, 1.5, None, True, ["15m"]],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"duration|between"):
        parse_duration(value)


@given(st.integers(1, 366 * 86400))
def test_every_duration_can_be_written(seconds: int) -> None:
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    assert parse_duration(f"{hours}h{m}m{s}s") == timedelta(seconds=seconds)


def test_the_default_policy_is_right() -> None:
    policy = read_policy(DEFAULT_POLICY)
    social = next(rule for rule in policy.policies if rule.name == "Social")
    assert policy.tiers[0] == "platinum"
    assert social.first_reply_time["platinum"] == timedelta(minutes=15)
    assert policy.calendar_of("Social") is policy.calendar("always")
    assert policy.policies[-1].matches_all


def test_the_published_schema_is_up_to_date() -> None:
    assert json.loads(PUBLISHED_SCHEMA.read_text()) == policy_schema(), (
        "write json.dumps(policy_schema(), indent=2) into it"
    )


@pytest.mark.parametrize("text", [DEFAULT_POLICY, SMALL])
def test_the_schema_takes_what_the_reader_takes(text: str) -> None:
    schema = policy_schema()
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(read_yaml(text).data)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("15m", "15 minutes"),
        ("09:00-17:00", "9-17"),
        ('channel.kind == "social"', "[social]"),
        ("tiers:", "tears:"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(old: str, new: str) -> None:
    text = SMALL.replace(old, new)
    with pytest.raises(PolicyError):
        read_policy(text)
    assert list(Draft202012Validator(policy_schema()).iter_errors(read_yaml(text).data))


def test_hours_are_read() -> None:
    hours = "{monday: [22:00-06:00, 09:00-12:30], tuesday: closed, sunday: [00:00-24:00]}"
    week = read_policy(SMALL.replace("{monday: [09:00-17:00]}", hours)).calendars["office"].hours
    assert week.monday == (Interval(1320, 1800), Interval(540, 750))
    assert week.tuesday == ()
    assert week.sunday == (Interval(0, 1440),)


def test_no_is_norwegian_and_dates_are_dates() -> None:
    text = SMALL.replace("name: Rest", "name: no").replace(
        "hours: {monday: [09:00-17:00]}",
        "hours: {monday: [09:00-17:00]}\n    exceptions: {2026-12-24: closed}",
    )
    policy = read_policy(text)
    assert policy.policies[1].name == "no"
    assert [day.isoformat() for day in policy.calendars["office"].exceptions] == ["2026-12-24"]


def test_money_is_compared_in_the_brands_currency() -> None:
    policy = read_policy(SMALL + "exchange_rates: {USD: 0.9}\n")
    assert policy.base_amount(Decimal(10), "USD") == Decimal("9.0")
    assert policy.base_amount(Decimal(10), "EUR") == Decimal(10)
    with pytest.raises(KeyError):
        policy.base_amount(Decimal(10), "JPY")


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message"),
    [
        pytest.param("tiers:", "teirs:", 3, "teirs", "did you mean tiers?", id="a misspelt key"),
        pytest.param(
            "{platinum: 15m, default: 2h}",
            "{platinum: 15, default: 2h}",
            10,
            "policies[0].first_reply_time.platinum",
            "15 is no duration",
            id="a duration without a unit",
        ),
        pytest.param(
            "first_reply_time: {platinum",
            "first_reply_tine: {platinum",
            10,
            "policies[0].first_reply_tine",
            "did you mean first_reply_time?",
            id="a misspelt target",
        ),
        pytest.param(
            "{platinum: 15m",
            "{platinm: 15m",
            10,
            "policies[0].first_reply_time.platinm",
            "did you mean platinum?",
            id="a misspelt tier",
        ),
        pytest.param(
            '"social"',
            '"email"',
            9,
            "policies[0].when",
            "channel.kind is never 'email'",
            id="a wrong value",
        ),
        pytest.param(
            'channel.kind == "social"',
            "{channel_kind: [social, mail]}",
            9,
            "policies[0].when",
            """is one line now: write 'channel.kind in ["social", "mail"]'""",
            id="the old spelling",
        ),
        pytest.param(
            'channel.kind == "social"',
            'channel.knid == "social"',
            9,
            "policies[0].when",
            "no such fact: channel.knid; did you mean channel.kind?",
            id="no such fact",
        ),
        pytest.param(
            'channel.kind == "social"',
            '|\n      channel.kind == "social"\n      && custmer.known',
            11,
            "policies[0].when",
            "did you mean customer.known?",
            id="the second line of a condition",
        ),
        pytest.param(
            'channel.kind == "social"',
            "conversation.waiting_minutes > 5",
            9,
            "policies[0].when",
            "changes as time passes",
            id="a fact that passes",
        ),
        pytest.param(
            'channel.kind == "social"',
            'customer.tier in ["gold", "golden"]',
            9,
            "policies[0].when",
            "did you mean gold?",
            id="a tier in a condition",
        ),
        pytest.param(
            "calendar: office", "calendar: offic", 13, "policies[1].calendar", "mean office?", id="calendar"
        ),
        pytest.param(
            "    calendar: office",
            "    when: customer.followers > 5",
            13,
            "policies[1].when",
            "for everybody",
            id="nobody for the rest",
        ),
        pytest.param(
            '    when: channel.kind == "social"\n',
            "",
            8,
            "policies[0]",
            "no policy after it",
            id="nothing reaches the second",
        ),
        pytest.param(
            "name: Rest", "name: Social", 12, "policies[1].name", "already the name", id="a name twice"
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: closed}",
            6,
            "calendars.office.hours",
            "never open",
            id="never open",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: [09:00-09:00]}",
            6,
            "calendars.office.hours.monday",
            "same time",
            id="an empty interval",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: 09:00-17:00}",
            6,
            "calendars.office.hours.monday",
            "a list of times",
            id="hours that are no list",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: [09:00-09:01]}\n    time_zone: Europe/Berln",
            7,
            "calendars.office.time_zone",
            "no IANA time zone",
            id="a time zone",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: [09:00-09:01]}",
            14,
            "policies[1].first_reply_time.default",
            "open in a year",
            id="a target that is never reached",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: [09:00-17:00]}\n    holidays: {country: Germany}",
            7,
            "calendars.office.holidays.country",
            "no such country",
            id="a country",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: [09:00-17:00]}\n    holidays: {country: DE, subdivision: XX}",
            7,
            "calendars.office.holidays.subdivision",
            "no such subdivision of DE",
            id="a subdivision",
        ),
        pytest.param(
            "{monday: [09:00-17:00]}",
            "{monday: [09:00-17:00]}\n    exceptions: {2026-02-30: closed}",
            7,
            "calendars.office.exceptions.2026-02-30",
            "date",
            id="a day that does not exist",
        ),
        pytest.param("  office:", "  always:", 5, "calendars.always", "built in", id="the built-in calendar"),
        pytest.param("handling: {default: 5m}", "", 1, "handling", "is missing", id="a missing part"),
        pytest.param(
            "currency: EUR", "currency: Euro", 2, "currency", "no such currency: 'Euro'", id="a currency"
        ),
        pytest.param(
            "currency: EUR", "currency: EUR\ncurrency: USD", 3, "currency", "first on line 2", id="twice"
        ),
        pytest.param(
            "[platinum, gold]", "[platinum, Platinum]", 3, "tiers[1]", "given twice", id="a tier twice"
        ),
        pytest.param(
            "{default: 4h}\nhandling",
            "{platinum: 4h}\nhandling",
            15,
            "policies[1].next_reply_time",
            "no default",
            id="no default target",
        ),
        pytest.param(
            "{platinum: 15m, default: 2h}",
            "{platinum: 15m, default: {urgnt: 5m, normal: 1h}}",
            10,
            "policies[0].first_reply_time.default",
            "no such priority: 'urgnt'",
            id="a priority",
        ),
        pytest.param(
            "{platinum: 15m, default: 2h}",
            "{platinum: 15m, default: {urgent: 5m}}",
            10,
            "policies[0].first_reply_time.default",
            "has no normal",
            id="no normal priority",
        ),
        pytest.param(
            "calendar: office",
            "calendar: office\n    hours: {resolution_time: busines}",
            14,
            "policies[1].hours",
            "did you mean business?",
            id="hours",
        ),
        pytest.param(
            "handling: {default: 5m}",
            "handling: {default: 5m}\nweights: {tier: {platinun: 8}}",
            17,
            "weights.tier.platinun",
            "did you mean platinum?",
            id="a weight of no tier",
        ),
        pytest.param(
            "handling: {default: 5m}",
            "handling: {default: 5m}\nweights: {sentiment: {angry: 2}}",
            17,
            "weights.sentiment.angry",
            "'angry' is not known",
            id="a weight of no sentiment",
        ),
        pytest.param(
            "handling: {default: 5m}",
            "handling: {default: 5m}\nweights: {tier: {platinum: 0}}",
            17,
            "weights.tier.platinum",
            "is less than 0.01, the least",
            id="a factor of nothing",
        ),
    ],
)
def test_a_problem_is_shown_where_it_is(old: str, new: str, line: int, field: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(PolicyError) as caught:
        read_policy(SMALL.replace(old, new))
    found = [p for p in caught.value.problems if p.field == field]
    assert [(p.line, message in p.message) for p in found] == [(line, True)], caught.value.problems


def test_all_problems_are_shown_at_once_in_order() -> None:
    text = SMALL.replace("tiers:", "teirs:").replace("15m", "soon").replace("{default: 5m}", "{default: 5}")
    with pytest.raises(PolicyError) as caught:
        read_policy(text)
    assert [p.line for p in caught.value.problems] == [3, 10, 16]
    assert str(caught.value).startswith("line 3: teirs: unknown name; did you mean tiers?")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "empty"),
        ("# nothing\n", 1, "empty"),
        ("- a\n- b\n", 1, "a mapping"),
        ("just words", 1, "a mapping"),
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\nb: \x00\n", 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: &x {b: 1}\nc: *x\n", 2, "alias"),
        ("a: &x [*x]\n", 1, "alias"),
        ("? [a, b]\n: 1\n", 1, "plain word"),
        ("a: !!python/object/apply:os.getcwd []\nb: !!python/name:os.system x\n", 2, "cannot be read"),
        ("[" * 3000, 1, "nested too deeply"),
        ("#" * 600_000, 1, "characters"),
    ],
)
def test_a_text_that_is_no_policy_is_a_problem(text: str, line: int, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(text)
    assert any(p.line == line and message in p.message for p in caught.value.problems), caught.value.problems


@given(st.data())
def test_no_text_breaks_the_reader(data: st.DataObject) -> None:
    """A policy with a piece cut out, doubled or replaced is read or refused, and nothing else."""
    start = data.draw(st.integers(0, len(SMALL)))
    end = data.draw(st.integers(start, min(len(SMALL), start + 40)))
    text = SMALL[:start] + data.draw(st.text(max_size=6) | st.just(SMALL[start:end] * 2)) + SMALL[end:]
    problems: tuple[Problem, ...] = ()
    try:
        read_policy(text)
    except PolicyError as error:
        problems = error.problems or (Problem(0, 0, "", "an error without a problem"),)
    assert all(1 <= p.line <= text.count("\n") + 2 and p.message for p in problems)


def test_the_guide_explains_every_field() -> None:
    guide = "".join(
        (GUIDE.parent / f"{name}.md").read_text() for name in ("policy", "assignment", "automations")
    )
    schema = policy_schema()
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", ())}
    days = {"tuesday", "wednesday", "thursday"}
    assert {name for name in fields - days if not re.search(rf"\b{name}\b", guide)} == set()


def test_the_examples_of_the_guide_are_right() -> None:
    calendars, policies, contracts, listening, warnings = re.findall(
        r"```yaml\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL
    )
    rest = SMALL[SMALL.index("  - name: Rest") :]
    policy = read_policy(
        "time_zone: UTC\ncurrency: EUR\ntiers: [platinum, gold]\n"
        + "".join((calendars, policies, contracts, rest, listening, warnings))
    )
    assert [step.at for step in policy.warnings] == ["80%", "15m before", "30m after"]
    assert [rule.then for rule in policy.listening] == ["count", "conversation", "conversation"]
    assert [rule.name for rule in policy.policies] == ["Angry in public", "Contracts", "Rest"]
