"""Replays of a few conversations, counted by hand; and what they say of the same policy twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from routing.policy import Policy, read_policy
from routing.replay.jobs import Abilities, Staffing
from routing.replay.promising import promise_all
from routing.replay.records import Record
from routing.replay.report import Report, replay
from routing.types import Facts

MONDAY = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)

TEXT = """
time_zone: UTC
currency: EUR
tiers: [gold]
calendars:
  office: {hours: {monday: [09:00-17:00], tuesday: [09:00-17:00]}}
policies:
  - name: Mail
    when: channel.kind == "mail"
    calendar: office
    first_reply_time: {gold: 30m, default: 1h}
    next_reply_time: {gold: 30m, default: 1h}
  - name: All
    first_reply_time: {gold: 10m, default: 1h}
    next_reply_time: {gold: 10m, default: 1h}
weights:
  tier: {gold: 4, default: 1}
handling: {default: 5m, factor: 1.0}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy(TEXT)


def record(
    ref: int, minutes: float, tier: str | None = None, kind: str = "social", handle: float | None = 300
) -> Record:
    facts = Facts(kind, kind, "first_reply_time", tier)
    return Record(ref, MONDAY + timedelta(minutes=minutes), facts, handle)


# One agent, five minutes each: the gold customer comes last.
CROWD = [record(1, 0), record(2, 1), record(3, 2), record(4, 3, "Gold")]


def test_promises_count_the_calendar(policy: Policy) -> None:
    records = [record(1, 0, "gold", "mail"), record(2, 0, None), record(3, 0, "GOLD", handle=None)]
    jobs = promise_all(records, policy, policy)
    # Half past eight is half an hour before they open.
    assert jobs.due == [3600, 3600, 600]
    assert jobs.second_due == [5400, 7200, 1200]
    assert jobs.level == [0, 1, 0]
    assert jobs.value == jobs.weight == [4, 1, 4]
    # Nobody knows how long it took: as long as it is expected to.
    assert jobs.handle == [300, 300, 300]


def test_a_report_counted_by_hand(policy: Policy) -> None:
    report = replay(CROWD, Staffing.constant(1), {"ours": policy}, ["first-come", "strict"])
    ours, first, strict = report.runs
    assert (ours.order, first.order, strict.order) == ("plan", "first-come", "strict")
    assert report.conversations == 4
    assert report.mean_handle_seconds == 300
    assert ours.all.attainment == 1
    assert ours.gave_way == 0
    assert ours.breached == 0
    assert ours.breaches == []
    # First come answers the gold customer after 17 minutes, who is worth 4 of 7.
    assert first.all.attainment == 0.75
    assert first.all.attainment_by_value == pytest.approx(3 / 7)
    assert first.tiers["gold"].longest == 17 * 60
    assert first.gave_way is None
    [breach] = first.breaches
    assert (breach.ref, breach.tier, breach.late_seconds, breach.weight) == (4, "gold", 7 * 60, 4)
    assert strict.channels["social"].p50 == 7 * 60
    assert [(group.tier, group.channel) for group in strict.groups] == [
        ("gold", "social"),
        ("no tier", "social"),
    ]


def test_the_timeline_adds_up(policy: Policy) -> None:
    shift = Staffing.of_shifts([(600, 7200, 2)])
    [run] = replay([*CROWD, record(5, 95)], shift, {"ours": policy}).runs
    assert run.bucket_seconds == 900
    assert run.timeline[0].begins_at == MONDAY
    assert [bucket.arrived for bucket in run.timeline] == [4, 0, 0, 0, 0, 0, 1]
    # At a quarter to nine the two agents, there since 08:40, have begun the second pair.
    assert [bucket.waiting for bucket in run.timeline][:2] == [0, 0]
    assert sum(bucket.worked_hours for bucket in run.timeline) == pytest.approx(5 * 300 / 3600)
    assert sum(bucket.staffed_hours for bucket in run.timeline) == pytest.approx(2 * (105 - 10) / 60)
    assert run.agent_load == pytest.approx(5 * 300 / 3600 / (2 * 95 / 60))


def test_overdue_are_those_who_still_wait(policy: Policy) -> None:
    shift = Staffing.of_shifts([(4000, 9000, 1)])
    [run] = replay(CROWD, shift, {"ours": policy}).runs
    assert [bucket.waiting for bucket in run.timeline] == [4, 4, 4, 4, 2, 0]
    # The gold customer waits past 08:43, the others past half past nine and a minute or two more.
    assert [bucket.overdue for bucket in run.timeline] == [1, 1, 1, 2, 2, 0]


def changed(old: str, new: str, records: list[Record] = CROWD) -> Report:
    policies = {"A": read_policy(TEXT), "B": read_policy(TEXT.replace(old, new))}
    return replay(records, Staffing.constant(1), policies)


def test_the_same_policy_twice_changes_nothing() -> None:
    [change] = changed("EUR", "USD").changes
    assert (change.earlier, change.later, change.won, change.lost) == (0, 0, 0, 0)
    assert change.conversations == []


def test_what_changes_and_why() -> None:
    report = changed("default: 1h}\n    next", "default: 5m}\n    next")
    [change] = report.changes
    assert change.lost == 2
    lost = {each.ref: each for each in change.conversations}
    assert lost[2].kept_before
    assert not lost[2].kept_after
    assert "promised within 5 min by 'All', before 60 min by 'All'" in lost[2].why
    # By the promises of A it keeps as many as A does.
    assert report.runs[1].by_first_promises is not None
    assert report.runs[1].by_first_promises.attainment == report.runs[0].all.attainment


