"""Automations: how they are read, which are asked when, and that they end whatever is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.automation_rules import SINCE, Automation
from routing.automation_texts import fill
from routing.automations import (
    LATE,
    MOST_DEPTH,
    MOST_REPLIES,
    MOST_RUNS,
    RUNS_WITHIN,
    Timer,
    after_a_change,
    applies,
    mark,
    missed,
    next_due,
    refusal,
    reply_refusal,
    timers,
)
from routing.clocks import ConversationState, StatusChange
from routing.policy import DEFAULT_POLICY, Policy, PolicyError, read_policy
from routing.targets import known_of
from routing.types import EVENT_KINDS, EventKind, Facts, Happened, Status

GUIDE = Path(__file__).parents[2] / "docs/automations.md"
ACTIONS = ("set", "tag", "untag", "notify", "assign", "reply")
NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def policy_with(text: str) -> Policy:
    return read_policy(f"{DEFAULT_POLICY}\nteams: [escalation]\n{text}")


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        policy_with(text)
    lines = DEFAULT_POLICY.count("\n") + 2
    return [f"{each.line - lines}: {each.field}: {each.message}" for each in raised.value.problems]


GOOD = """
templates:
  Received: Hello {{ customer.name | there }}
  Remind: {default: 'Still there?', de: 'Noch da?'}
automations:
  - name: Angry and valuable
    on: [analysed, priority_changed]
    when: sentiment == "negative" && customer.tier == "platinum" && event.before != "urgent"
    do:
      - set: {priority: urgent, status: open}
      - tag: [vip, angry]
      - untag: [calm]
      - notify: [manager, team]
      - assign: {team: escalation}
      - assign: {agent: ada@brand.example}
      - reply: Received
  - name: Remind
    after: {waiting_on_customer: 1d}
    calendar: office
    when: conversation.waiting_minutes >= 0 || true
    do: [{reply: Remind}]
"""


def test_a_policy_says_what_happens_by_itself() -> None:
    policy = policy_with(GOOD)
    angry, remind = policy.automations
    assert [action.told for action in angry.do] == [
        "set priority urgent, status open",
        "tag vip, angry",
        "untag calm",
        "notify manager, team",
        "assign team escalation",
        "assign ada@brand.example",
        "reply “Received”",
    ]
    assert policy.automations_on("analysed") == policy.automations_on("priority_changed") == (angry,)
    assert policy.automations_on("reply_sent") == ()
    assert policy.timed_automations == (remind,)
    assert (remind.since, remind.time) == ("waiting_on_customer", timedelta(days=1))
    assert {"customer.name", "event.before", "conversation.waiting_minutes"} <= policy.asked


def test_the_guide_is_right_and_whole() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL)
    policy = policy_with(example)
    assert {action.kind for automation in policy.automations for action in automation.do} <= set(ACTIONS)
    assert policy.timed_automations
    for name in (*EVENT_KINDS, *SINCE, *ACTIONS):
        assert f"`{name}`" in guide


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "automations:\n- name: A\n  on: [analyzed]\n  do: [{tag: [x]}]",
            ["3: automations[0].on[0]: 'analyzed' is not known; did you mean analysed?"],
        ),
        (
            "automations:\n- name: A\n  after: {unanswerd: 1h}\n  do: [{tag: [x]}]",
            ["3: automations[0].after.unanswerd: 'unanswerd' is not known; did you mean unanswered?"],
        ),
        (
            "automations:\n- name: A\n  on: [analysed]\n  do: [{set: {}}, {tag: [a], reply: b},"
            " {assign: {}}]",
            [
                "4: automations[0].do[0].set: sets nothing: give a priority or a status",
                "4: automations[0].do[1]: does tag and reply at once: write each as a line of its own",
                "4: automations[0].do[2].assign: name an agent or a team, and not both",
            ],
        ),
        (
            "automations:\n- name: A\n  do: [{tag: [x]}]\n- name: A\n  on: [analysed]\n  do: [{tag: [x]}]",
            [
                "2: automations[0]: give either on, what happens, or after, what has been so for a time",
                "4: automations[1].name: 'A' is already the name of automations[0]",
            ],
        ),
        (
            "automations:\n- name: A\n  on: [analysed]\n  calendar: ofice\n"
            "  do: [{assign: {team: escalatoin}}]",
            [
                "4: automations[0].calendar: no such calendar: 'ofice'; did you mean office?",
                "5: automations[0].do[0].assign.team: no such team: 'escalatoin'; did you mean escalation?",
            ],
        ),
        (
            "automations:\n- name: A\n  on: [analysed]\n  calendar: office\n  do: [{tag: [x]}]",
            ["4: automations[0].calendar: is what after counts in, and there is no after"],
        ),
        (
            "automations:\n- name: A\n  on: [message_received]\n"
            '  when: sentiment == "negative" && event.tag == "x"\n  do: [{tag: [x]}]',
            [
                "4: automations[0].when: event.tag is known only on tag_added",
                "4: automations[0].when: sentiment is not known on message_received, before the model has"
                " read it: use on: [analysed]",
            ],
        ),
        (
            'automations:\n- name: A\n  on: [analysed]\n  when: custmer.tier == "gold"\n  do: [{tag: [x]}]',
            ["4: automations[0].when: no such fact: custmer.tier; did you mean customer.tier?"],
        ),
        (
            "templates: {T: hello}\nautomations:\n- name: A\n  on: [analysed]\n  do: [{reply: t2}]",
            ["5: automations[0].do[0].reply: no such template: 't2'; known are T"],
        ),
        (
            "templates:\n  A: {de: hallo}\n  B: Dear {{custmer.name}}\n  C: '{{text}}'\n"
            "  D: '{{customer.valence}}'\n"
            "  E: 'Hi {{customer.name'",
            [
                "3: templates.B.default: {{custmer.name}} is no fact; did you mean customer.name?",
                "4: templates.C.default: a template cannot repeat what a customer wrote",
                "5: templates.D.default: {{customer.valence}} cannot be told to customers",
                "6: templates.E.default: {{ stands alone: a placeholder is {{customer.name}}",
            ],
        ),
        ("templates:\n  A: {de: hallo}", ["2: templates.A: has no default, for every other language"]),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_nearest_right_name(text: str, told: list[str]) -> None:
    assert problems(text) == told


def test_only_automations_know_of_events() -> None:
    other = 'policies:\n  - name: A\n    when: event.tag == "x"\n'
    text = DEFAULT_POLICY.replace(
        "policies:\n", other + "    first_reply_time: {default: 1h}\n    next_reply_time: {default: 1h}\n", 1
    )
    with pytest.raises(PolicyError, match=r"event\.tag is of an event, and only automations know of any"):
        read_policy(text)


@pytest.mark.parametrize(
    ("values", "language", "told"),
    [
        ({"customer.name": "Ann"}, "", "Hello Ann!"),
        ({"customer.name": ""}, "", "Hello there!"),
        ({"customer.name": "Ann\r\nBcc: all"}, "en", "Hello Ann Bcc: all!"),
        ({"customer.name": "A" * 999}, "en", f"Hello {'A' * 200}!"),
        ({"customer.name": "{{customer.tier}}"}, "en", "Hello {{customer.tier}}!"),
        ({"customer.name": "Ann"}, "de", "Hallo Ann!"),
    ],
)
def test_a_template_is_filled_with_what_is_known(values: Any, language: str, told: str) -> None:
    template = {"default": "Hello {{ customer.name | there }}!\n", "de": "Hallo {{customer.name}}!"}
    assert fill(template, values, language) == told


def state(status: Status, since: datetime, **fields: Any) -> ConversationState:
    return ConversationState(status=status, history=(StatusChange(status, since),), **fields)


EARLIER = NOON - timedelta(hours=2)


@pytest.mark.parametrize(
    ("since", "state", "counts_from"),
    [
        ("unanswered", state("open", EARLIER, waiting_since=NOON), NOON),
        ("unanswered", state("pending", EARLIER), None),
        ("waiting_on_customer", state("pending", EARLIER), EARLIER),
        ("waiting_on_customer", state("pending", EARLIER, last_replied_at=NOON), NOON),
        ("waiting_on_customer", state("open", EARLIER), None),
        ("on_hold", state("on_hold", EARLIER), EARLIER),
        ("solved", state("solved", EARLIER), EARLIER),
        ("solved", state("closed", EARLIER), None),
        ("opened", state("open", NOON), EARLIER),
        ("opened", state("solved", NOON), None),
    ],
)
def test_what_time_is_counted_from(
    since: str, state: ConversationState, counts_from: datetime | None
) -> None:
    policy = policy_with(f"automations: [{{name: A, after: {{{since}: 3h}}, do: [{{tag: [x]}}]}}]")
    found = timers(policy, state, EARLIER, NOON)
    assert [timer.due_at for timer in found] == ([counts_from + timedelta(hours=3)] if counts_from else [])


def test_business_hours_count_only_while_the_calendar_is_open() -> None:
    policy = policy_with(
        "automations: [{name: A, after: {unanswered: 8h}, calendar: office, do: [{tag: [x]}]}]"
    )
    # Friday noon in Berlin, open until five; on Monday from nine.
    (timer,) = timers(policy, state("open", NOON, waiting_since=NOON), NOON, NOON)
    assert timer.due_at == datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


def test_each_time_is_asked_once_until_what_it_counts_begins_anew() -> None:
    policy = policy_with(
        "automations:\n- {name: A, after: {unanswered: 1h}, do: [{tag: [x]}]}\n"
        "- {name: B, after: {unanswered: 4h}, do: [{tag: [y]}]}"
    )
    waits = state("open", NOON, waiting_since=NOON)
    first = timers(policy, waits, NOON, NOON)
    assert next_due(first) == NOON + timedelta(hours=1)
    asked = (first[0]._replace(asked=True), first[1])
    later = NOON + timedelta(hours=2)
    assert timers(policy, waits, NOON, later, asked) == asked
    assert next_due(asked) == NOON + timedelta(hours=4)
    again = timers(policy, state("open", NOON, waiting_since=later), NOON, later, asked)
    assert [timer.asked for timer in again] == [False, False]
    assert next_due(()) is None


def test_what_was_due_long_before_it_is_first_seen_is_left() -> None:
    policy = policy_with("automations: [{name: A, after: {unanswered: 1h}, do: [{tag: [x]}]}]")
    old = state("open", NOON, waiting_since=NOON - timedelta(days=30))
    assert next_due(timers(policy, old, NOON, NOON)) is None
    # What was known before, and came late because nobody looked, is still asked.
    due_at = NOON - LATE * 3
    known = (Timer("A", due_at - timedelta(hours=1), due_at),)
    waits = state("open", NOON, waiting_since=known[0].since)
    assert timers(policy, waits, NOON, NOON, known) == known


def test_a_shorter_time_of_a_new_policy_is_not_asked_of_what_was_so_long_before() -> None:
    policy = policy_with("automations: [{name: A, after: {unanswered: 1h}, do: [{tag: [x]}]}]")
    since = NOON - timedelta(days=9)
    longer = (Timer("A", since, since + timedelta(days=30)),)
    (timer,) = timers(policy, state("open", since, waiting_since=since), since, NOON, longer)
    assert timer.asked


TIMED = """automations:
- {name: A, after: {unanswered: 1h}, when: "%s", do: [{tag: [x]}]}
- {name: B, after: {unanswered: 1h}, do: [{tag: [x]}]}
"""
WAITS = state("open", EARLIER, waiting_since=EARLIER)


@pytest.mark.parametrize(
    ("condition", "again_after"),
    [
        ("conversation.subject == 'x'", None),
        ("conversation.waiting_minutes > 200", timedelta(minutes=200, seconds=1) + (EARLIER - NOON)),
        ("!(300.5 >= conversation.waiting_minutes)", timedelta(minutes=300.5, seconds=1) + (EARLIER - NOON)),
        ("conversation.waiting_minutes > 60 && text == 'x'", None),
        ("conversation.waiting_minutes > 1e99", None),
        ("conversation.waiting_minutes > 200 && conversation.waiting_minutes < 130", timedelta(seconds=601)),
        ("conversation.waiting_minutes / 60 > 5", timedelta(hours=1)),
        ("conversation.waiting_minutes > 2 * 90", timedelta(hours=1)),
        ("customer.valence < -0.5", timedelta(days=1)),
        ("customer.contacts > 3 && conversation.waiting_minutes > 200", timedelta(minutes=80, seconds=1)),
    ],
)
def test_what_missed_its_time_is_asked_again_when_it_may_hold(
    condition: str, again_after: timedelta | None
) -> None:
    policy = policy_with(TIMED % condition)
    rule, without = policy.automations
    waiting = timers(policy, WAITS, EARLIER, NOON)
    left = missed(waiting[0], rule, WAITS, NOON)
    assert (left.next_at - NOON if left.next_at else None) == again_after
    # Whatever it waits for, a change has it asked at once, and once.
    (again,) = after_a_change([left], NOON + timedelta(minutes=1), ("C",))
    assert (again.next_at, again.chain) == (NOON + timedelta(minutes=1), ("C",))
    assert missed(again, rule, WAITS, NOON).chain == ()
    # What waits for its time, or ran, is not.
    others = (waiting[1], left._replace(asked=True))
    assert after_a_change(others, NOON) == others
    # Without a condition there is nothing that could come to hold.
    assert missed(waiting[1], without, WAITS, NOON).asked


def test_what_missed_its_time_is_kept_while_it_is_so_and_the_condition_stands() -> None:
    policy = policy_with(TIMED % "text == 'x'")
    rule = policy.automations[0]
    left = missed(timers(policy, WAITS, EARLIER, NOON)[0], rule, WAITS, NOON)
    assert left.missed == mark(rule)
    later = NOON + timedelta(days=1)
    assert timers(policy, WAITS, EARLIER, later, (left,))[0] == left
    # Another condition is another rule, whose time was over before it came.
    rewritten = policy_with(TIMED % "text == 'y'")
    assert timers(rewritten, WAITS, EARLIER, later, (left,))[0].asked
    # Time to wait that a new policy adds is waited.
    longer = policy_with((TIMED % "text == 'x'").replace("1h", "9d"))
    (waits, _) = timers(longer, WAITS, EARLIER, later, (left,))
    assert (waits.missed, waits.next_at) == ("", EARLIER + timedelta(days=9))
    anew = state("open", EARLIER, waiting_since=NOON)
    assert timers(policy, anew, EARLIER, NOON, (left,))[0].missed == ""


def automation(name: str, *on: EventKind, when: str | None = None) -> Automation:
    return Automation.model_validate({"name": name, "on": on, "when": when, "do": [{"tag": ["x"]}]})


KNOWN = known_of(Facts("chirp", "social", "first_reply_time"), policy_with(""))


@pytest.mark.parametrize(
    ("chain", "lately", "runs"),
    [
        ((), 0, "yes"),
        (("B",), 0, "yes"),
        (("A",), 0, "not asked"),
        (("A", "B"), 0, "automations set each other off: A → B → A"),
        (("B", "C", "D", "E", "F"), 0, "5 automations set each other off before it: B → C → D → E → F"),
        ((), MOST_RUNS, "20 automations ran in this conversation within an hour"),
        ((), MOST_RUNS - 1, "yes"),
    ],
)
def test_what_is_bounded(chain: tuple[str, ...], lately: int, runs: str) -> None:
    rule = automation("A", "tag_added")
    told = (refusal(rule, chain, lately) or "yes") if applies(rule, KNOWN, chain) else "not asked"
    assert told == runs


def test_a_condition_decides_first() -> None:
    assert not applies(automation("A", "tag_added", when="false"), KNOWN)
    assert applies(automation("A", "tag_added", when="true"), KNOWN)


def test_a_condition_may_ask_what_happened() -> None:
    policy = policy_with(
        'automations: [{name: A, on: [tag_added], when: event.tag == "vip", do: [{untag: [vip]}]}]'
    )
    for tag, holds in (("vip", True), ("late", False)):
        facts = Facts("chirp", "social", "first_reply_time", event=Happened("tag_added", tag=tag))
        assert applies(policy.automations[0], known_of(facts, policy)) is holds


def test_a_customer_has_only_so_many_automatic_replies_a_day() -> None:
    assert reply_refusal(MOST_REPLIES - 1) is None
    assert reply_refusal(MOST_REPLIES) == "this customer had 3 automatic replies within a day"


NAMES = st.sampled_from(["A", "B", "C", "D", "E", "F", "G", "H"])
KINDS = st.sampled_from(EVENT_KINDS)
WRITTEN = st.dictionaries(
    NAMES, st.tuples(st.sets(KINDS, min_size=1), st.lists(KINDS, max_size=4)), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(
    written=WRITTEN,
    came=st.lists(st.tuples(st.integers(0, 90), KINDS), max_size=25),
    echoes=st.booleans(),
)
def test_whatever_automations_are_written_and_whatever_happens_it_ends(
    written: dict[str, tuple[set[EventKind], list[EventKind]]],
    came: list[tuple[int, EventKind]],
    echoes: bool,
) -> None:
    """Each automation causes whatever events it likes; where `echoes`, the world answers each run at once."""
    rules = [(automation(name, *sorted(on)), causes) for name, (on, causes) in sorted(written.items())]
    ran: list[datetime] = []
    longest = 0
    for minutes, kind in sorted(came):
        now = NOON + timedelta(minutes=minutes)
        happened: list[tuple[EventKind, tuple[str, ...]]] = [(kind, ())]
        steps = 0
        while happened:
            steps += 1
            assert steps < 10_000
            event, chain = happened.pop(0)
            for rule, causes in rules:
                if event not in rule.on or not applies(rule, KNOWN, chain):
                    continue
                if refusal(rule, chain, sum(at > now - RUNS_WITHIN for at in ran)) is not None:
                    continue
                ran.append(now)
                longest = max(longest, len(chain) + 1)
                happened += [(caused, (*chain, rule.name)) for caused in causes]
                happened += [(event, ())] if echoes else []
    assert longest <= MOST_DEPTH
    for at in ran:
        assert sum(at - RUNS_WITHIN < other <= at for other in ran) <= MOST_RUNS