def test_weights_and_giving_way_are_named() -> None:
    crowd = [record(n, 0) for n in range(1, 13)] + [record(n, 0, "gold") for n in range(13, 20)]
    report = changed("gold: 4, default: 1", "gold: 1, default: 4", crowd)
    why = [reason for each in report.changes[0].conversations for reason in each.why]
    assert "weight 1, before 4: Gold ×1 (×4)" in why
    assert "gave way under B" in why
    assert report.runs[0].gave_way
    # What a customer is worth is said by the first policy, for both.
    assert report.runs[1].by_first_promises is not None
    assert report.runs[1].by_first_promises.attainment_by_value == report.runs[1].all.attainment_by_value


def test_who_is_never_answered_is_told(policy: Policy) -> None:
    """Two have no answer when the second agent, who has time for one, is gone again."""
    shifts = Staffing.of_shifts([(0, 60, 1), (36_000, 36_001, 1)])
    run = replay(CROWD, shifts, {"ours": policy}).runs[0]
    assert (run.all.unanswered, run.all.undue) == (2, 0)
    assert [each.late_seconds for each in run.breaches if each.answered_at is None] == [None, None]


def test_what_is_promised_for_after_the_last_agent_left_is_not_judged(policy: Policy) -> None:
    """An order that leaves until tomorrow what has time until then is none the worse for it."""
    report = replay(CROWD, Staffing.of_shifts([(0, 60, 1)]), {"ours": policy}, ["first-come"])
    run = report.runs[0]
    assert (run.all.count, run.all.undue, run.all.unanswered) == (4, 4, 3)
    assert (run.all.attainment, run.breached, run.breaches) == (None, 0, [])
    assert [each.place_after for each in report.changes[0].conversations] == []


SKILLED = (
    TEXT
    + """
skills: [german]
assignment:
  needs:
    - {name: Mail, when: channel.kind == "mail", skills: {german: 3}}
    - {name: Tickets, when: channel.kind == "ticket", additional_skills: {german: 1}, relax_after: 10m}
"""
)
ABLE = Abilities(frozenset(), (("german", 3),))


def skilled(records: list[Record], *groups: tuple[Abilities, Staffing]) -> Report:
    policies = {"skilled": read_policy(SKILLED), "plain": read_policy(TEXT)}
    return replay(records, Staffing.of_groups(groups), policies, ["first-come"])


def test_by_what_is_needed_and_what_agents_can_do() -> None:
    records = [
        record(1, 0, kind="mail"),
        record(2, 0),
        record(3, 1, kind="mail"),
        record(4, 2, kind="ticket"),
    ]
    unable = Abilities(frozenset(), ())
    report = skilled(records, (ABLE, Staffing.constant(1)), (unable, Staffing.constant(1)))
    ours, plain, rival = report.runs
    found = {group.needs: group for group in ours.needs}
    assert {needs: (group.agents, group.replies.longest) for needs, group in found.items()} == {
        # Mails are promised last, and who could answer them is taken by what is due before.
        "german 3": (1, 19 * 60),
        "anybody": (2, 5 * 60),
        "german 1": (1, 8 * 60),
    }
    relaxing = found["german 1"]
    assert (relaxing.rules, relaxing.relaxed, relaxing.relax_seconds) == (["Tickets"], "anybody", 600)
    assert [(group.can, group.agents) for group in ours.agents] == [
        ("german 3", 1),
        ("nothing in particular", 1),
    ]
    assert sum(group.worked_hours for group in ours.agents) == pytest.approx(4 * 300 / 3600)
    # Rivals are held to the same; a policy without rules asks for nothing.
    assert [group.needs for group in rival.needs] == [group.needs for group in ours.needs]
    assert (plain.needs, plain.agents, ours.nobody) == ([], [], 0)
    [change] = [each for each in report.changes[0].conversations if each.ref == 3]
    assert "needs anybody, before german 3" in change.why


def test_what_nobody_on_duty_could_ever_answer_is_told_with_its_need() -> None:
    records = [record(1, 0, kind="mail"), record(2, 30, kind="mail"), record(3, 31)]
    early = (ABLE, Staffing.of_shifts([(-600, 600, 1)]))
    report = skilled(records, early, (Abilities(frozenset(), ()), Staffing.constant(1)))
    run = report.runs[0]
    [mail] = [group for group in run.needs if group.needs == "german 3"]
    assert (run.nobody, mail.nobody, mail.nobody_refs, mail.agents) == (1, 1, [2], 1)
    [breach] = run.breaches
    assert (breach.ref, breach.needs, breach.nobody) == (2, "german 3", True)
    # Without the rule somebody answers it.
    assert (report.runs[1].nobody, report.runs[1].all.unanswered) == (0, 0)
    [run, *_] = replay(records, Staffing.of_shifts([(0, 60, 1)]), {"A": read_policy(TEXT)}).runs
    assert (run.nobody, run.all.unanswered, run.all.undue) == (2, 2, 3)


def test_nothing_to_replay(policy: Policy) -> None:
    report = replay([], Staffing.constant(1), {"ours": policy}, ["strict"])
    assert report.conversations == 0
    assert report.begins_at is None
    assert report.runs[0].timeline == []
    assert report.runs[0].agent_load is None
    with pytest.raises(ValueError, match="policy"):
        replay([], Staffing.constant(1), {})


def test_progress_is_told_to_the_end(policy: Policy) -> None:
    told: dict[str, tuple[int, int]] = {}
    replay(
        CROWD,
        Staffing.constant(1),
        {"ours": policy},
        ["strict"],
        progress=lambda step, done, total: told.update({step: (done, total)}),
    )
    assert told == {"ours: promises": (4, 4), "ours: order": (4, 4), "strict: order": (4, 4)}
